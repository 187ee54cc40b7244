"""Batches and threads are judged by the worst of their answers, and nothing vacuous passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitgate.judge.serving import batched, batched_int8, concurrent

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
