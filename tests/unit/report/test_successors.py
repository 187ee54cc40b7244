"""Which way out passed is said with the numbers of this very run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.records.record import Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow
from vitgate.report.answer import answer, answer_of
from vitgate.report.successors import TRY_THEM, ways_out

from ..outcomes import in_parts

STOPPED = {"status": "declared", "outcome": "failed at optimize_for_mobile", "deviation": "gone", "message": "gone"}


def cell(variant: str, outcome: Any = "passed", **numbers: Any) -> CellRow:
    return CellRow(case="digits", engine="none", variant=variant, **in_parts(outcome=outcome, **numbers))


@pytest.fixture
def tried(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> Callable[..., Record]:
    """Return a function: a record of a run in which the tutorial's way failed, and these successors were tried."""

    def make(*cells: object, claims: Any = ()) -> Record:
        rows = (claim_row(), claim_row("build", "optimized", **STOPPED), *claims)
        return record(cases=("digits",), engines=("qnnpack", "none"), cells=cells, claims=rows)

    return make


def plain(text: str) -> Any:
    return text


def test_passed_successors_are_listed_int8_and_fastest_first(
    tried: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    shown = [
        FindingRow(statistic="ratio", value=0.5, unit="1", against="scripted_quantized", judged=False),
        FindingRow(statistic="ratio", value=0.25, unit="1", against="original"),
    ]
    rows = tried(
        cell("inductor", size_bytes=3_000_000, latency_ratio=0.1, sqnr_db=140.04),
        cell("exported", size_bytes=2_000_000, latency_ratio=1.0, sqnr_db=140.04),
        cell("onnx_int8", size_bytes=500_000, latency_ratio=0.25, sqnr_db=31.26),
        cell("executorch", "FAILED: size", size_bytes=1, latency_ratio=0.1),
        claims=(claim_row("latency", "onnx_int8", engine="none", findings=tuple(shown)),),
    )

    assert ways_out(rows, plain) == (
        "On this run onnx_int8 (0.5 MB, 0.25 of the original's time, 0.50 of the tutorial's int8 file's, SQNR 31.3 dB) "
        "passed for digits, as did exported."
    )
    assert ways_out(rows, plain) in answer(rows)


def test_compiled_package_is_advised_only_for_its_own_processor(tried: Callable[..., Record]) -> None:
    rows = tried(cell("inductor", latency_ratio=0.1), cell("exported", latency_ratio=1.0))

    assert "inductor" not in ways_out(rows, plain)
    assert "inductor" in ways_out(rows.model_copy(update={"ships_to": "host"}), plain)


def test_no_passed_successor_is_stated(tried: Callable[..., Record]) -> None:
    assert ways_out(tried(cell("onnx", "FAILED: size")), plain) == "No successor of TorchScript passed for digits."


def test_run_without_successors_names_the_option(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = record(claims=(claim_row("build", "optimized", **STOPPED),))

    assert answer(rows).endswith(TRY_THEM)
    assert "--successors" in TRY_THEM


def test_passing_pipeline_lists_no_successors(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    assert "successor" not in answer(record(claims=(claim_row(),)))


def test_run_of_successors_alone_mentions_only_successors(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = record(engines=("none",), claims=(claim_row(variant="onnx", engine="none"),))

    assert answer(rows) == "PyTorch 2.13.0+cpu can carry the successors of the pipeline: every claim holds."


def test_unsupported_successors_are_named(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    lacking = claim_row(variant="onnx", engine="none", status="unsupported", outcome="unsupported")

    found = answer_of(record(claims=(claim_row(), lacking)))

    assert found.notes == ("Successors not checked, as what they need is not there: onnx.",)
