"""The judge of pairs: its words, when it stops, and how often it is wrong, by simulation."""

import math
import random

import pytest

from vitgate.judge.pairs import (
    FAIL,
    FASTER,
    interval,
    judged,
    more_needed,
    OFFSET_SD,
    pair_ratio,
    PairRatio,
    PAIRS_AT_LEAST,
    PAIRS_AT_MOST,
    PASS,
    PROCESS_GROWTH,
    START_GROWTH,
    Timed,
    unmeasured,
    WALL_GROWTH,
)

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, settings  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

PAIR_OF_STARTS = ((0.1, (0.3, 0.1)), (0.3, (0.4, 0.4)))

few = settings(max_examples=50, deadline=None)  # the time of one example on a busy machine says nothing
factors = st.lists(st.floats(0.2, 5.0), min_size=1, max_size=PAIRS_AT_MOST)
seconds = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=24)


def pairs(*ratios, **guards):
    return [PairRatio(ratio, 10.0, 10.0 * ratio, **guards) for ratio in ratios]


def timed(*calls, wall=1.0, process=1.0):
    return Timed(calls, tuple(process * each for each in calls), tuple(wall * each for each in calls))


def compared(true, sd, rng):
    """Run the whole comparison on simulated pairs whose offsets are normal."""
    taken = []
    while more_needed(taken):
        taken += pairs(true * math.exp(rng.gauss(0.0, sd)))
    return judged(taken)


def share(word, true, sd, runs=1000):
    rng = random.Random(0)
    return sum(compared(true, sd, rng).word == word for _ in range(runs)) / runs


def test_a_pair_is_the_ratio_of_the_fastest_quarters_and_the_growth_of_the_guards():
    old = timed(0.010, 0.011, 0.5, 0.9)
    new = timed(0.012, 0.013, 0.6, 0.6, wall=3.0, process=2.0)

    found = pair_ratio(old, new)

    assert found.ratio == pytest.approx(1.2)
    assert (found.old_ms, found.new_ms) == pytest.approx((10.0, 12.0))
    assert (found.wall, found.process) == pytest.approx((3.0, 2.0))


def test_a_quarter_of_undisturbed_calls_is_enough_for_a_guard():
    disturbed = Timed((0.01,) * 8, (0.01,) * 8, (0.05,) * 6 + (0.01,) * 2)

    assert pair_ratio(timed(*[0.01] * 8), disturbed).wall == 1.0


def test_one_call_that_was_charged_for_time_it_did_not_run_hides_no_sleep():
    sleeps = Timed((0.01,) * 31 + (0.5,), (0.01,) * 31 + (0.5,), (0.03,) * 31 + (0.52,))

    assert pair_ratio(timed(*[0.01] * 32), sleeps).wall > 2.5


def test_loading_and_first_calls_grow_by_what_they_take_together():
    old, new = (Timed((1.0,), (1.0,), (1.0,), load=(load,), first=first) for load, first in PAIR_OF_STARTS)

    found = pair_ratio(old, new)

    assert (found.load, found.first) == pytest.approx((3.0, 2.0), rel=0.1)
    assert (judged([found] * 3).load, judged([found] * 3).first) == (found.load, found.first)


def test_a_start_that_takes_no_time_or_was_not_told_grows_by_nothing():
    quick, slow = (Timed((1.0,), (1.0,), (1.0,), load=(seconds,)) for seconds in (1e-6, 1e-5))

    assert pair_ratio(quick, slow).load == pytest.approx(1.0, abs=0.01)
    assert pair_ratio(quick, slow).first == pair_ratio(timed(1.0), slow).load == 1.0


@pytest.mark.parametrize("broken", [(), (0.0,), (math.nan,), (math.inf,), (-1.0,)])
def test_a_pair_without_positive_times_never_counts(broken):
    for old, new in [(timed(*broken), timed(1.0)), (timed(1.0), timed(*broken))]:
        with pytest.raises(ValueError, match="positive"):
            pair_ratio(old, new)


