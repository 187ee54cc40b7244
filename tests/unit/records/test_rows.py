"""The rows of a record: what outcomes and findings become in them, and what a cell's claims come to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.records.rows import cell_deviation, cell_outcome, CellRow, ClaimRow, finding_row
from vitgate.records.rows import claim_row as row_of
from vitgate.spec.outcome import Finding, Outcome


def test_row_keeps_outcome_error_findings_and_cell() -> None:
    finding = Finding("size_ratio", 1.96, "1", upper=1.1, tolerance="t")
    outcome = Outcome("failed at", "script", "RuntimeError", "no", (finding,))

    row = row_of(
        claim="size",
        subject="digits-x86-lite",
        test="t.py::test_size[digits-x86-lite]",
        outcome=outcome,
        status="declared",
        deviation="gone",
        message="known",
        case="digits",
        engine="x86",
        variant="lite",
    )

    assert (row.name, row.outcome, row.at, row.error) == (
        "size[digits-x86-lite]",
        "failed at",
        "script",
        "RuntimeError",
    )
    assert (row.status, row.deviation, row.message) == ("declared", "gone", "known")
    assert (row.case, row.engine, row.variant) == ("digits", "x86", "lite")
    assert row.findings == (finding_row(finding),)


@pytest.mark.parametrize(
    ("rows", "outcome", "deviation"),
    [
        ([], "not checked", ""),
        ([{}], "passed", ""),
        ([{}, {"status": "failed", "outcome": "failed"}], "FAILED: label", ""),
        ([{"status": "environment error", "outcome": "environment error"}], "FAILED: label", ""),
        ([{"status": "unsupported", "outcome": "unsupported"}], "passed", ""),
        ([{"status": "declared", "outcome": "failed", "deviation": "b"}], "passed", "b"),
        (
            [{"deviation": "a"}, {"status": "declared", "outcome": "failed at run", "deviation": "b"}],
            "failed at run",
            "b",
        ),
        (
            [
                {"status": "declared", "outcome": "failed", "deviation": "b"},
                {"status": "declared", "outcome": "blocked by lite", "deviation": "a"},
                {"status": "declared", "outcome": "failed at run", "deviation": "b"},
            ],
            "blocked by lite",
            "a, b",
        ),
    ],
)
def test_cell_outcome_is_worst_of_its_claims(
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    rows: list[dict[str, str]],
    outcome: str,
    deviation: str,
) -> None:
    claims = [claim_row(**row) for row in rows]
    cell = cell_row(**cell_outcome(claims))

    assert (cell.outcome_text, cell_deviation(claims)) == (outcome, deviation)


def test_failed_claims_of_a_cell_are_named_once_in_order(claim_row: Callable[..., ClaimRow]) -> None:
    claims = [claim_row(name, status="failed", outcome="failed") for name in ("size", "label", "size")]

    assert cell_outcome(claims) == {"outcome": "failed", "failed": ("label", "size")}


def test_row_without_cell_has_no_case_engine_and_variant() -> None:
    row = row_of(
        claim="calls", subject="load", test="t", outcome=Outcome("passed"), status="passed", deviation="", message=""
    )

    assert row == ClaimRow(claim="calls", subject="load", status="passed", outcome="passed", test="t")


@pytest.mark.parametrize(
    ("value", "upper", "written"),
    [(0.123456789, None, 0.123457), (346_334_255.0, None, 346_334_255.0), (1.0000001, 1.0, 1.0000001)],
)
def test_numbers_are_written_with_significant_digits(value: float, upper: float | None, written: float) -> None:
    assert finding_row(Finding("x", value, "1", upper=upper)).value == written
