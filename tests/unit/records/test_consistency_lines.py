"""A line of the table says what the claims of its cell came to and judged, or the record is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.judge.findings import TUTORIAL_INT8
from vitgate.records.consistency import check_consistent
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, ClaimRow

from ..outcomes import in_parts
from .test_consistency import FAILED, GONE, number

SIZE = {"status": "passed", "outcome": "passed", "findings": (number(10.0, upper=None, lower=1.0),)}


def test_a_ratio_to_another_file_than_the_original_is_not_the_one_that_the_line_shows(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    beside = number(2.0, statistic="ratio", against=TUTORIAL_INT8, upper=None, tolerance="", judged=False)
    row = claim_row("latency", findings=(beside, number(0.5, statistic="ratio", against="original")))
    line = CellRow(case="digits", engine="qnnpack", variant="lite", latency_ratio=0.5, **in_parts(outcome="passed"))

    check_consistent(record(claims=(row,), cells=(line,)), where="here")


@pytest.mark.parametrize(
    ("rows", "cell", "problem"),
    [
        ({"label": {}}, {"outcome": "not checked"}, "outcome 'not checked' (''), but its claims came to 'passed' ('')"),
        ({"label": {}}, {"at": "run"}, "outcome 'passed run' (''), but its claims came to 'passed' ('')"),
        ({"label": {}}, {"failed": ("label",)}, "outcome 'FAILED: label' (''), but its claims came to 'passed' ('')"),
        (
            {"label": GONE},
            {"outcome": "failed at run"},
            "outcome 'failed at run' (''), but its claims came to 'failed at run' ('d')",
        ),
        (
            {"build": GONE},
            {"outcome": "failed at run", "deviation": "d", "size_bytes": 1},
            "outcome 'failed at run', but the size, digest or label of a file",
        ),
        ({"build": GONE}, {"outcome": "failed at run", "deviation": "d", "digest_blake2b": "a"}, "of a file"),
        ({"build": GONE}, {"outcome": "failed at run", "deviation": "d", "label": 1}, "of a file"),
        ({"size": SIZE}, {"size_bytes": 11}, "size_bytes 11, but the claim size judged 10.0"),
        ({"size": SIZE}, {}, "size_bytes None, but the claim size judged 10.0"),
        (
            {"logits_original": {"findings": (number(24.0, statistic="sqnr", lower=1.0, upper=None),)}},
            {"sqnr_db": 25.0},
            "sqnr_db 25.0, but the claim logits_original judged 24.0",
        ),
        (
            {"latency": {"findings": (number(0.5, statistic="ratio"),)}},
            {"latency_ratio": 0.4},
            "latency_ratio 0.4, but the claim latency judged 0.5",
        ),
        (
            {"latency": {"findings": (number(40.0, statistic="latency", judged=False, tolerance="", upper=None),)}},
            {"latency_ms": 41.0},
            "latency_ms 41.0, but the claim latency judged 40.0",
        ),
    ],
)
def test_a_line_that_contradicts_its_claims_is_refused(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    rows: dict[str, dict[str, Any]],
    cell: dict[str, Any],
    problem: str,
) -> None:
    claims = tuple(claim_row(name, **fields) for name, fields in rows.items())
    line = CellRow(case="digits", engine="qnnpack", variant="lite", **in_parts(**{"outcome": "passed", **cell}))

    with pytest.raises(UsageError) as caught:
        check_consistent(record(claims=claims, cells=(line,)), where="here")

    start = "the record contradicts itself, as if edited by hand: digits-qnnpack-lite has "
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(f"{problem} (here): make the record again")


@pytest.mark.parametrize(
    ("rows", "cell"),
    [
        ({}, {"outcome": "not checked"}),
        ({"size": SIZE}, {"size_bytes": 10}),
        ({"logits_original": {"findings": (number(0.0, statistic="sqnr"),)}}, {"sqnr_db": 0.0}),
        ({"size": {**SIZE, "variant": "optimized"}, "label": {}}, {"size_bytes": 99}),
        ({"weights": SIZE}, {"size_bytes": 99}),
        ({"size": {"findings": (number(),), **FAILED, "error": "E"}}, {"size_bytes": 1, "outcome": "FAILED: size"}),
        ({"label": GONE}, {"outcome": "failed at run", "deviation": "d", "size_bytes": 10}),
    ],
    ids=str,
)
def test_a_line_that_agrees_with_its_claims_is_consistent(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    rows: dict[str, dict[str, Any]],
    cell: dict[str, Any],
) -> None:
    claims = tuple(claim_row(name, **fields) for name, fields in rows.items())
    line = CellRow(case="digits", engine="qnnpack", variant="lite", **in_parts(**{"outcome": "passed", **cell}))

    check_consistent(record(claims=claims, cells=(line,)), where="here")
