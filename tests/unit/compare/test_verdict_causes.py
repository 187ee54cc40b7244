"""Each red row has a cause: a deviation, the stage or build that failed, or what a failure is like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.verdict import compare, Verdict
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow

from ..outcomes import in_parts
from .states import accepting, BROKEN, FAILED, GONE, PASSED


def test_failure_before_and_after_is_explained(pair: Callable[..., Verdict]) -> None:
    assert "it failed before too, which excuses nothing" in pair(FAILED, FAILED).causes[0].says


def test_undeclared_causes_are_the_stage_the_claim_or_the_build_that_blocks(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    names = ("build", "label", "weights")
    lite = {"status": "failed", "outcome": "blocked by optimized"}
    other = {"status": "failed", "outcome": "blocked by scripted"}
    old = [claim_row(name, variant) for name in names for variant in ("optimized", "lite")]
    new = [claim_row(name, "optimized", **BROKEN) for name in names]
    new += [
        claim_row("build", "lite", **lite),
        claim_row("label", "lite", **other),
        claim_row("weights", "lite", **FAILED),
    ]

    verdict = compare(record(claims=tuple(old)), record(claims=tuple(new)))

    causes = {row.name: row.cause for row in verdict.rows}
    assert {causes[f"{name}[digits-qnnpack-optimized]"] for name in names} == {"failed at script"}
    assert causes["build[digits-qnnpack-lite]"] == "failed at script"  # that of the build which blocks it
    assert causes["label[digits-qnnpack-lite]"] == "blocked by scripted"  # about which the record says nothing
    assert causes["weights[digits-qnnpack-lite]"] == "weights"
    assert {cause.kind for cause in verdict.causes} == {"undeclared"}


def test_removed_deviation_is_described_by_row_message(pair: Callable[..., Verdict]) -> None:
    verdict = pair(PASSED, {**GONE, "deviation": "old-one", "message": "it\nis gone"})

    assert [(cause.id, cause.says, cause.link) for cause in verdict.causes] == [("old-one", "it is gone", "")]


def _own_file(**state: Any) -> ClaimRow:
    fields = {"claim": "artifacts", "subject": "own-phone.ptl", "test": "t", **state}
    return ClaimRow(**in_parts(**fields))


def _gone_file(**fields: Any) -> ClaimRow:
    declared = next(row for row in read_deviations().rows if row.id == "xnnpack-gone-lite-files")
    shown = {"outcome": declared.outcome, "error": declared.error, "message": f"got: {declared.message} at a line"}
    return _own_file(status="failed", **{**shown, **fields})


def test_user_file_failing_like_declared_deviation_gets_its_advice(
    record: Callable[..., Record], environment: Environment
) -> None:
    newest = environment.model_copy(update={"torch": "2.15.0"})
    old, new = record(claims=(_own_file(**PASSED),)), record(claims=(_gone_file(),), environment=newest)

    (cause,) = compare(old, new).causes

    assert (cause.kind, cause.id) == ("undeclared", "failed at load like xnnpack-gone-lite-files")
    assert cause.says.startswith("declared nowhere: got: isGenericDict")
    assert "So it is with xnnpack-gone" in cause.says
    assert "lite_frozen" in cause.advice
    assert cause.link
    assert "failed at load like xnnpack-gone-lite-files (artifacts[own-phone.ptl])" in compare(old, new).answer
    by_row = compare(old, new, accepted=accepting("artifacts[own-phone.ptl]"))
    assert (by_row.exit_status, compare(old, new, accepted=accepting("xnnpack-gone-lite-files")).exit_status) == (0, 1)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("2.12.1", {}),  # where nothing of the kind is declared
        ("2.15.0", {"message": "something else"}),
        ("2.15.0", {"error": "OSError"}),
        ("2.15.0", {"outcome": "failed at run"}),
        ("2.15.0", {"deviation": "xnnpack-gone"}),  # did not go as declared, which the row itself says
        ("no version", {}),
    ],
)
def test_failure_of_another_kind_gets_no_advice(
    record: Callable[..., Record], environment: Environment, version: str, fields: dict[str, str]
) -> None:
    other = environment.model_copy(update={"torch": version})
    old, new = record(claims=(_own_file(**PASSED),)), record(claims=(_gone_file(**fields),), environment=other)

    (cause,) = compare(old, new).causes

    assert (cause.advice, cause.link) == ("", "")
    assert "like xnnpack" not in cause.id


def test_deviation_texts_refer_to_no_other_entry() -> None:
    for row in read_deviations().rows:
        assert not row.reason.startswith("As ") and not row.advice.startswith("As "), row.id


def test_row_that_is_not_red_has_no_cause(pair: Callable[..., Verdict]) -> None:
    for old, new in ((PASSED, PASSED), (GONE, GONE), (FAILED, PASSED)):
        assert {row.cause for row in pair(old, new).rows} == {""}
