"""Numerics of outputs: what is apart is seen, and nothing that is no number ever passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitgate.judge.metrics import compare, cosine, largest_difference, margins, paired_accuracy, sqnr, SQNR_CEILING
from vitgate.spec.outcome import Finding

from .made_evidence import by_name

LOGITS: Any = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]], dtype=np.float32)
LABELS = np.array([2, 1])


def spoilt(value: float) -> np.ndarray:
    other = LOGITS.copy()
    other[1, 2] = value
    return other


def one_hot(labels: Any, classes: int = 3) -> Any:
    return np.eye(classes, dtype=np.float32)[np.asarray(labels)]


def test_sqnr_is_ten_decibels_for_noise_of_a_tenth_of_the_power() -> None:
    reference = np.full((4, 4), 10.0, dtype=np.float32)

    value = sqnr(reference, reference + np.float32(math.sqrt(10.0)))

    assert value == pytest.approx(10.0, abs=1e-5)


def test_sqnr_of_equal_outputs_is_the_ceiling() -> None:
    assert sqnr(LOGITS, LOGITS.copy()) == SQNR_CEILING


def test_cosine_is_the_smallest_over_rows() -> None:
    other = LOGITS * np.array([[1.0], [-1.0]], dtype=np.float32)

    value = cosine(LOGITS, other)

    assert value == pytest.approx(-1.0)


def test_largest_difference_is_in_units_of_the_reference_spread() -> None:
    other = LOGITS.copy()
    other[0, 0] += 2.0

    value = largest_difference(LOGITS, other)

    assert value == pytest.approx(2.0 / float(np.std(LOGITS)))


def test_compare_gives_three_findings_without_bounds() -> None:
    findings = compare(LOGITS, LOGITS * np.float32(1.01), against="original")

    sqnr_db, cosine, largest = (row.value for row in findings)
    assert findings == (
        Finding("sqnr", sqnr_db, "dB", against="original"),
        Finding("cosine", cosine, "1", against="original", judged=False),
        Finding("largest_difference", largest, "std of logits", against="original"),
    )
    assert all(math.isfinite(row.value) for row in findings)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy on Inf - Inf, the subject of the test
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["reference", "other"])
def test_no_statistic_of_outputs_with_nan_or_inf_is_finite(bad: float, side: str) -> None:
    pair = (spoilt(bad), LOGITS) if side == "reference" else (LOGITS, spoilt(bad))

    findings = compare(*pair, against="original")

    assert [row.statistic for row in findings if math.isfinite(row.value)] == []


@pytest.mark.parametrize(
    "other",
    [LOGITS[:1], LOGITS[:, :2], np.empty((0, 3), np.float32), LOGITS.T],
    ids=["fewer-pictures", "fewer-classes", "empty", "transposed"],
)
def test_unequal_shapes_are_nan_with_note(other: NDArray[Any]) -> None:
    findings = compare(LOGITS, other, against="parent")

    assert all(math.isnan(row.value) for row in findings)
    assert all(str(LOGITS.shape) in row.note and str(other.shape) in row.note for row in findings)


@pytest.mark.filterwarnings("error")  # the mean of nothing
def test_empty_outputs_are_nan() -> None:
    nothing = np.empty((0, 3), np.float32)

    findings = compare(nothing, nothing, against="parent")

    assert all(math.isnan(row.value) for row in findings)
    assert {row.note for row in findings} == {"shapes (0, 3) and (0, 3)"}
    assert math.isnan(cosine(nothing, nothing))
    assert math.isnan(largest_difference(nothing, nothing))


def test_one_class_of_one_picture_can_be_compared() -> None:
    findings = compare(np.array([[2.0]], np.float32), np.array([[1.8]], np.float32), against="parent")

    assert findings[0].value == pytest.approx(20.0, abs=1e-5)


@pytest.mark.filterwarnings("error")  # a division by zero would give NaN too
def test_cosine_of_zero_row_is_nan() -> None:
    assert math.isnan(cosine(LOGITS * np.array([[1.0], [0.0]], np.float32), LOGITS))


def test_small_and_large_numbers_are_measured_alike() -> None:
    assert cosine(LOGITS * np.float32(1e-3), LOGITS) == pytest.approx(1.0)
    assert cosine(LOGITS * np.float32(1e25), LOGITS * np.float32(1e25)) == pytest.approx(1.0)  # squares exceed float32
    assert largest_difference(LOGITS / 64, LOGITS / 32) == pytest.approx(largest_difference(LOGITS, LOGITS * 2))


def test_the_spread_is_taken_in_double_precision() -> None:
    reference = np.random.default_rng(0).normal(1e4, 0.01, (50, 50)).astype(np.float32)

    assert largest_difference(reference, reference + np.float32(1.0)) == pytest.approx(
        float(np.max(np.abs(reference - (reference + np.float32(1.0))))) / float(np.std(reference.astype(np.float64))),
        rel=1e-12,
    )


def test_sqnr_of_broadcastable_shapes_is_nan() -> None:
    assert math.isnan(sqnr(LOGITS, LOGITS[:1]))


def test_zero_reference_is_nan() -> None:
    zeros = np.zeros_like(LOGITS)

    findings = compare(zeros, LOGITS, against="original")

    assert all(math.isnan(row.value) for row in findings)


def test_margin_is_distance_to_best_other_class() -> None:
    values = margins(LOGITS, np.array([2, 0]))

    assert values.tolist() == [1.0, -1.5]


def test_equal_predictions_change_no_accuracy() -> None:
    found = by_name(paired_accuracy(LOGITS, LOGITS, LABELS))

    low = found["accuracy_change_low"].value
    assert tuple(found.values()) == (
        Finding("accuracy", 1.0, "1"),
        Finding("accuracy_change_low", low, "1", against="original", note="0 pictures gained, 0 lost of 2"),
        Finding("agreement", 1.0, "1", against="original"),
    )


@pytest.mark.parametrize(
    ("gained", "lost", "n", "expected"),
    [
        # Worked out by hand from Agresti and Min, "Simple improved confidence intervals for comparing matched
        # proportions", Statistics in Medicine 24 (2005), 729-740: add 1/2 to each cell of the 2x2 table, so that
        # n* = n + 2, b* = gained + 1/2, c* = lost + 1/2, and take the Wald interval
        # (b* - c*)/n* ± 1.959964 sqrt((b* + c*) - (b* - c*)²/n*)/n*.
        (0, 0, 98, -1.959964 * math.sqrt(1.0) / 100),
        (2, 5, 98, -0.03 - 1.959964 * math.sqrt(8 - 9 / 100) / 100),
        (10, 0, 198, 0.05 - 1.959964 * math.sqrt(11 - 100 / 200) / 200),
    ],
    ids=["nothing-changed", "three-lost-net", "ten-gained"],
)
def test_paired_accuracy_interval_is_agresti_min(gained: int, lost: int, n: int, expected: float) -> None:
    labels = np.zeros(n, dtype=int)
    reference, other = one_hot(labels), one_hot(labels)
    reference[:gained] = one_hot([1])
    other[gained : gained + lost] = one_hot([1])

    found = by_name(paired_accuracy(reference, other, labels))

    assert found["accuracy_change_low"].value == pytest.approx(expected, abs=1e-7)


def test_lost_pictures_lower_interval_and_more_pictures_narrow_it() -> None:
    labels = np.zeros(400, dtype=int)

    def low(lost: int, n: int) -> float:
        other = one_hot(labels[:n])
        other[:lost] = one_hot([1])
        return by_name(paired_accuracy(one_hot(labels[:n]), other, labels[:n]))["accuracy_change_low"].value

    by_loss = [low(lost, 400) for lost in range(12)]
    by_size = [low(0, n) for n in (50, 100, 200, 400)]

    assert by_loss == sorted(by_loss, reverse=True)
    assert len(set(by_loss)) == 12
    assert by_size == sorted(by_size)
    assert by_size[-1] < 0.0


@pytest.mark.parametrize(
    ("reference", "other", "labels"),
    [
        (LOGITS, LOGITS, LABELS[:1]),
        (LOGITS, LOGITS[:1], LABELS),
        (LOGITS[:0], LOGITS[:0], LABELS[:0]),
        (LOGITS, spoilt(math.nan), LABELS),
        (LOGITS, spoilt(math.inf), LABELS),
        (spoilt(math.nan), LOGITS, LABELS),
    ],
    ids=["fewer-labels", "fewer-outputs", "none", "nan", "inf", "nan-in-reference"],
)
def test_accuracy_of_incomparable_logits_is_nan(
    reference: NDArray[Any], other: NDArray[Any], labels: NDArray[Any]
) -> None:
    findings = paired_accuracy(reference, other, labels)

    assert [row.statistic for row in findings] == ["accuracy"]
    assert math.isnan(findings[0].value)

    note = f"shapes {reference.shape} and {other.shape}, {len(labels)} labels, or NaN or Inf among the logits"
    assert findings == (Finding("accuracy", math.nan, "1", note=note),)  # math.nan is one object, so equal to itself


@pytest.mark.parametrize(("logit", "accuracy"), [(1.0, 1.0), (-1.0, 0.0)])
def test_accuracy_of_single_logit_uses_its_sign(logit: float, accuracy: float) -> None:
    one = np.array([[logit]], dtype=np.float32)

    assert by_name(paired_accuracy(one, one, np.array([1])))["accuracy"].value == accuracy


def test_cosine_of_single_logits_is_omitted() -> None:
    assert [found.statistic for found in compare(LOGITS[:, :1], LOGITS[:, :1], against="parent")] == [
        "sqnr",
        "largest_difference",
    ]
