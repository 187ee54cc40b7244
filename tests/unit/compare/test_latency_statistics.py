"""The judge of pairs: its words, when it stops, and how often it is wrong, by simulation."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest

from vitgate.compare.latency_statistics import (
    FAIL,
    FASTER,
    interval,
    judged,
    more_needed,
    OFFSET_SD,
    pair_ratio,
    Paired,
    PairRatio,
    PAIRS_AT_LEAST,
    PAIRS_AT_MOST,
    PASS,
    PROCESS_GROWTH,
    START_GROWTH,
    Timed,
    unmeasured,
)

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

PAIR_OF_STARTS = ((0.1, (0.3, 0.1)), (0.3, (0.4, 0.4)))

factors = st.lists(st.floats(0.2, 5.0), min_size=1, max_size=PAIRS_AT_MOST)
seconds = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=24)


def pairs(*ratios: float, **guards: Any) -> list[PairRatio]:
    return [PairRatio(ratio, 10.0, 10.0 * ratio, **guards) for ratio in ratios]


def timed(*calls: float, wall: float = 1.0, process: float = 1.0, waited: float = 0.0) -> Timed:
    clocks = [tuple(factor * each for each in calls) for factor in (process, wall, waited)]
    return Timed(calls, clocks[0], clocks[1], waited=clocks[2])


def compared(true: float, sd: float, rng: Any) -> Paired:
    """Run the whole comparison on simulated pairs whose offsets are normal."""
    taken: list[Any] = []
    while more_needed(taken):
        taken += pairs(true * math.exp(rng.gauss(0.0, sd)))
    return judged(taken)


def share(word: str, true: float, sd: float, runs: int = 1000) -> float:
    rng = random.Random(0)
    return sum(compared(true, sd, rng).word == word for _ in range(runs)) / runs


def test_pair_has_ratio_of_fastest_quarters_and_guard_growths() -> None:
    old = timed(0.010, 0.011, 0.5, 0.9)
    new = timed(0.012, 0.013, 0.6, 0.6, wall=3.0, process=2.0, waited=1.5)

    found = pair_ratio(old, new)

    assert found.ratio == pytest.approx(1.2)
    assert (found.old_ms, found.new_ms) == pytest.approx((10.0, 12.0))
    assert (found.asleep, found.process, found.waited) == pytest.approx((0.5, 2.0, 1.5), abs=1e-3)


def test_single_sleeping_call_is_ignored() -> None:
    once = Timed((0.01,) * 8, (0.01,) * 8, (0.01,) * 7 + (0.05,), waited=(0.0,) * 8)

    assert pair_ratio(timed(*[0.01] * 8), once).asleep == 0.0


def test_busy_neighbour_does_not_count_as_time_asleep() -> None:
    busy = Timed((0.01,) * 8, (0.01,) * 8, (0.05,) * 8, waited=(0.04,) * 8)

    found = pair_ratio(timed(*[0.01] * 8), busy)

    assert found.asleep == pytest.approx(0.0)
    assert judged([found] * 3).note == "the machine was busy: 4.0 s of waiting for a processor a second of CPU time"


@pytest.mark.parametrize("broken", [{"wall": (0.001,) * 8}, {"waited": (0.0,) * 7}], ids=["wall", "waited"])
def test_inconsistent_clocks_are_refused(broken: dict[str, tuple[float, ...]]) -> None:
    good: dict[str, tuple[float, ...]] = dict.fromkeys(("thread", "process", "wall"), (0.01,) * 8)
    good["waited"] = (0.0,) * 8
    with pytest.raises(ValueError, match="^a pair needs clocks that agree$"):
        pair_ratio(Timed(**good), Timed(**{**good, **broken}))


def test_time_asleep_is_not_judged_without_waiting_times() -> None:
    unknown = Timed((0.01,) * 8, (0.01,) * 8, (0.05,) * 8)

    assert pair_ratio(timed(*[0.01] * 8), unknown).asleep == 0.0


def test_load_and_first_call_growth_is_over_their_sum() -> None:
    old, new = (Timed((1.0,), (1.0,), (1.0,), load=(load,), first=first) for load, first in PAIR_OF_STARTS)

    found = pair_ratio(old, new)

    assert (found.load, found.first) == pytest.approx((3.0, 2.0), rel=0.1)
    assert (judged([found] * 3).load, judged([found] * 3).first) == (found.load, found.first)


def test_negligible_or_missing_start_time_has_no_growth() -> None:
    quick, slow = (Timed((1.0,), (1.0,), (1.0,), load=(seconds,)) for seconds in (1e-6, 1e-5))

    assert pair_ratio(quick, slow).load == pytest.approx(1.0, abs=0.01)
    assert pair_ratio(quick, slow).first == pair_ratio(timed(1.0), slow).load == 1.0


@pytest.mark.parametrize("broken", [(), (0.0,), (math.nan,), (math.inf,), (-1.0,)])
def test_pair_without_positive_times_is_refused(broken: tuple[float, ...]) -> None:
    for old, new in [(timed(*broken), timed(1.0)), (timed(1.0), timed(*broken))]:
        with pytest.raises(ValueError, match="positive"):
            pair_ratio(old, new)


@pytest.mark.parametrize(
    ("ratios", "word", "pairs_more"),
    [
        ((1.0, 1.0, 1.0), "same", False),
        ((1.02, 1.02, 1.02), "same", False),
        ((1.03, 1.03, 1.03), "same", True),
        ((1.07, 1.07, 1.07), "regressed", True),
        ((1.2, 1.2, 1.2), "regressed", False),
        ((1.04,) * 8, "same", False),
        ((1.06,) * 8, "regressed", False),
        ((0.98,) * 3, "same", False),
        ((0.8, 0.8, 0.8), "fixed", False),
        ((0.6, 0.95, 1.2), "same", False),  # its interval includes 1
    ],
)
def test_ratios_decide_verdict_and_end_of_measuring(ratios: tuple[float, ...], word: str, pairs_more: bool) -> None:
    assert more_needed(pairs(*ratios)) is pairs_more
    found = judged(pairs(*ratios))
    assert (found.word, found.pairs, found.ratios) == (word, len(ratios), ratios)


def test_ratio_between_limits_is_same_with_note() -> None:
    found = judged(pairs(*[1.04] * 8))

    assert found.word == "same"
    assert found.note.startswith("4.0% slower")


def test_too_few_pairs_are_environment_error() -> None:
    found = judged(pairs(1.0, 1.0))

    assert found.word == "environment error"
    assert math.isnan(found.ratio)
    assert unmeasured("not comparable", "why").note == "why"


@pytest.mark.parametrize(
    ("guard", "limit"),
    [("process", PROCESS_GROWTH), ("load", START_GROWTH), ("first", START_GROWTH)],
)
def test_guard_trips_if_most_pairs_exceed_it(guard: str, limit: float) -> None:
    shown, not_shown = (pairs(0.5, **{guard: factor * limit})[0] for factor in (1.1, 0.9))
    always, mostly, half = [shown] * 8, [*[shown] * 5, *[not_shown] * 3], [*[shown] * 4, *[not_shown] * 4]

    assert {judged(taken).word for taken in (always, mostly)} == {"regressed"}
    assert f"{1.1 * limit:.2f} times (median of 8 pairs)" in judged(always).note
    assert judged(half).word == "fixed"
    assert more_needed(always[:3])
    assert more_needed([shown, not_shown, shown])
    assert not more_needed(always)
    assert not more_needed([shown, not_shown, not_shown])


def test_controller_note_is_kept() -> None:
    assert judged(pairs(1.0, 1.0, 1.0), "not pinned").note == "not pinned"
    assert judged(pairs(1.5, 1.5, 1.5)).note == ""
    assert judged(pairs(*[1.04] * 8), "not pinned").note.endswith("; not pinned")


def test_interval_of_one_pair_is_unbounded() -> None:
    assert interval(pairs(1.0))[1:] == (0.0, math.inf)


@given(factors, st.floats(0.1, 10.0))
def test_interval_contains_mean_scales_and_has_minimum_width(ratios: list[float], factor: float) -> None:
    mean, low, high = interval(pairs(*ratios))
    scaled = interval(pairs(*(factor * ratio for ratio in ratios)))

    assert low < mean < high
    assert scaled == pytest.approx((factor * mean, factor * low, factor * high), rel=1e-9)
    assert high / mean >= math.exp(2.3 * OFFSET_SD / math.sqrt(PAIRS_AT_MOST))


@given(factors)
def test_interval_ignores_pair_order_and_inverts_with_swapped_sides(ratios: list[float]) -> None:
    mean, low, high = interval(pairs(*ratios))

    assert interval(pairs(*reversed(ratios))) == pytest.approx((mean, low, high))
    mirrored = interval(pairs(*(1.0 / ratio for ratio in ratios)))
    assert mirrored[0] == pytest.approx(1.0 / mean)
    assert mirrored[1] == pytest.approx(1.0 / high)


@given(factors)
def test_verdict_and_ratio_never_contradict(ratios: list[float]) -> None:
    found = judged(pairs(*ratios))

    if found.word == "regressed":
        assert found.ratio > FAIL
    if found.word == "fixed":
        assert found.ratio < FASTER
        assert found.high < 1.0
    if found.word == "same":
        assert found.ratio <= FAIL
        assert bool(found.note) is (found.ratio >= PASS)


@given(factors)
def test_measuring_stops_between_minimum_and_maximum_pairs(ratios: list[float]) -> None:
    taken: list[Any] = []
    for ratio in [*ratios, *[1.04] * PAIRS_AT_MOST]:
        if not more_needed(taken):
            break
        taken += pairs(ratio)

    assert PAIRS_AT_LEAST <= len(taken) <= PAIRS_AT_MOST


@given(seconds, seconds, st.floats(0.01, 100.0))
def test_the_unit_of_time_does_not_matter(old: list[float], new: list[float], factor: float) -> None:
    found = pair_ratio(timed(*old), timed(*new))
    scaled = pair_ratio(timed(*(factor * each for each in old)), timed(*(factor * each for each in new)))

    assert scaled.ratio == pytest.approx(found.ratio, rel=1e-9)
    assert found.new_ms / found.old_ms == pytest.approx(found.ratio, rel=1e-9)


@given(seconds, seconds)
def test_timed_rounds_are_concatenated(first: list[float], second: list[float]) -> None:
    both = timed(*first) + timed(*second)

    assert both.thread == (*first, *second)
    assert len(both.wall) == len(both.process) == len(both.thread)


@pytest.mark.parametrize("sd", [0.011, 0.02, 0.03])
def test_false_alarms_are_rare_and_ten_percent_is_found(sd: float) -> None:
    assert share("regressed", 1.0, sd) <= 0.001
    assert share("regressed", 1.10, sd) >= 0.998
    assert share("regressed", 1.08, sd) >= 0.98
    assert share("fixed", 1.0, sd) <= 0.001


def test_unmeasured_latency_has_no_numbers() -> None:
    found = unmeasured("environment error", "why")

    assert (found.pairs, found.word, found.note, found.ratios) == (0, "environment error", "why", ())
    numbers = (found.ratio, found.low, found.high, found.old_ms, found.new_ms, found.load, found.first)
    assert all(math.isnan(number) for number in numbers)
    assert judged(pairs(1.0, 1.0)).note == "only 2 of 3 pairs were measured"
    assert judged(pairs(1.0), "a worker died").note == "a worker died"


def test_times_are_the_medians_of_the_pairs() -> None:
    times = ((1, 4, 1.1), (3, 5, 1.3), (9, 9, 1.2))
    of = [PairRatio(1.0, old, new, load=load, first=1.5 * load) for old, new, load in times]

    found = judged(of)

    assert (found.old_ms, found.new_ms, found.load) == (3, 5, 1.2)
    assert found.first == pytest.approx(1.8)


def test_interval_is_student_t_of_log_ratios() -> None:
    logs = (0.0, 0.1, 0.2, 0.5)
    half = 3.182 * statistics.stdev(logs) / 2

    found = interval(pairs(*map(math.exp, logs)))

    assert found == pytest.approx((math.exp(0.2), math.exp(0.2 - half), math.exp(0.2 + half)))
    least = 12.706 * OFFSET_SD / math.sqrt(2)
    assert interval(pairs(1.0, 1.0)) == pytest.approx((1.0, math.exp(-least), math.exp(least)))


def test_last_quantile_is_used_beyond_table() -> None:
    half = 2.365 * OFFSET_SD / math.sqrt(12)

    assert interval(pairs(*[1.0] * 12)) == pytest.approx((1.0, math.exp(-half), math.exp(half)))


def test_notes_name_the_guard_its_growth_and_its_limit() -> None:
    def noted(**guard: Any) -> str:
        return judged([PairRatio(1.0, 10.0, 10.0, **guard)] * 3).note

    grew = "grew 3.00 times (median of 3 pairs), more than"
    slept = "time asleep (sleeps, locks, I/O) grew by 5.0% of the CPU time (median of 3 pairs), more than 2.5%"
    assert noted(asleep=0.05) == slept
    assert noted(process=3.0) == f"CPU time of the process per that of one thread (more threads) {grew} 1.25"
    assert noted(load=3.0) == f"CPU time of loading {grew} 2.00"
    assert noted(first=3.0) == f"CPU time of the first calls {grew} 2.00"
    assert judged(pairs(*[1.04] * 8)).note == "4.0% slower: more than noise usually is, less than the 5% that fail"
    assert judged(pairs(*[0.5] * 3)).note == "faster"
    assert judged(pairs(*[0.5] * 3), "not pinned").note == "faster; not pinned"


@pytest.mark.parametrize(("guard", "limit"), [("asleep", 0.025), ("process", 1.25), ("load", 2.0), ("first", 2.0)])
def test_a_guard_at_its_limit_is_not_tripped(guard: str, limit: float) -> None:
    assert judged(pairs(*[1.0] * 3, **{guard: limit})).word == "same"
    assert judged(pairs(*[1.0] * 3, **{guard: limit + 0.01})).word == "regressed"


@pytest.mark.parametrize(
    ("mean", "word"),
    [(FAIL - 1e-6, "same"), (FAIL + 1e-6, "regressed"), (FASTER - 1e-6, "fixed"), (FASTER + 1e-6, "same")],
)
def test_words_change_at_their_limits(mean: float, word: str) -> None:
    assert judged(pairs(*[mean] * 8)).word == word


def test_measuring_ends_at_the_limits() -> None:
    assert more_needed(pairs(PASS + 1e-9, PASS + 1e-9, PASS + 1e-9))
    assert not more_needed(pairs(*[PASS - 1e-9] * 3))
    assert more_needed(pairs(*[1.04] * (PAIRS_AT_MOST - 1)))
    assert not more_needed(pairs(*[1.04] * PAIRS_AT_MOST))
    assert more_needed(pairs(1.0))
    assert more_needed(pairs(*[1.0] * (PAIRS_AT_LEAST - 1)))


def test_loading_and_first_calls_grow_as_sums_over_a_floor() -> None:
    def started(load: tuple[float, ...], first: tuple[float, ...]) -> Timed:
        return Timed((1.0,), (1.0,), (1.0,), load, first)

    found = pair_ratio(started((0.1,), (0.2, 0.1)), started((0.3,), (0.5, 0.1)))

    assert (found.load, found.first) == pytest.approx((0.302 / 0.102, 0.602 / 0.302))
    for old, new in (((), (9.0,)), ((0.1,), ())):
        silent = pair_ratio(started(old, old), started(new, new))
        assert (silent.load, silent.first) == (1.0, 1.0)


@pytest.mark.parametrize("kind", ["thread", "process", "wall", "load", "first"])
@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf])
def test_each_time_of_a_pair_must_be_positive(kind: str, bad: float) -> None:
    good = {name: (1.0, 1.0) for name in ("thread", "process", "wall", "load", "first")}

    for sides in ((good, {**good, kind: (1.0, bad)}), ({**good, kind: (1.0, bad)}, good)):
        with pytest.raises(ValueError, match="^a pair needs positive times of both sides$"):
            pair_ratio(*(Timed(**side) for side in sides))


def test_guard_refuses_unequal_numbers_of_samples() -> None:
    with pytest.raises(ValueError):
        pair_ratio(Timed((1.0, 1.0), (1.0,), (1.0, 1.0)), Timed((1.0,), (1.0,), (1.0,)))


def test_guard_growth_is_new_relative_to_old() -> None:
    found = pair_ratio(timed(1.0, wall=1.5, process=2.0), timed(1.0, wall=1.75, process=2.5))

    assert (found.asleep, found.process) == pytest.approx((0.25, 1.25))
