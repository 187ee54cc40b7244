"""Batches, callers and threads are judged by the worst of their answers, and nothing vacuous passes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vitgate.judge.computed import spread
from vitgate.judge.serving import batched, batched_int8, concurrent, per_picture, threads
from vitgate.spec.outcome import Finding

ALONE = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32)


def noisy(share: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=ALONE.shape)
    return (ALONE + share * noise).astype(np.float32)


def off(power: int, logits: np.ndarray = ALONE) -> np.ndarray:
    """Return logits that a noise of 2**-power of each is added to, without rounding: of `decibels(power)`."""
    return logits.astype(np.float64) * (1.0 + 2.0**-power)


def decibels(power: int) -> float:
    return 10.0 * math.log10(4.0**power)


def near(value: float, note: str) -> Finding:
    return Finding("sqnr", value, "dB", against="alone", note=note)


def kept(share: float) -> Finding:
    return Finding("same_labels", share, "1", against="alone", judged=False)


# Batches


def test_worst_batch_is_judged_and_labels_of_largest_are_shown() -> None:
    swapped = off(10)
    swapped[:4] = np.flip(ALONE[:4], axis=1)  # the largest batch alone moves labels, of four pictures

    one, eight = ({"batch_1": off(10)[:1], "batch_8": off(each)[:8]} for each in (5, 20))

    assert batched({"alone": ALONE, **one}) == (near(decibels(5), "1: 60.2 dB; 8: 30.1 dB"), kept(1.0))
    assert batched({"alone": ALONE, **eight}) == (near(decibels(10), "1: 60.2 dB; 8: 120.4 dB"), kept(1.0))
    assert batched({"alone": ALONE, **one, "batch_16": swapped})[1:] == (kept(0.75),)


@pytest.mark.parametrize("size", [2, 8])
@pytest.mark.parametrize(
    "batch", [ALONE[:, :5], ALONE * math.nan, ALONE[:0]], ids=["other classes", "not a number", "none"]
)
def test_incomparable_batch_is_no_number_wherever_it_stands(batch: np.ndarray, size: int) -> None:
    judged = batched({"alone": ALONE, "batch_1": ALONE, "batch_4": ALONE, f"batch_{size}": batch})[0]

    assert math.isnan(judged.value) and not judged.ok


@pytest.mark.parametrize("batch", [ALONE[:, :5], ALONE[:0], np.tile(ALONE, (2, 1))], ids=["classes", "none", "more"])
def test_labels_of_an_incomparable_batch_are_not_shown(batch: np.ndarray) -> None:
    assert batched({"alone": ALONE, "batch_8": batch}) == (near(math.nan, "8: nan dB"),)


def test_without_a_batch_nothing_passes() -> None:
    none = Finding("sqnr_change", math.nan, "dB", against="expected", note="no batch")

    assert batched({"alone": ALONE}) == (near(math.nan, ""),)
    assert batched_int8({"alone": ALONE}, ALONE, {}) == (none,)


def test_int8_batch_that_is_worst_beside_its_expected_error_is_judged() -> None:
    own = {"alone": ALONE, "batch_1": off(6), "batch_4": off(4), "batch_8": off(6), "batch_16": ALONE}
    expected = {"batch_1": off(5), "batch_4": off(6), "batch_8": off(6)}  # 16 has none

    change = decibels(4) - decibels(6) + spread(ALONE.size)
    note = "1: 36.1 of 30.1 dB expected; 4: 24.1 of 36.1 dB expected; 8: 36.1 of 36.1 dB expected"
    shown = near(decibels(4), "1: 36.1 dB; 4: 24.1 dB; 8: 36.1 dB; 16: 200.0 dB")
    assert batched_int8(own, ALONE, expected) == (
        Finding("sqnr_change", change, "dB", against="expected", note=note),
        replace(shown, judged=False),
        kept(1.0),
    )


def test_int8_batch_is_held_against_first_pictures_of_original() -> None:
    found = batched_int8({"alone": ALONE, "batch_4": off(6)[:4]}, ALONE, {"batch_4": off(6)[:4]})[0]

    assert (found.value, found.note) == (0.0, "4: 36.1 of 36.1 dB expected")


def test_int8_batch_that_is_no_number_outweighs_any_other() -> None:
    own = {"alone": ALONE, "batch_1": off(2), "batch_8": ALONE * math.nan}

    assert math.isnan(batched_int8(own, ALONE, {"batch_1": off(6), "batch_8": off(6)})[0].value)


def test_int8_error_is_held_against_that_of_the_batch() -> None:
    own = {"alone": noisy(0.01), "batch_1": noisy(0.01), "batch_8": noisy(0.02)}
    expected = {"batch_1": noisy(0.01, 2), "batch_8": noisy(0.02, 3)}
    as_alone = {"batch_1": noisy(0.01, 2), "batch_8": noisy(0.01, 3)}

    right, wrong = (batched_int8(own, ALONE, each)[0] for each in (expected, as_alone))

    assert right.value == 0.0
    assert wrong.value < -1.5


def test_rows_in_another_order_are_found() -> None:
    own = {"alone": noisy(0.01), "batch_8": np.roll(noisy(0.01), 1, axis=0)}

    assert batched_int8(own, ALONE, {"batch_8": noisy(0.01, 2)})[0].value < -30.0


# Callers and times


@pytest.mark.parametrize(
    ("answers", "changed", "value", "note"),
    [(80, 0, 0.0, "of 80"), (80, 3, 3.0, "of 80, the worst at 26.6 dB"), (0, 0, math.nan, "of 0")],
)
def test_changed_answers_are_counted(answers: int, changed: int, value: float, note: str) -> None:
    found = concurrent({"answers": answers, "changed": changed, "worst_sqnr": 26.6})

    assert found == Finding("changed_answers", value, "1", against="serial", note=note)


@pytest.mark.parametrize(
    ("seconds", "value", "note"),
    [
        ({"1": 0.004, "32": 0.001, "8": 0.002}, 0.25, "8: 0.50; 32: 0.25"),
        ({"1": 0.0, "8": 0.002}, math.nan, ""),
        ({"1": 0.004}, math.nan, ""),
    ],
    ids=["batches", "no time alone", "no batch"],
)
def test_time_of_a_picture_in_the_largest_batch_is_shown(seconds: dict[str, float], value: float, note: str) -> None:
    assert per_picture(seconds) == Finding("time_per_picture", value, "1", against="alone", judged=False, note=note)


# Threads


def split(**fields: Any) -> dict[str, Any]:
    made = {"allowed": 4, "pictures": 8, "took": [1, 2], "ran": [1, 3], "seconds": [8.0, 4.0]}
    return {**made, **fields}


def test_logits_threads_and_times_on_all_cores_are_held_against_those_on_one() -> None:
    assert threads(split(), ALONE, ALONE) == (
        Finding("sqnr", 200.0, "dB", against="one_thread", note="bit for bit"),
        Finding("threads", 2.0, "1", note="3 were seen; 4 cores"),
        Finding("speedup", 2.0, "1", judged=False, note="of 8: 8000.00 and 4000.00 ms"),
    )


@pytest.mark.parametrize(("every", "value"), [(off(10), decibels(10)), (ALONE[:8], math.nan)], ids=["far", "shape"])
def test_other_logits_on_all_threads_are_not_bit_for_bit(every: np.ndarray, value: float) -> None:
    assert threads(split(), ALONE, every)[0] == Finding("sqnr", value, "dB", against="one_thread")


@pytest.mark.parametrize(("took", "value"), [([1, 2], 2.0), ([1, 1], 1.0), ([2, 2], math.nan)])
def test_threads_count_where_the_runtime_was_on_one_before(took: list[int], value: float) -> None:
    assert threads(split(took=took), ALONE, ALONE)[1] == Finding("threads", value, "1", note="3 were seen; 4 cores")


@pytest.mark.parametrize(
    ("pictures", "seconds", "value", "note"),
    [
        (1, [0.004, 0.002], 2.0, "alone: 4.00 and 2.00 ms"),
        (2, [0.004, 0.016], 0.25, "of 2: 4.00 and 16.00 ms"),
        (1, [0.004, 0.0], math.nan, "alone: 4.00 and 0.00 ms"),
    ],
    ids=["one picture", "slower", "no time"],
)
def test_speed_is_shown_with_its_times(pictures: int, seconds: list[float], value: float, note: str) -> None:
    found = threads(split(pictures=pictures, seconds=seconds), ALONE, ALONE)[2]

    assert found == Finding("speedup", value, "1", judged=False, note=note)
