"""Batches, callers and threads are judged by the worst of their answers, and nothing vacuous passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vitgate.judge.serving import batched, batched_int8, concurrent, per_picture, threads

ALONE = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32)


def noisy(share: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=ALONE.shape)
    return (ALONE + share * noise).astype(np.float32)


def test_worst_size_of_batch_is_judged() -> None:
    judged, *shown = batched({"alone": ALONE, "batch_1": ALONE, "batch_8": noisy(1e-3)})

    assert judged.value == pytest.approx(60.0, abs=1.0)
    assert judged.note.startswith("1: 200.0 dB; 8: ")
    assert [(each.statistic, each.value, each.judged) for each in shown] == [("same_labels", 1.0, False)]


@pytest.mark.parametrize(
    "batch", [ALONE[:, :5], ALONE * math.nan, ALONE[:0]], ids=["other classes", "not a number", "none"]
)
def test_incomparable_batch_is_no_number(batch: np.ndarray) -> None:
    judged = batched({"alone": ALONE, "batch_8": ALONE, "batch_4": batch})[0]

    assert math.isnan(judged.value) and not judged.ok


def test_without_a_batch_nothing_passes() -> None:
    assert math.isnan(batched({"alone": ALONE})[0].value)
    assert math.isnan(batched_int8({"alone": ALONE}, ALONE, {})[0].value)


def test_int8_error_is_held_against_that_of_the_batch() -> None:
    own = {"alone": noisy(0.01), "batch_1": noisy(0.01), "batch_8": noisy(0.02)}
    expected = {"batch_1": noisy(0.01, 2), "batch_8": noisy(0.02, 3)}
    as_alone = {"batch_1": noisy(0.01, 2), "batch_8": noisy(0.01, 3)}

    right, wrong = (batched_int8(own, ALONE, each)[0] for each in (expected, as_alone))

    assert (right.value, right.statistic, right.against) == (0.0, "sqnr_change", "expected")
    assert wrong.value < -1.5
    assert [each.judged for each in batched_int8(own, ALONE, expected)] == [True, False, False]


def test_rows_in_another_order_are_found() -> None:
    own = {"alone": noisy(0.01), "batch_8": np.roll(noisy(0.01), 1, axis=0)}

    assert batched_int8(own, ALONE, {"batch_8": noisy(0.01, 2)})[0].value < -30.0


@pytest.mark.parametrize(("answers", "changed", "value"), [(80, 0, 0.0), (80, 3, 3.0), (0, 0, math.nan)])
def test_changed_answers_are_counted(answers: int, changed: int, value: float) -> None:
    found = concurrent({"answers": answers, "changed": changed, "worst_sqnr": 26.6})

    assert found.value == pytest.approx(value, nan_ok=True)
    assert ("26.6 dB" in found.note) == bool(changed)


def test_time_of_a_picture_in_the_largest_batch_is_shown() -> None:
    found = per_picture({"1": 0.004, "32": 0.001, "8": 0.002})

    assert (found.value, found.judged, found.note) == (0.25, False, "8: 0.50; 32: 0.25")
    assert math.isnan(per_picture({"1": 0.0, "8": 0.002}).value)


def split(**fields: Any) -> dict[str, Any]:
    made = {"allowed": 2, "pictures": 8, "took": [1, 2], "ran": [1, 2], "seconds": [0.004, 0.002]}
    return {**made, **fields}


def test_logits_on_all_threads_are_held_against_those_on_one() -> None:
    (near, _, speed), (far, *_) = threads(split(), ALONE, ALONE), threads(split(), ALONE, noisy(1e-3))

    assert (near.value, near.note) == (200.0, "bit for bit")
    assert (far.value, far.note) == (pytest.approx(60.0, abs=1.0), "")
    assert (speed.value, speed.judged, speed.note) == (2.0, False, "of 8: 4.00 and 2.00 ms")


@pytest.mark.parametrize(("took", "value"), [([1, 2], 2.0), ([1, 1], 1.0), ([2, 2], math.nan)])
def test_threads_count_where_the_runtime_was_on_one_before(took: list[int], value: float) -> None:
    found = threads(split(took=took), ALONE, ALONE)[1]

    assert found.value == pytest.approx(value, nan_ok=True)
    assert (found.judged, found.note) == (True, "2 were seen; 2 cores")


def test_logits_of_another_shape_on_all_threads_are_no_number() -> None:
    assert math.isnan(threads(split(), ALONE, ALONE[:8])[0].value)
