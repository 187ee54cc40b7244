"""The sentence at the end says no more than what was checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Record
from vitgate.records.rows import cell_outcome, ClaimRow
from vitgate.report.answer import Answer, answer, answer_of
from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import FIXED_BATCH, NO_TOOLS

GONE = "xnnpack-gone"
STOPPED = {"status": "declared", "outcome": "failed at optimize_for_mobile", "deviation": GONE, "message": "no XNNPACK"}


def test_all_passed_claims_carry_the_pipeline(record: Callable[..., Record]) -> None:
    assert answer(record()) == "PyTorch 2.13.0+cpu can carry the whole pipeline: every claim holds."


def test_declared_number_out_of_bounds_is_named_without_breaking_pipeline(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (claim_row(), claim_row("size", status="declared", outcome="failed", deviation="stored-twice"))

    text = answer(record(claims=rows))

    assert text.endswith("every claim holds, apart from what is declared (stored-twice).")


def test_declared_stage_failure_breaks_pipeline_with_reason_and_advice_once(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    blocked = {**STOPPED, "outcome": "blocked by optimized"}
    rows = (claim_row(), claim_row("build", "optimized", **STOPPED), claim_row("build", "lite", **blocked))
    declared = next(row for row in read_deviations().rows if row.id == GONE)

    found = answer_of(record(claims=rows))

    assert found.text.startswith(f"PyTorch 2.13.0+cpu cannot carry the whole pipeline: {GONE}. ")
    assert found.notes == (f"declared {GONE}: {declared.reason} Instead: {declared.advice} ({declared.link})",)


def test_file_of_one_picture_breaks_no_pipeline(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    fixed = {"status": "declared", "outcome": "failed at run", "error": FIXED_BATCH, "deviation": "onnx-batch-of-1"}
    rows = (claim_row(), claim_row("batch", **fixed))

    found = record(claims=rows)

    assert answer(found).endswith("every claim holds, apart from what is declared (onnx-batch-of-1).")
    assert cell_outcome(rows) == {"outcome": "passed"}


def test_removed_deviation_still_breaks_pipeline_of_its_record(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (claim_row(), claim_row("build", "optimized", **{**STOPPED, "deviation": "forgotten"}))

    found = answer_of(record(claims=rows))

    assert found.text.startswith("PyTorch 2.13.0+cpu cannot carry the whole pipeline: forgotten. ")
    assert found.notes == ("declared forgotten: no XNNPACK",)


@pytest.mark.parametrize("status", ["failed", "environment error"])
def test_single_failed_claim_decides_and_is_named(
    status: str, record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (claim_row("build", "optimized", **STOPPED), claim_row(status=status, outcome="failed"))

    text = answer(record(claims=rows, missing=("size[x]",), complete=False))

    assert text.startswith("PyTorch 2.13.0+cpu does not carry the pipeline as declared: 1 claim failed: ")
    assert "label[digits-qnnpack-lite]" in text


def test_first_failed_claims_are_named_and_others_counted(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    names = ["build", "label", "size", "weights", "latency", "table"]
    rows = tuple(claim_row(name, status="failed", outcome="failed") for name in names)

    text = answer(record(claims=rows))

    assert "6 claims failed" in text
    assert "and 3 more." in text
    assert [name for name in names if f"{name}[" in text] == names[:3]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("size[a]",), "1 claim was not checked, size[a] among them"),
        (("size[a]", "size[b]"), "2 claims were not checked, size[a] among them"),
    ],
    ids=["one", "two"],
)
def test_unchecked_claims_give_no_answer(missing: tuple[str, ...], words: str, record: Callable[..., Record]) -> None:
    text = answer(record(missing=missing, complete=False))

    assert text.startswith("No answer for PyTorch 2.13.0+cpu: ")
    assert words in text


def test_answer_of_narrowed_run_names_its_limit(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    whole, broken = (claim_row(),), (claim_row(), claim_row("build", "optimized", **STOPPED))

    texts = [answer(record(claims=rows, complete=False)) for rows in (whole, broken)]

    assert "can carry the whole pipeline (of the claims that this narrowed run checked)" in texts[0]
    assert "cannot carry the whole pipeline (of the claims that this narrowed run checked)" in texts[1]


def test_record_without_checked_claims_gives_no_answer(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    lacking = claim_row(status="unsupported", outcome="unsupported")

    found = [answer_of(record(claims=rows)) for rows in ((), (lacking,))]

    text = "No answer for PyTorch 2.13.0+cpu: no claim was checked."
    assert found[0] == Answer("none", text)
    assert found[1] == Answer("none", text, ("Not checked, as this build lacks the engine: qnnpack.",))


def test_missing_engines_are_named(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    rows = (claim_row(), claim_row(engine="x86", status="unsupported", outcome="unsupported"))

    assert answer_of(record(claims=rows)).notes == ("Not checked, as this build lacks the engine: x86.",)


@pytest.mark.parametrize(("engine", "variant"), [("qnnpack", "lite"), ("none", "onnx")])
def test_claim_that_the_machine_does_not_allow_is_named_and_no_engine(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], engine: str, variant: str
) -> None:
    one_core = {"status": "unsupported", "outcome": "unsupported", "message": "this process may use one core"}
    rows = [claim_row("label", variant, engine=engine), claim_row("threads", variant, engine=engine, **one_core)]

    notes = answer_of(record(claims=tuple(rows))).notes

    assert notes == ("Not checked here: threads: this process may use one core.",)


def test_unchecked_claims_are_named_with_missing_tools(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    lacking = {"status": "unsupported", "outcome": "unsupported"}
    rows = [claim_row(name, error=NO_TOOLS, **lacking) for name in ("native_program", "native")]
    tools = read_claims()["native"].tools

    found = answer_of(record(claims=(claim_row(), *rows, claim_row("native", engine="x86", **lacking))))

    assert found.notes == (
        "Not checked, as this build lacks the engine: x86.",
        f"Not checked: native_program, native, which takes {tools}.",
    )
