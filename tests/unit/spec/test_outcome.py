"""Findings and outcomes as values: what is within bounds, and what a reader is told."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from vitgate.spec.outcome import ClaimFailed, Finding, Outcome


def finding(value: float, lower: float | None = 20.0, upper: float | None = 30.0, **fields: Any) -> Finding:
    return Finding("sqnr", value, "dB", lower, upper, tolerance="floor", **fields)


@pytest.mark.parametrize(
    ("value", "lower", "upper", "ok"),
    [
        (25.0, 20.0, 30.0, True),
        (20.0, 20.0, 30.0, True),
        (30.0, 20.0, 30.0, True),
        (19.999, 20.0, 30.0, False),
        (30.001, 20.0, 30.0, False),
        (1e9, 20.0, None, True),
        (-1e9, None, 30.0, True),
        (25.0, None, None, False),
        (math.nan, 20.0, 30.0, False),
        (math.nan, None, None, False),
        (math.inf, 20.0, None, False),
        (-math.inf, None, 30.0, False),
    ],
)
def test_finite_number_within_bounds_is_ok(value: float, lower: float | None, upper: float | None, ok: bool) -> None:
    assert finding(value, lower, upper).ok is ok


@pytest.mark.parametrize("value", [25.0, math.nan, math.inf])
def test_unjudged_number_is_always_ok(value: float) -> None:
    assert finding(value, None, None, judged=False).ok


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (finding(25.0), "sqnr: 25 dB, expected [20, 30]"),
        (finding(25.0, against="original"), "sqnr against original: 25 dB, expected [20, 30]"),
        (finding(25.0, note="3 pictures"), "sqnr: 25 dB, expected [20, 30] (3 pictures)"),
        (finding(19.5), "sqnr: 19.5 dB, expected [20, 30] [floor: would need lower = 19.5]"),
        (finding(31.0), "sqnr: 31 dB, expected [20, 30] [floor: would need upper = 31]"),
        (finding(19.5, upper=None), "sqnr: 19.5 dB, expected [20, inf] [floor: would need lower = 19.5]"),
        (finding(31.0, lower=None), "sqnr: 31 dB, expected [-inf, 30] [floor: would need upper = 31]"),
        (finding(math.nan), "sqnr: nan dB, expected [20, 30] [floor: would need a finite number]"),
        (finding(math.inf, upper=None), "sqnr: inf dB, expected [20, inf] [floor: would need a finite number]"),
        (finding(25.0, None, None), "sqnr: 25 dB, expected [-inf, inf] [floor: would need a bound]"),
        (finding(25.0, judged=False), "sqnr: 25 dB"),
    ],
)
def test_message_names_value_bounds_and_needed_bound(row: Finding, text: str) -> None:
    assert row.line() == text


@pytest.mark.parametrize("value", [346_334_255.0, 1 / 3, 174_812_345.0, -2 / 3])
def test_suggested_bound_admits_the_value(value: float) -> None:
    below, above = Finding("size", value, "bytes", lower=value + 1), Finding("size", value, "bytes", upper=value - 1)

    lower, upper = (float(row.line().split(" = ")[1].rstrip("]")) for row in (below, above))

    assert Finding("size", value, "bytes", lower=lower).ok
    assert Finding("size", value, "bytes", upper=upper).ok


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("passed"), "passed"),
        (Outcome("failed", message="m"), "failed"),
        (Outcome("failed at", "script", "RuntimeError"), "failed at script"),
        (Outcome("blocked by", "optimized"), "blocked by optimized"),
    ],
)
def test_outcome_text_is_kind_and_stage(outcome: Outcome, words: str) -> None:
    assert str(outcome) == words


def test_outcome_round_trips_through_json() -> None:
    outcome = Outcome("failed", "", "", "too low", (finding(19.5, note="n"), finding(1.0, None, None, judged=False)))

    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


def test_failed_claim_shows_message_or_outcome() -> None:
    assert str(ClaimFailed(Outcome("failed at", "load", message="no such file"))) == "no such file"
    assert str(ClaimFailed(Outcome("failed at", "load"))) == "failed at load"
