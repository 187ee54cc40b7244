"""Two records, one verdict: the words, the causes, what is red, and what cannot be compared."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.pairing import rank, word
from vitgate.compare.verdict import Accepted, compare, json_schema, MatrixRow, PairedLatency, RunSummary, Verdict
from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Environment, read_record, Record
from vitgate.records.rows import ClaimRow, InputRow

from ..conftest import Refuses
from ..outcomes import in_parts

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, settings  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

TODAY = dt.date(2026, 12, 1)
PASSED = {"status": "passed", "outcome": "passed"}
NUMBER_OUT = {"status": "declared", "outcome": "failed", "deviation": "lite-stored-twice"}
FAILED = {"status": "failed", "outcome": "failed", "message": "two labels are wrong"}
GONE = {"status": "declared", "outcome": "failed at optimize_for_mobile", "deviation": "xnnpack-gone"}
BLOCKED = {"status": "declared", "outcome": "blocked by optimized", "deviation": "xnnpack-gone"}
BROKEN = {"status": "failed", "outcome": "failed at script", "error": "RuntimeError", "message": "no such operator"}
BLOCKED_NEW = {"status": "failed", "outcome": "blocked by scripted", "message": "no such operator"}
UNEXPECTED = {"status": "failed", "outcome": "passed", "deviation": "xnnpack-gone", "message": "but the claim holds"}
LACKING = {"status": "unsupported", "outcome": "unsupported"}
OFFLINE = {"status": "environment error", "outcome": "environment error", "message": "no network"}
STATES = (PASSED, NUMBER_OUT, FAILED, GONE, BLOCKED, BROKEN, BLOCKED_NEW, UNEXPECTED, LACKING, OFFLINE)

ENVIRONMENT = Environment.model_fields.keys() - {"engines"}  # of which the run has its own
SWAPPED = {"regressed": "fixed", "fixed": "regressed"}


def release(version: str) -> Record:
    return read_record(fixtures_folder() / "records" / f"{version}.json")


def words(verdict: Verdict) -> Counter[str]:
    return Counter(row.word for row in verdict.rows)


def accepting(*ids: str) -> Acceptances:
    return Acceptances(tuple(Acceptance(name, "--accept") for name in ids), TODAY)


@pytest.fixture
def pair(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> Callable[..., Verdict]:
    """Return a helper that compares two records of the claim `label` about one cell, in these two states."""

    def make(old: dict[str, str], new: dict[str, str], **options: Any) -> Verdict:
        rows = [claim_row(**state) for state in (old, new)]
        return compare(*(record(claims=(row, claim_row("size"))) for row in rows), **options)

    return make


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


def test_failure_before_and_after_is_explained(pair: Callable[..., Verdict]) -> None:
    assert "it failed before too, which excuses nothing" in pair(FAILED, FAILED).causes[0].says


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


CAUSES = ("xnnpack-gone", "xnnpack-gone-lite-files", "xnnpack-gone-files", "xnnpack-gone-call", "profiler-use-cuda")


def test_upgrade_2_12_1_to_2_15_0_is_red_with_causes() -> None:
    verdict = compare(release("2.12.1"), release("2.15.0"))

    assert tuple(cause.id for cause in verdict.causes) == CAUSES
    assert all(cause.red and cause.kind == "deviation" and cause.link and cause.advice for cause in verdict.causes)
    assert verdict.exit_status == 1
    assert verdict.answer.startswith("Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break: ")
    red = {row.name for row in verdict.rows if row.red}
    assert red == {name for cause in verdict.causes for name in cause.rows}
    assert red == {row.name for row in verdict.rows if row.word == "regressed"}
    gone = {row.variant for row in verdict.rows if row.cause == "xnnpack-gone"}
    assert gone == {"optimized", "lite"}


def test_a_release_against_itself_may_upgrade() -> None:
    verdict = compare(release("2.12.1"), release("2.12.1"))

    declared = {row.deviation for row in release("2.12.1").claims if row.status == "declared"}
    assert set(words(verdict)) == {"same", "broken in both"}
    assert {row.new.deviation for row in verdict.rows if row.new and row.word == "broken in both"} == declared
    assert (verdict.exit_status, verdict.causes) == (0, ())
    assert verdict.answer.startswith("PyTorch 2.12.1 → 2.12.1: may upgrade; every claim holds as before")
    assert not any(getattr(verdict.changes, kind) for kind in type(verdict.changes).model_fields)


def test_downgrade_fixes_what_upgrade_breaks() -> None:
    there, back = compare(release("2.12.1"), release("2.15.0")), compare(release("2.15.0"), release("2.12.1"))

    assert (back.exit_status, words(back)["regressed"]) == (0, 0)
    assert words(back)["fixed"] == words(there)["regressed"] > 0


def test_changes_besides_outcomes_are_listed() -> None:
    changes = compare(release("2.12.1"), release("2.15.0")).changes

    assert {change.what for change in changes.calls} == {"calls[optimize_for_mobile]", "calls[profile]"}
    environment = {change.what: (change.old, change.new) for change in changes.environment}
    assert environment["torch"] == ("2.12.1+cu130", "2.15.0+cu132")
    assert environment["xnnpack"] == ("True", "False")
    assert "cpu" not in environment
    assert "python" not in environment
    assert changes.operators == changes.bytecode == ()  # of files that both have
    sizes = {row.cell: row for row in changes.sizes}
    row = sizes["deit_base-fbgemm-scripted_quantized"]
    assert row.change_percent == pytest.approx(100 * (row.new_bytes - row.old_bytes) / row.old_bytes)
    assert all(row.change_db == row.new_sqnr_db - row.old_sqnr_db != 0 for row in changes.drift)
    assert changes.drift


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


def test_accepted_deviation_covers_only_what_it_blocks() -> None:
    verdict = compare(release("2.12.1"), release("2.15.0"), accepted=accepting("xnnpack-gone"))

    assert {row.accepted for row in verdict.rows if row.cause == "xnnpack-gone"} == {"xnnpack-gone"}
    assert {cause.id for cause in verdict.causes if cause.red} == set(CAUSES[1:])
    assert verdict.exit_status == 1
    assert [(entry.id, entry.causes) for entry in verdict.accepted] == [("xnnpack-gone", ("xnnpack-gone",))]


def test_accepting_every_cause_allows_upgrade() -> None:
    ids = (*CAUSES[:-1], "calls[profile]")

    verdict = compare(release("2.12.1"), release("2.15.0"), accepted=accepting(*ids))

    assert (verdict.exit_status, verdict.problems) == (0, ())
    assert f"may upgrade; what breaks is accepted ({', '.join(ids)})" in verdict.answer
    assert {row.word for row in verdict.rows if row.accepted} == {"regressed"}


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


def test_the_answer_is_short_and_names_what_breaks(record: Callable[..., Record]) -> None:
    answer = compare(release("2.12.1"), release("2.15.0")).answer

    assert answer == (
        "Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break: xnnpack-gone (200 rows), "
        "xnnpack-gone-lite-files (20 rows), xnnpack-gone-files (20 rows) and 2 more. "
        "The report says what to do instead."
    )


def test_deviation_texts_refer_to_no_other_entry() -> None:
    for row in read_deviations().rows:
        assert not row.reason.startswith("As ") and not row.advice.startswith("As "), row.id


def test_an_undeclared_failure_is_accepted_row_by_row_only(pair: Callable[..., Verdict]) -> None:
    assert pair(PASSED, FAILED, accepted=accepting("label[digits-qnnpack-lite]")).exit_status == 0
    by_claim = pair(PASSED, FAILED, accepted=accepting("label"))
    assert by_claim.exit_status == 1
    assert by_claim.problems


def test_deviation_with_other_outcome_is_not_accepted_by_id(pair: Callable[..., Verdict]) -> None:
    verdict = pair(PASSED, UNEXPECTED, accepted=accepting("xnnpack-gone"))

    assert verdict.exit_status == 1
    assert verdict.rows[0].red


@pytest.mark.parametrize("name", ["xnnpack-gone", "label[digits-qnnpack-lite]", "digits-qnnpack-lite"])
def test_unused_acceptance_is_red(pair: Callable[..., Verdict], name: str) -> None:
    verdict = pair(PASSED, PASSED, accepted=accepting(name))

    assert verdict.exit_status == 1
    assert verdict.problems == (f"--accept: the acceptance of {name} covers nothing: delete it",)
    assert name in verdict.answer


def test_an_expired_acceptance_covers_nothing_and_is_named_with_its_line(pair: Callable[..., Verdict]) -> None:
    entry = Acceptance("xnnpack-gone", "accepted.toml:3", "why", "me", TODAY - dt.timedelta(days=1))
    lasting = Acceptance("xnnpack-gone", "accepted.toml:3", "why", "me", TODAY)

    assert pair(PASSED, GONE, accepted=Acceptances((lasting,), TODAY)).exit_status == 0
    verdict = pair(PASSED, GONE, accepted=Acceptances((entry,), TODAY))
    assert verdict.exit_status == 1
    assert verdict.rows[0].red
    assert verdict.problems[0].startswith("accepted.toml:3: ")
    assert "expired" in verdict.problems[0]


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("cases", ("deit_base",), "deit_base"), ("engines", ("x86", "qnnpack"), "x86, qnnpack")],
)
def test_records_of_different_selections_are_refused(
    record: Callable[..., Record], refuses: Refuses, field: str, value: tuple[str, ...], word: str
) -> None:
    refuses(lambda: compare(record(), record(**{field: value})), f"different {field}", word, "run both")


@pytest.mark.parametrize(("field", "what"), [("weights_digest", "weights"), ("pictures_sha256", "pictures")])
def test_records_of_different_inputs_are_refused(
    record: Callable[..., Record], refuses: Refuses, field: str, what: str
) -> None:
    other = record(inputs=(record().inputs[0].model_copy(update={field: "ffff"}),))

    refuses(lambda: compare(record(), other), f"different {what} of digits", "ffff", getattr(record().inputs[0], field))


def test_the_order_of_cases_and_engines_does_not_matter(record: Callable[..., Record]) -> None:
    old, new = record(engines=("x86", "qnnpack")), record(engines=("qnnpack", "x86"))

    assert compare(old, new).exit_status == 0


def _crossing(maker: str = "2.12.1", runner: str = "2.15.0", variant: str = "lite_frozen", **fields: Any) -> MatrixRow:
    state = {"status": "passed", "outcome": "passed", **fields}
    return MatrixRow(maker=maker, runner=runner, case="digits", engine="x86", variant=variant, **in_parts(**state))


@pytest.mark.parametrize(
    ("row", "expected", "red"),
    [
        (_crossing(), "same", False),
        (_crossing(status="failed", outcome="failed at load"), "regressed", True),
        (_crossing(status="declared", outcome="failed at load", deviation="xnnpack-gone"), "regressed", True),
        (_crossing(status="environment error", outcome="environment error"), "environment error", True),
        (_crossing("2.15.0", "2.12.1", status="failed", outcome="failed"), "regressed", True),
        (_crossing("2.15.0", "2.12.1", "lite"), "fixed", False),  # what 2.15.0 itself cannot make
        (_crossing("2.15.0+cu132", "2.12.1+cu130", "lite", **BLOCKED), "broken in both", False),
        (_crossing(variant="unknown"), "missing", False),
        (_crossing(variant="unknown", status="declared", outcome="failed at load", deviation="x"), "missing", True),
    ],
    ids=lambda value: value.name if isinstance(value, MatrixRow) else str(value),
)
def test_crossing_is_compared_with_run_of_its_maker(row: Any, expected: str, red: bool) -> None:
    old, new = release("2.12.1"), release("2.15.0")
    known = accepting("xnnpack-gone-call", "profiler-use-cuda")

    verdict = compare(old, new, matrix=[row], accepted=known)

    found = next(item for item in verdict.matrix if item.name == row.name)
    assert (found.word, found.red) == (expected, red)
    diagonal = {item.row.maker for item in verdict.matrix if item.row.maker == item.row.runner}
    assert diagonal == (set() if row.variant == "unknown" else {"2.12.1", "2.15.0"})


def test_a_crossing_fails_for_its_own_cause_and_can_be_accepted() -> None:
    row = _crossing(status="failed", outcome="failed at load", message="unknown builtin op")
    same = release("2.12.1")
    new = same.model_copy(update={"environment": same.environment.model_copy(update={"torch": "2.15.0"})})

    verdict = compare(same, new, matrix=[row])

    assert [(cause.kind, cause.rows) for cause in verdict.causes] == [("crossing", (row.name,))]
    assert verdict.exit_status == 1
    assert "unknown builtin op" in verdict.causes[0].says
    assert row.name in verdict.answer
    assert compare(same, new, matrix=[row], accepted=accepting(row.name)).exit_status == 0


@pytest.mark.parametrize("pair", [("2.12.1", "2.12.1"), ("2.6.0", "2.15.0")])
def test_crossings_of_other_versions_are_refused(pair: tuple[str, str], refuses: Refuses) -> None:
    refuses(lambda: compare(release("2.12.1"), release("2.15.0"), matrix=[_crossing(*pair)]), "the matrix", pair[0])


def test_duplicate_crossing_is_refused(refuses: Refuses) -> None:
    refuses(lambda: compare(release("2.12.1"), release("2.15.0"), matrix=[_crossing()] * 2), "duplicate name")


def test_claims_of_crossings_are_compared_only_where_both_records_have_them(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    crossing = claim_row("artifacts")
    old, new = record(claims=(claim_row(), crossing)), record(missing=("artifacts",), complete=False)

    assert compare(old, new).exit_status == compare(new, old).exit_status == 0
    assert [row.claim for row in compare(old, new).rows] == ["label"]
    assert [row.claim for row in compare(old, old).rows] == ["label", "artifacts"]


def _latency(verdict: str, **fields: Any) -> PairedLatency:
    row = {"ratio": 1.3, "low": 1.2, "high": 1.4, "pairs": 20, "old_ms": 10.0, "new_ms": 13.0, **fields}
    return PairedLatency(case="digits", engine="x86", variant="lite", verdict=verdict, **row)


@pytest.mark.parametrize(
    ("given_", "expected", "status"),
    [
        ("same", "same", 0),
        ("fixed", "fixed", 0),
        ("not comparable", "not comparable", 0),
        ("regressed", "regressed", 1),
        ("environment error", "environment error", 6),
    ],
)
def test_a_paired_latency_is_red_only_where_it_regressed(
    record: Callable[..., Record], given_: str, expected: str, status: int
) -> None:
    verdict = compare(record(), record(), latency=[_latency(given_)])

    assert (verdict.latency[0].word, verdict.exit_status) == (expected, status)
    assert any("1.30 times the latency" in cause.says for cause in verdict.causes) is (status == 1)


def test_a_slower_cell_can_be_accepted(record: Callable[..., Record]) -> None:
    verdict = compare(
        record(), record(), latency=[_latency("regressed")], accepted=accepting("paired_latency[digits-x86-lite]")
    )

    assert verdict.exit_status == 0


@pytest.mark.parametrize("fields", [{"pairs": 0}, {"ratio": 0.0}, {"ratio": float("nan")}, {"unit": "s"}], ids=str)
def test_invalid_latency_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _latency("same", **fields)


def test_verdict_round_trips_through_json() -> None:
    row = _crossing(status="declared", outcome="failed at load", deviation="xnnpack-gone", sqnr_db=20.0)
    verdict = compare(
        release("2.12.1"),
        release("2.15.0"),
        matrix=[row],
        latency=[_latency("not comparable", ratio=None, note="one side lacks it")],
    )

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_each_side_is_summarized(record: Callable[..., Record], environment: Environment) -> None:
    old = record(environment=environment.model_copy(update={"commit": None, "cores": 8}), complete=False)

    verdict = compare(old, record(created="2026-01-02"))

    of_environment = {name: getattr(old.environment, name) for name in RunSummary.model_fields if name in ENVIRONMENT}
    of_run = {name: getattr(old, name) for name in RunSummary.model_fields if name not in ENVIRONMENT}
    assert verdict.old == RunSummary(**of_environment, **of_run)
    assert (verdict.old.cores, verdict.old.commit, verdict.old.complete) == (8, None, False)
    assert (verdict.new.created, verdict.new.engines, verdict.new.torch) == ("2026-01-02", ("qnnpack",), "2.13.0+cpu")
    assert verdict.schema_version == 1


def test_acceptance_names_covered_causes_and_rows(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    names = ("label", "size", "weights")
    old = record(claims=tuple(claim_row(name) for name in names))
    new = record(claims=(claim_row("label", **GONE), claim_row("size", **FAILED), claim_row("weights", **BLOCKED)))
    entries = (
        Acceptance("size[digits-qnnpack-lite]", "a.toml:1", "why", "me", TODAY),
        Acceptance("xnnpack-gone", "a.toml:5"),
        Acceptance("label", "a.toml:9"),
    )

    verdict = compare(old, new, accepted=Acceptances(entries, TODAY))

    assert verdict.accepted == (
        Accepted(**vars(entries[0]), causes=("size",), rows=("size[digits-qnnpack-lite]",)),
        Accepted(
            **vars(entries[1]),
            causes=("xnnpack-gone",),
            rows=("label[digits-qnnpack-lite]", "weights[digits-qnnpack-lite]"),
        ),
    )
    assert verdict.problems == ("a.toml:9: the acceptance of label covers nothing: delete it",)
    assert [(row.cause, row.red, row.accepted) for row in verdict.rows] == [
        ("xnnpack-gone", False, "xnnpack-gone"),
        ("size", False, "size[digits-qnnpack-lite]"),
        ("xnnpack-gone", False, "xnnpack-gone"),
    ]
    assert verdict.exit_status == 1


def test_environment_error_cannot_be_accepted(pair: Callable[..., Verdict]) -> None:
    verdict = pair(PASSED, OFFLINE, accepted=accepting("label[digits-qnnpack-lite]", "environment error"))

    assert (verdict.rows[0].red, verdict.rows[0].accepted, verdict.accepted) == (True, "", ())
    assert len(verdict.problems) == 2


def test_row_that_is_not_red_has_no_cause(pair: Callable[..., Verdict]) -> None:
    for old, new in ((PASSED, PASSED), (GONE, GONE), (FAILED, PASSED)):
        assert {row.cause for row in pair(old, new).rows} == {""}


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


def test_rows_matrix_and_latency_are_judged_together(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], environment: Environment
) -> None:
    other = environment.model_copy(update={"torch": "2.15.0"})
    cell = {"case": "digits", "engine": "qnnpack", "variant": "lite"}
    row = MatrixRow(maker="2.13.0", runner="2.15.0", status="failed", outcome="failed", **cell)
    numbers = dict.fromkeys(("ratio", "low", "high", "old_ms", "new_ms"), 2.0)
    latency = PairedLatency(verdict="regressed", pairs=3, **cell, **numbers)
    old, new = record(claims=(claim_row("build"),)), record(claims=(claim_row("build"),), environment=other)

    verdict = compare(old, new, matrix=[row], latency=[latency])

    assert [item.name for item in verdict.rows] == ["build[digits-qnnpack-lite]"]
    assert [item.row.runner for item in verdict.matrix] == ["2.13.0", "2.15.0", "2.15.0"]
    assert [(item.name, item.cause) for item in verdict.latency] == [(latency.name, "slower")]
    assert [(cause.kind, cause.rows) for cause in verdict.causes] == [
        ("crossing", (row.name,)),
        ("latency", (latency.name,)),
    ]
    assert [change.what for change in verdict.changes.environment] == ["torch"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"vitgate": "9"}, "of different versions of vitgate: 0.1.0 and 9 (WHERE): run both with the same vitgate"),
        (
            {"cases": ("deit_base", "zoo")},
            "about different cases: digits, and deit_base, zoo (WHERE): run both with the same --case",
        ),
        ({"engines": ("x86",)}, "about different engines: qnnpack, and x86 (WHERE): run both with the same --engine"),
        (
            {"weights_digest": "0123456789abcdef"},
            "about different weights of digits: trained ab and trained 0123456789ab (WHERE): "
            "run both with the same --weights",
        ),
        (
            {"images_digest": "ef"},
            "about different folders of pictures of digits: none and ef (WHERE): run both with the same --images",
        ),
        (
            {"pictures_sha256": "ff"},
            "about different pictures of digits: committed cd and committed ff (WHERE): "
            "run both with the same --assets",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusal_names_difference_and_remedy(record: Callable[..., Record], fields: dict[str, Any], text: str) -> None:
    whole = record(created="2026-01-02")
    if name := next((name for name in fields if name in InputRow.model_fields), ""):
        fields = {"inputs": (whole.inputs[0].model_copy(update={name: fields[name]}),)}

    with pytest.raises(UsageError) as caught:
        compare(record(), whole.model_copy(update=fields))
    with pytest.raises(UsageError) as back:
        compare(whole.model_copy(update=fields), record())

    assert ("deit_base, zoo, and digits" if "cases" in fields else fields.get("weights_digest", "")[:12]) in str(
        back.value
    )
    assert "0123456789abc" not in str(back.value)
    where = "2.13.0+cpu of 2026-01-01T00:00:00+00:00 and 2.13.0+cpu of 2026-01-02"
    assert str(caught.value) == f"the records are {text}".replace("WHERE", where)


def test_inputs_missing_in_one_record_are_not_compared(record: Callable[..., Record]) -> None:
    other = record().inputs[0].model_copy(update={"case": "zoo", "weights_digest": "ff"})

    assert compare(record(), record(inputs=(other, *record().inputs))).exit_status == 0
    assert compare(record(inputs=()), record()).exit_status == 0


def test_json_schema_is_that_of_verdict() -> None:
    assert json_schema() == Verdict.model_json_schema()


def test_latency_of_another_machine_is_not_compared() -> None:
    old = release("2.15.0")
    lacking = {**LACKING, "findings": (), "deviation": "", "message": "an emulated processor"}
    claims = tuple(row.model_copy(update=lacking) if row.claim == "latency" else row for row in old.claims)
    there = old.environment.model_copy(update={"machine": "aarch64"})
    new = old.model_copy(update={"claims": claims, "environment": there})

    verdict = compare(old, new)

    assert {row.word for row in verdict.rows if row.claim in ("latency", "table")} == {"not comparable"}
    assert verdict.exit_status == 0
    assert "Latency is not compared: the records are of two machines." in verdict.notes
    assert verdict.answer.startswith("PyTorch 2.15.0 on x86_64 → 2.15.0 on aarch64: may upgrade")
