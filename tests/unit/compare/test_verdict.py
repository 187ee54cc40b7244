"""Two records, one verdict: the word of each row, the exit status, and what is said of both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.pairing import rank, word
from vitgate.compare.verdict import compare, json_schema, RunSummary, Verdict
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow

from ..outcomes import in_parts
from .states import (
    accepting,
    BLOCKED,
    BLOCKED_NEW,
    BROKEN,
    FAILED,
    GONE,
    LACKING,
    NUMBER_OUT,
    OFFLINE,
    PASSED,
    STATES,
    UNEXPECTED,
    words,
)

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, settings  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

ENVIRONMENT = Environment.model_fields.keys() - {"engines"}  # of which the run has its own
SWAPPED = {"regressed": "fixed", "fixed": "regressed"}


@pytest.mark.parametrize(
    ("old", "new", "expected", "status"),
    [
        (PASSED, PASSED, "same", 0),
        (PASSED, NUMBER_OUT, "regressed", 1),
        (PASSED, GONE, "regressed", 1),
        (PASSED, FAILED, "regressed", 1),
        (PASSED, BROKEN, "regressed", 1),
        (PASSED, UNEXPECTED, "regressed", 1),
        (PASSED, LACKING, "regressed", 1),
        (NUMBER_OUT, GONE, "regressed", 1),
        (NUMBER_OUT, FAILED, "regressed", 1),
        (NUMBER_OUT, LACKING, "regressed", 1),
        (FAILED, BLOCKED, "regressed", 1),
        (GONE, BROKEN, "regressed", 1),
        (GONE, PASSED, "fixed", 0),
        (BROKEN, GONE, "fixed", 0),
        (LACKING, PASSED, "fixed", 0),
        (BROKEN, FAILED, "fixed", 1),  # better, and still a failure that nobody declared
        (NUMBER_OUT, NUMBER_OUT, "broken in both", 0),
        (GONE, BLOCKED, "broken in both", 0),
        (FAILED, FAILED, "broken in both", 1),  # a baseline can certify a broken model
        (BROKEN, BLOCKED_NEW, "broken in both", 1),
        (LACKING, LACKING, "not comparable", 0),
        (PASSED, OFFLINE, "environment error", 6),
        (OFFLINE, PASSED, "environment error", 6),
        (OFFLINE, BROKEN, "environment error", 6),
    ],
    ids=lambda value: f"{value['status']} {value['outcome']}" if isinstance(value, dict) else str(value),
)
def test_each_pair_of_states_has_its_word_and_exit_status(
    pair: Callable[..., Verdict], old: dict[str, str], new: dict[str, str], expected: str, status: int
) -> None:
    verdict = pair(old, new)

    assert (verdict.rows[0].name, verdict.rows[0].word) == ("label[digits-qnnpack-lite]", expected)
    assert verdict.exit_status == status


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_swapping_two_states_swaps_regressed_and_fixed(old: dict[str, str], new: dict[str, str]) -> None:
    rows = [ClaimRow(claim="label", subject="s", test="t", **in_parts(**state)) for state in (old, new)]

    there, back = word(*rows), word(*reversed(rows))

    assert back == SWAPPED.get(there, there)
    assert (there == "regressed") == (rank(rows[1]) > rank(rows[0]) and "environment error" not in there)


@settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])  # they only make rows
@given(data=st.data())
def test_swapping_two_records_swaps_regressed_and_fixed_and_nothing_else(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], data: st.DataObject
) -> None:
    states = st.dictionaries(st.sampled_from(("label", "size", "build", "weights")), st.sampled_from(STATES))
    old, new = (
        record(claims=tuple(claim_row(claim, **state) for claim, state in data.draw(states).items())) for _ in range(2)
    )

    there, back = compare(old, new), compare(new, old)

    found = {row.name: row.word for row in back.rows}
    assert {row.name: SWAPPED.get(row.word, row.word) for row in there.rows} == found
    assert len(there.rows) == len(found) == len({row.name for row in (*old.claims, *new.claims)})


def test_another_processor_and_another_message_of_a_warning_are_changes(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], environment: Environment
) -> None:
    old, new = (
        record(
            environment=environment.model_copy(update={"cpu": cpu}),
            claims=(
                claim_row(),
                claim_row("warnings", variant="", message=text, subject="load", status="failed", outcome="failed"),
            ),
            warnings=(text,),
        )
        for cpu, text in (("A", "one"), ("B", "two"))
    )

    changes = compare(old, new).changes

    assert [(change.what, change.old, change.new) for change in changes.environment] == [("cpu", "A", "B")]
    assert [(change.old, change.new) for change in changes.warnings] == [
        ("failed: one", "failed: two"),
        ("one", ""),
        ("", "two"),
    ]


def test_row_missing_in_new_record_is_red_and_in_old_is_not(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    both, one = record(claims=(claim_row(), claim_row("size"))), record()

    gone, come = compare(both, one), compare(one, both)

    assert (words(gone), gone.exit_status) == (words(come), 1)
    assert words(come)["missing"] == 1
    assert come.exit_status == 0
    assert gone.causes[0].kind == "missing"
    assert gone.causes[0].rows == ("size[digits-qnnpack-lite]",)


def test_a_new_row_that_fails_undeclared_is_red(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    verdict = compare(record(), record(claims=(claim_row(), claim_row("size", **FAILED))))

    assert (verdict.rows[1].word, verdict.exit_status) == ("missing", 1)


@pytest.mark.parametrize(
    ("old", "new", "status"), [((), ("calls",), 1), (("calls",), (), 0), (("calls",), ("calls",), 1)]
)
def test_claims_named_missing_in_record_are_missing(
    record: Callable[..., Record], old: tuple[str, ...], new: tuple[str, ...], status: int
) -> None:
    verdict = compare(*(record(missing=names, complete=not names) for names in (old, new)))

    assert [(row.name, row.word) for row in verdict.rows if row.claim == "calls"] == [("calls", "missing")]
    assert verdict.exit_status == status
    assert "not of a whole run" in verdict.answer or "Neither record" in verdict.answer


def test_empty_comparison_does_not_pass(record: Callable[..., Record]) -> None:
    verdict = compare(record(claims=()), record(claims=()))

    assert verdict.exit_status == 1
    assert verdict.answer.startswith("No answer")


def test_environment_error_gives_no_answer_despite_regression(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    old = record(claims=(claim_row(), claim_row("size")))
    new = record(claims=(claim_row(**BROKEN), claim_row("size", **OFFLINE)))

    verdict = compare(old, new, accepted=accepting("size[digits-qnnpack-lite]"))

    assert verdict.exit_status == 6
    assert verdict.answer.startswith("No answer for PyTorch")
    assert "no network" in verdict.answer


def test_each_side_is_summarized(record: Callable[..., Record], environment: Environment) -> None:
    old = record(environment=environment.model_copy(update={"commit": None, "cores": 8}), complete=False)

    verdict = compare(old, record(created="2026-01-02"))

    of_environment = {name: getattr(old.environment, name) for name in RunSummary.model_fields if name in ENVIRONMENT}
    of_run = {name: getattr(old, name) for name in RunSummary.model_fields if name not in ENVIRONMENT}
    assert verdict.old == RunSummary(**of_environment, **of_run)
    assert (verdict.old.cores, verdict.old.commit, verdict.old.complete) == (8, None, False)
    assert (verdict.new.created, verdict.new.engines, verdict.new.torch) == ("2026-01-02", ("qnnpack",), "2.13.0+cpu")
    assert verdict.schema_version == 1


def test_red_verdict_names_successors_that_hold_on_both_sides(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    def row(variant: str, **fields: Any) -> ClaimRow:
        return claim_row("label", variant, case="digits", engine="none", **fields)

    failed = {"status": "failed", "outcome": "failed"}
    old = record(engines=("none",), claims=(row("exported"), row("onnx_int8"), row("executorch", **failed)))
    new = record(engines=("none",), claims=(row("exported", **failed), row("onnx_int8"), row("executorch", **failed)))

    sound = record(engines=("none",), claims=(row("exported"), row("onnx_int8")))

    assert compare(sound, sound).notes == ()
    assert compare(old, new).notes == ("Successors that hold on both sides, and load what the other made: onnx_int8.",)


def test_json_schema_is_that_of_verdict() -> None:
    assert json_schema() == Verdict.model_json_schema()
