"""Rows of two records side by side: order, words, colours, and what only one of them has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.compare.pairing import paired, rank, Side, VerdictRow, word
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.outcome import NO_TOOLS

PASSED = {"status": "passed", "outcome": "passed"}
DECLARED = {"status": "declared", "outcome": "failed", "deviation": "d"}
FAILED = {"status": "failed", "outcome": "failed", "error": "E", "message": "m"}
LACKING = {"status": "unsupported", "outcome": "unsupported"}
NO_COMPILER = {**LACKING, "error": NO_TOOLS}
GONE = {"status": "declared", "outcome": "failed at run", "deviation": "d"}
BLOCKED = {"status": "failed", "outcome": "blocked by lite"}
OFFLINE = {"status": "environment error", "outcome": "environment error"}


def test_claim_left_out_of_either_run_is_not_compared(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    latency = claim_row("latency")
    one, both = record(left_out=("latency",)), record(claims=(claim_row(), latency))

    for old, new in ((one, both), (both, one)):
        assert [row.name for row in paired(old, new)] == ["label[digits-qnnpack-lite]"]
    assert latency.name in [row.name for row in paired(both, both)]


def test_variant_left_out_of_either_run_is_not_compared(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    static = claim_row("label", "onnx_static", engine="none")
    one, both = record(left_out=("onnx_static",)), record(claims=(claim_row(), static))

    for old, new in ((one, both), (both, one)):
        assert static.name not in [row.name for row in paired(old, new)]


@pytest.mark.parametrize(
    ("state", "expected"), [(PASSED, 0), (DECLARED, 1), (FAILED, 2), (LACKING, 3), (GONE, 3), (BLOCKED, 4)]
)
def test_rank_orders_states(claim_row: Callable[..., ClaimRow], state: dict[str, str], expected: int) -> None:
    assert rank(claim_row(**state)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (PASSED, PASSED, "same"),
        (DECLARED, DECLARED, "broken in both"),
        (LACKING, LACKING, "not comparable"),
        (LACKING, GONE, "broken in both"),
        (GONE, LACKING, "broken in both"),
        (LACKING, PASSED, "fixed"),
        (PASSED, LACKING, "regressed"),
        (NO_COMPILER, NO_COMPILER, "not comparable"),
        (NO_COMPILER, PASSED, "missing"),
        (NO_COMPILER, FAILED, "missing"),
        (PASSED, NO_COMPILER, "missing"),
        (GONE, NO_COMPILER, "not comparable"),
        (OFFLINE, NO_COMPILER, "environment error"),
        (OFFLINE, LACKING, "environment error"),
        (LACKING, OFFLINE, "environment error"),
    ],
)
def test_word_of_two_states_is_right(
    claim_row: Callable[..., ClaimRow], old: dict[str, str], new: dict[str, str], expected: str
) -> None:
    assert word(claim_row(**old), claim_row(**new)) == expected


def test_row_has_both_sides_and_cell(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    old, new = record(claims=(claim_row(**DECLARED),)), record(claims=(claim_row(**FAILED),))

    assert paired(old, new) == [
        VerdictRow(
            name="label[digits-qnnpack-lite]",
            word="regressed",
            red=True,
            claim="label",
            subject="digits-qnnpack-lite",
            case="digits",
            engine="qnnpack",
            variant="lite",
            old=Side(status="declared", outcome="failed", deviation="d"),
            new=Side(status="failed", outcome="failed", error="E", message="m"),
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected", "red"),
    [
        (PASSED, PASSED, "same", False),
        (PASSED, DECLARED, "regressed", True),
        (FAILED, DECLARED, "fixed", False),
        (DECLARED, DECLARED, "broken in both", False),
        (FAILED, FAILED, "broken in both", True),
        (BLOCKED, FAILED, "fixed", True),
        (LACKING, LACKING, "not comparable", False),
        (NO_COMPILER, NO_COMPILER, "not comparable", False),
        (NO_COMPILER, PASSED, "missing", False),
        (NO_COMPILER, FAILED, "missing", True),
        (PASSED, NO_COMPILER, "missing", True),
        (GONE, NO_COMPILER, "not comparable", False),
        (PASSED, None, "missing", True),
        (OFFLINE, None, "environment error", True),
        (None, PASSED, "missing", False),
        (None, FAILED, "missing", True),
        (None, DECLARED, "missing", True),  # it may have held
        (None, LACKING, "missing", True),
        (None, OFFLINE, "environment error", True),
        (OFFLINE, PASSED, "environment error", True),
    ],
)
def test_blocking_row_is_red(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    old: dict[str, str] | None,
    new: dict[str, str] | None,
    expected: str,
    red: bool,
) -> None:
    sides = [record(claims=() if state is None else (claim_row(**state),)) for state in (old, new)]

    (found,) = paired(*sides)

    assert (found.word, found.red) == (expected, red)
    assert (found.old is None, found.new is None) == (old is None, new is None)
    assert (found.claim, found.variant) == ("label", "lite")


def test_rows_are_ordered_old_then_new_then_missing(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    old = record(claims=(claim_row("size"), claim_row("label")), missing=("weights[x]", "calls"))
    new = record(claims=(claim_row("build"), claim_row("label")), missing=("calls", "table[a-b]", "size"))

    found = paired(old, new)

    names = ["size", "label", "build"]
    assert [row.name for row in found[:3]] == [f"{name}[digits-qnnpack-lite]" for name in names]
    assert found[3:] == [
        VerdictRow(name=name, word="missing", red=red, claim=claim, subject=subject, old=None, new=None)
        for name, red, claim, subject in [
            ("weights[x]", False, "weights", "x"),
            ("calls", True, "calls", ""),
            ("table[a-b]", True, "table", "a-b"),
            ("size", True, "size", ""),
        ]
    ]


def test_missing_claim_with_row_uses_that_row(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    found = paired(record(missing=("label[digits-qnnpack-lite]",), claims=()), record())

    assert [(row.name, row.word) for row in found] == [("label[digits-qnnpack-lite]", "missing")]
    assert found[0].new is not None


def test_crossings_are_paired_if_both_records_have_them(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    crossing = claim_row("artifacts", subject="own.pt")
    one, both = record(missing=("artifacts[x]", "artifacts")), record(claims=(claim_row(), crossing))

    assert [row.name for row in paired(one, both)] == ["label[digits-qnnpack-lite]"]
    assert [row.name for row in paired(both, one)] == ["label[digits-qnnpack-lite]"]
    assert [row.name for row in paired(both, both)] == ["label[digits-qnnpack-lite]", "artifacts[own.pt]"]
