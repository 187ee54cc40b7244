"""Declared deviations: only the exact outcome is expected; all else turns the run red with a line to change."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.judge.deviations import Deviation, Deviations, ExpectedNumber, Settled
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Finding, Outcome
from vitgate.spec.variants import VariantName

from .made_deviations import deviation, OPTIMIZED, PASSED, place, STOPPED, TODAY, XNNPACK


def number(**fields: Any) -> Deviation:
    expected = ExpectedNumber(statistic="size_ratio", lower=1.9, upper=2.0)
    row = {"claims": ("size",), "outcome": "failed", "error": "", "message": "", "number": expected, "variants": None}
    return deviation(**{**row, **fields})


def off(statistic: str, value: float) -> Finding:
    return Finding(statistic, value, "1", lower=0.5, upper=1.5, tolerance="t")


def failed(*findings: Finding, **fields: Any) -> Outcome:
    return Outcome("failed", findings=findings, message="size_ratio: 1.96", **fields)


def test_undeclared_pass_passes(settle: Callable[..., Any]) -> None:
    assert settle(PASSED).status == "passed"


def test_undeclared_failure_keeps_its_message(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED)

    assert (settled.status, settled.deviation, settled.message) == ("failed", "", STOPPED.message)


def test_the_exact_outcome_is_declared_with_reason_advice_and_link(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED, deviation())

    assert (settled.status, settled.deviation) == ("declared", "gone")
    assert settled.message == (
        "failed at optimize_for_mobile: Built without XNNPACK. Freeze instead. (https://example.org/1)"
    )


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("failed at", "save", "RuntimeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "TypeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "RuntimeError", "out of registers"),
        Outcome("failed", "", "RuntimeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "RuntimeError", XNNPACK, (off("size", 9.0),)),
    ],
    ids=["another-stage", "another-error", "another-message", "no-stage", "a-number-besides"],
)
def test_failure_other_than_declared_is_red(outcome: Outcome, settle: Callable[..., Any]) -> None:
    settled = settle(outcome, deviation())

    assert settled.status == "failed"
    assert "deviation gone (deviations.toml:7)" in settled.message
    assert f"expects 'failed at optimize_for_mobile with RuntimeError ({XNNPACK})'" in settled.message
    assert str(outcome) in settled.message
    assert outcome.message in settled.message


def test_unexpected_pass_is_red_and_names_line_to_change(settle: Callable[..., Any]) -> None:
    settled = settle(PASSED, deviation())

    assert settled.status == "failed"
    assert "deviation gone (deviations.toml:7)" in settled.message
    assert "but the claim holds: narrow its condition or delete it" in settled.message


def test_deviation_expires_after_review_date(where: Path) -> None:
    on_time, late = (Deviations([deviation()], where, day) for day in (TODAY, TODAY + dt.timedelta(days=1)))

    assert on_time.settle(place(), STOPPED).status == "declared"
    settled = late.settle(place(), STOPPED)

    assert settled.status == "failed"
    assert "deviations.toml:7" in settled.message
    assert f"review date {TODAY} is past" in settled.message


def test_two_matching_deviations_are_red(settle: Callable[..., Any]) -> None:
    rows = (deviation("gone"), deviation("wide", variants=None))

    for outcome in (STOPPED, PASSED):
        settled = settle(outcome, *rows)
        assert settled.status == "failed"
        assert "gone, wide apply at once" in settled.message


# A number out of its bounds


@pytest.mark.parametrize("value", [1.9, 1.96, 2.0])
def test_number_inside_declared_range_is_declared(value: float, settle: Callable[..., Any]) -> None:
    settled = settle(failed(off("size", 1.0), off("size_ratio", value)), number(), at=place("size"))

    assert settled.status == "declared"


@pytest.mark.parametrize(
    "outcome",
    [
        failed(off("size_ratio", 1.89)),
        failed(off("size_ratio", 2.01)),
        failed(off("size_ratio", math.nan)),
        failed(off("size", 1.96)),
        failed(off("size_ratio", 1.96), off("size", 9.0)),
        failed(off("size_ratio", 1.96), off("size_ratio", 3.0)),
        failed(off("size_ratio", 1.0)),
        failed(),
        failed(off("size_ratio", 1.96), error="KeyError"),
    ],
    ids=[
        "below-the-window",
        "above-the-window",
        "nan",
        "another-number",
        "a-number-besides",
        "twice-once-outside",
        "all-within-tolerance",
        "no-number",
        "an-error",
    ],
)
def test_number_outside_declared_range_is_red(outcome: Outcome, settle: Callable[..., Any]) -> None:
    settled = settle(outcome, number(), at=place("size"))

    assert settled.status == "failed"
    assert "failed with size_ratio in [1.9, 2]" in settled.message


# What a failed build stops


@pytest.mark.parametrize("claim", ["build", "label", "size"])
def test_blocked_claim_is_covered_by_deviation_of_blocking_build(claim: str, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=f"optimized could not be built: {STOPPED.message}")

    settled = settle(blocked, deviation(), at=place(claim, OPTIMIZED.at("lite")))

    assert (settled.status, settled.deviation) == ("declared", "gone")
    assert settled.message.startswith("blocked by optimized: ")


@pytest.mark.parametrize(
    "row",
    [
        deviation(claims=("label",), variants=("lite",)),
        deviation(variants=("lite",)),
        deviation(variants=("scripted_quantized",)),
        deviation(engines=("x86",)),
        deviation(torch="<2.13"),
    ],
    ids=["of-the-claim", "of-the-child", "of-the-grandparent", "of-another-engine", "of-another-torch"],
)
def test_no_other_deviation_covers_a_blocked_claim(row: Deviation, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=f"optimized could not be built: {STOPPED.message}")

    settled = settle(blocked, row, at=place("label", OPTIMIZED.at("lite")))

    assert (settled.status, settled.deviation) == ("failed", "")


def test_a_build_that_blocks_for_another_reason_is_not_covered(settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message="optimized could not be built: out of registers")

    settled = settle(blocked, deviation(), at=place("label", OPTIMIZED.at("lite")))

    assert settled.status == "failed"
    assert "out of registers" in settled.message


@pytest.mark.parametrize("cell", [None, OPTIMIZED.at("scripted")], ids=["no-cell", "no-ancestor"])
def test_claim_blocked_by_non_ancestor_is_red(cell: CellId | None, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=STOPPED.message)

    settled = settle(blocked, deviation(claims=("build", "label"), variants=None), at=place("label", cell))

    assert settled.status == "failed"


@pytest.mark.parametrize("variant", ["optimized", "lite"])
def test_claim_stopped_by_failed_build_is_covered_by_its_deviation(
    variant: VariantName, settle: Callable[..., Any]
) -> None:
    settled = settle(STOPPED, deviation(), at=place("logits_parent", OPTIMIZED.at(variant)))

    assert (settled.status, settled.deviation) == ("declared", "gone")


def test_a_stage_after_the_build_is_not_covered_by_the_deviation_of_the_build(settle: Callable[..., Any]) -> None:
    unloadable = Outcome("failed at", "load", "RuntimeError", XNNPACK)

    settled = settle(unloadable, deviation(), at=place("label", OPTIMIZED))

    assert (settled.status, settled.deviation) == ("failed", "")


def test_claim_with_two_deviations_names_first(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED, deviation("gone"), deviation("another"))

    assert (settled.status, settled.deviation) == ("failed", "gone")
    assert settled.message == "deviation gone (deviations.toml:7): gone, another apply at once: narrow all but one"


@pytest.mark.parametrize(
    ("outcome", "got"),
    [
        (Outcome("failed at", "save", "OSError", "disk full"), "failed at save with OSError: disk full"),
        (Outcome("failed", message="size: 3"), "failed: size: 3"),
    ],
)
def test_message_has_full_expected_and_actual_outcome(settle: Callable[..., Any], outcome: Outcome, got: str) -> None:
    expected = f"failed at optimize_for_mobile with RuntimeError ({XNNPACK})"

    settled = settle(outcome, deviation())

    assert settled == Settled(
        "failed", "gone", f"deviation gone (deviations.toml:7): it expects '{expected}', but got: {got}"
    )