@pytest.mark.parametrize(
    "ratios, word, pairs_more",
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
def test_words_and_the_end_of_measuring(ratios, word, pairs_more):
    assert more_needed(pairs(*ratios)) is pairs_more
    found = judged(pairs(*ratios))
    assert (found.word, found.pairs, found.ratios) == (word, len(ratios), ratios)


def test_between_pass_and_fail_it_passes_with_a_note():
    found = judged(pairs(*[1.04] * 8))

    assert found.word == "same" and found.note.startswith("4.0% slower")


def test_too_few_pairs_are_no_verdict():
    found = judged(pairs(1.0, 1.0))

    assert found.word == "environment error" and math.isnan(found.ratio)
    assert unmeasured("not comparable", "why").note == "why"


@pytest.mark.parametrize(
    "guard, limit",
    [("wall", WALL_GROWTH), ("process", PROCESS_GROWTH), ("load", START_GROWTH), ("first", START_GROWTH)],
)
def test_a_guard_counts_where_most_pairs_show_it(guard, limit):
    shown, not_shown = (pairs(0.5, **{guard: factor * limit})[0] for factor in (1.1, 0.9))
    always, mostly, half = [shown] * 8, [*[shown] * 5, *[not_shown] * 3], [*[shown] * 4, *[not_shown] * 4]

    assert {judged(taken).word for taken in (always, mostly)} == {"regressed"}
    assert f"{1.1 * limit:.2f} times (median of 8 pairs)" in judged(always).note
    assert judged(half).word == "fixed"
    assert more_needed(always[:3]) and more_needed([shown, not_shown, shown]) and not more_needed(always)
    assert not more_needed([shown, not_shown, not_shown])


def test_a_note_of_the_controller_is_kept():
    assert judged(pairs(1.0, 1.0, 1.0), "not pinned").note == "not pinned"
    assert judged(pairs(*[1.04] * 8), "not pinned").note.endswith("; not pinned")


def test_one_pair_says_nothing_of_its_spread():
    assert interval(pairs(1.0))[1:] == (0.0, math.inf)


@few
@given(factors, st.floats(0.1, 10.0))
def test_the_interval_holds_the_mean_scales_with_the_ratios_and_is_never_narrower_than_the_floor(ratios, factor):
    mean, low, high = interval(pairs(*ratios))
    scaled = interval(pairs(*(factor * ratio for ratio in ratios)))

    assert low < mean < high
    assert scaled == pytest.approx((factor * mean, factor * low, factor * high), rel=1e-9)
    assert high / mean >= math.exp(2.3 * OFFSET_SD / math.sqrt(PAIRS_AT_MOST))


@few
@given(factors)
def test_the_order_of_pairs_does_not_matter_and_sides_swapped_turn_the_interval_over(ratios):
    mean, low, high = interval(pairs(*ratios))

    assert interval(pairs(*reversed(ratios))) == pytest.approx((mean, low, high))
    mirrored = interval(pairs(*(1.0 / ratio for ratio in ratios)))
    assert mirrored[0] == pytest.approx(1.0 / mean)
    assert mirrored[1] == pytest.approx(1.0 / high)


@few
@given(factors)
def test_a_word_and_its_number_never_contradict_each_other(ratios):
    found = judged(pairs(*ratios))

    if found.word == "regressed":
        assert found.ratio > FAIL
    if found.word == "fixed":
        assert found.ratio < FASTER and found.high < 1.0
    if found.word == "same":
        assert found.ratio <= FAIL and bool(found.note) is (found.ratio >= PASS)


@few
@given(factors)
def test_it_stops_between_the_least_and_the_most_pairs(ratios):
    taken = []
    for ratio in [*ratios, *[1.04] * PAIRS_AT_MOST]:
        if not more_needed(taken):
            break
        taken += pairs(ratio)

    assert PAIRS_AT_LEAST <= len(taken) <= PAIRS_AT_MOST


@few
@given(seconds, seconds, st.floats(0.01, 100.0))
def test_the_unit_of_time_does_not_matter(old, new, factor):
    found = pair_ratio(timed(*old), timed(*new))
    scaled = pair_ratio(timed(*(factor * each for each in old)), timed(*(factor * each for each in new)))

    assert scaled.ratio == pytest.approx(found.ratio, rel=1e-9)
    assert found.new_ms / found.old_ms == pytest.approx(found.ratio, rel=1e-9)


@few
@given(seconds, seconds)
def test_rounds_add_up(first, second):
    both = timed(*first) + timed(*second)

    assert both.thread == (*first, *second) and len(both.wall) == len(both.process) == len(both.thread)


@pytest.mark.parametrize("sd", [0.011, 0.02, 0.03])
def test_false_alarms_are_rare_and_a_tenth_is_found(sd):
    assert share("regressed", 1.0, sd) <= 0.001
    assert share("regressed", 1.10, sd) >= 0.998
    assert share("regressed", 1.08, sd) >= 0.98
    assert share("fixed", 1.0, sd) <= 0.001
