"""Ratios of latencies: the estimate, the width of its interval, and when sampling may stop."""

from __future__ import annotations

import math

import pytest

from vitgate.judge.latency_ratios import (
    asleep_per_cpu,
    Bound,
    clears,
    decided,
    enough,
    fastest_quartile,
    holds,
    QUICK_ROUNDS,
    QUICK_SECONDS,
    Ratio,
    ratio,
    RATIO_SD,
    ROUNDS_AT_LEAST,
    ROUNDS_AT_MOST,
    ROUNDS_TO_REFUSE,
)

QUIET = [1.0] * 8


def scaled(factor: float) -> list[float]:
    return [factor * seconds for seconds in QUIET]


def test_fastest_quartile_is_mean_of_fastest_quarter() -> None:
    assert fastest_quartile([8.0, 1.0, 7.0, 3.0, 6.0, 5.0, 9.0, 4.0]) == 2.0


def test_fewer_than_four_samples_count_by_the_fastest() -> None:
    assert fastest_quartile([3.0, 2.0]) == 2.0


def test_the_estimate_ignores_slow_outliers() -> None:
    disturbed = [0.5, 0.5, 0.5, 0.5, 5.0, 9.0, 7.0, 30.0]

    found = ratio(disturbed, QUIET)

    assert found.value == 0.5


def test_quiet_samples_have_the_known_spread_as_interval() -> None:
    found = ratio(scaled(0.5), QUIET)

    assert found.low == pytest.approx(0.5 * math.exp(-1.96 * RATIO_SD))
    assert found.high == pytest.approx(0.5 * math.exp(1.96 * RATIO_SD))


def test_ratio_is_variant_time_over_original_time() -> None:
    assert ratio(scaled(3.0), scaled(2.0)).value == 1.5


def test_spread_is_half_distance_from_minimum_to_first_quartile() -> None:
    samples = [1.0, 1.5, 1.2, *[9.0] * 5]  # of eight, the third fastest is the one at the first quartile

    found = ratio(samples, QUIET)

    assert found.high / found.value == pytest.approx(1.5 ** (1.96 / 2))
    assert found.value / found.low == pytest.approx(1.5 ** (1.96 / 2))


def test_interval_of_two_samples_has_spread() -> None:
    found = ratio([1.0, 2.0], [1.0, 1.0])

    assert found.high / found.value == pytest.approx(2.0 ** (1.96 / 2))


@pytest.mark.parametrize("side", ["variant", "original"])
def test_the_interval_widens_with_the_spread_of_the_fastest_samples_of_either(side: str) -> None:
    spread = [[1.0, 1.0 + by, *[1.0 + 2 * by] * 6] for by in (0.0, 0.1, 0.3, 0.8)]

    found = [ratio(samples, QUIET) if side == "variant" else ratio(QUIET, samples) for samples in spread]

    widths = [row.high / row.low for row in found]
    assert widths == sorted(set(widths))


def test_interval_of_one_sample_is_unbounded() -> None:
    found = ratio([0.5], [1.0])

    assert (found.value, found.low, found.high) == (0.5, 0.0, math.inf)


@pytest.mark.parametrize(
    ("of", "to"),
    [([], QUIET), (QUIET, []), ([], []), ([math.nan] * 4, QUIET), (QUIET, [0.0] * 4), (QUIET, [math.inf] * 4)],
    ids=["none", "none-of-the-original", "none-at-all", "nan", "zero", "infinite"],
)
def test_ratio_without_samples_is_nan(of: list[float], to: list[float]) -> None:
    found = ratio(of, to)

    assert all(math.isnan(value) for value in (found.value, found.low, found.high))


@pytest.mark.parametrize(
    ("bound", "clear"),
    [
        (Bound(None, 0.6), True),
        (Bound(None, 0.4), True),
        (Bound(0.4, 0.6), True),
        (Bound(None, 0.505), False),
        (Bound(0.495, None), False),
        (Bound(0.1, 0.505), False),
        (Bound(None, None), True),
        (Bound(0.49, None), True),
        (Bound(None, 0.51), True),
    ],
    ids=["inside", "outside", "between", "upper-within", "lower-within", "one-of-two-within", "open", "low", "high"],
)
def test_interval_clears_bounds_outside_it(bound: Bound, clear: bool) -> None:
    assert clears(Ratio(0.5, 0.49, 0.51), bound) is clear


def test_nan_ratio_clears_no_bound() -> None:
    assert clears(Ratio(math.nan, math.nan, math.nan), Bound(None, None)) is False


@pytest.mark.parametrize(
    ("bound", "within"),
    [
        (Bound(None, 0.6), True),
        (Bound(None, 0.51), True),
        (Bound(0.49, None), True),
        (Bound(0.49, 0.51), True),
        (Bound(None, None), True),
        (Bound(None, 0.505), False),
        (Bound(0.495, None), False),
        (Bound(None, 0.4), False),
        (Bound(0.6, None), False),
    ],
    ids=str,
)
def test_ratio_holds_where_its_whole_interval_lies_within(bound: Bound, within: bool) -> None:
    assert holds(Ratio(0.5, 0.49, 0.51), bound) is within
    assert holds(Ratio(math.nan, math.nan, math.nan), bound) is False


@pytest.mark.parametrize(("rounds", "stops"), [(ROUNDS_TO_REFUSE - 1, False), (ROUNDS_TO_REFUSE, True)])
def test_what_would_be_red_is_looked_at_once_more(rounds: int, stops: bool) -> None:
    assert enough(rounds, 99.0, {"original": QUIET, "lite": scaled(3.0)}, {"lite": Bound(None, 0.8)}) is stops


def test_sampling_goes_on_while_any_bounded_ratio_is_undecided() -> None:
    samples = {"original": QUIET, "lite": scaled(0.5), "scripted": scaled(1.0)}
    clear, close = Bound(None, 0.8), Bound(0.99, None)

    assert decided(samples, {"lite": clear}, clears) is True
    assert decided(samples, {"lite": clear, "scripted": close}, clears) is False


def test_ratio_far_outside_bound_is_decided() -> None:
    far = {"original": QUIET, "lite": scaled(3.0)}

    assert decided(far, {"lite": Bound(None, 0.8)}, clears) is True
    assert decided(far, {"lite": Bound(None, 0.8)}, holds) is False


def test_variants_without_samples_do_not_prolong_sampling() -> None:
    for may in (clears, holds):
        assert decided({"original": QUIET}, {"lite": Bound(None, 0.8)}, may) is True
        assert decided({"lite": QUIET}, {"lite": Bound(None, 1.0)}, may) is True


@pytest.mark.parametrize(
    ("rounds", "seconds", "clear", "stops"),
    [
        (ROUNDS_AT_LEAST - 1, 99.0, True, False),
        (ROUNDS_AT_LEAST, QUICK_SECONDS, True, True),
        (ROUNDS_AT_LEAST, 0.9 * QUICK_SECONDS, True, False),
        (QUICK_ROUNDS - 1, 0.9 * QUICK_SECONDS, True, False),
        (QUICK_ROUNDS, 0.9 * QUICK_SECONDS, True, True),
        (ROUNDS_AT_LEAST, 99.0, False, False),
        (ROUNDS_AT_MOST - 1, 99.0, False, False),
        (ROUNDS_AT_MOST, 99.0, False, True),
    ],
)
def test_sampling_stops_when_it_is_decided_or_long_enough(
    rounds: int, seconds: float, clear: bool, stops: bool
) -> None:
    samples = {"original": QUIET, "lite": scaled(0.5 if clear else 0.8)}

    assert enough(rounds, seconds, samples, {"lite": Bound(None, 0.8)}) is stops


@pytest.mark.parametrize(
    ("asleep", "rounds", "stops"), [(0.05, 3, False), (0.01, 3, True), (0.05, ROUNDS_AT_MOST, True)]
)
def test_more_rounds_are_taken_while_something_sleeps(asleep: float, rounds: int, stops: bool) -> None:
    samples = {"original": QUIET, "lite": scaled(0.5)}

    assert enough(rounds, 99.0, samples, {"lite": Bound(None, 0.8)}, asleep) is stops


@pytest.mark.parametrize(
    ("slept", "share"), [([0.2, 0.0, 0.0], 0.0), ([0.2, 0.05, 0.05], 0.05), ([0.3, 0.3, 0.0, 0.0], 0.1)]
)
def test_time_asleep_leaves_out_the_worst_call(slept: list[float], share: float) -> None:
    thread, waited = [1.0] * len(slept), [0.5] * len(slept)
    wall = [1.5 + each for each in slept]

    assert asleep_per_cpu(wall, thread, waited) == pytest.approx(share, abs=1e-4)


def test_worst_call_is_the_one_that_sleeps_most_for_its_cpu_time() -> None:
    wall, thread = [10.1, 0.15, 1.0], [10.0, 0.1, 1.0]  # it sleeps 1%, 50% and not at all

    assert asleep_per_cpu(wall, thread, [0.0] * 3) == pytest.approx(0.1 / 11, abs=1e-4)
    assert asleep_per_cpu([1.5, 1.0], [1.0, 1.0], [0.0, 0.0]) == pytest.approx(0.0, abs=1e-4)
