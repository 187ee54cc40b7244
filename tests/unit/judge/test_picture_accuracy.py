"""Accuracy, agreement and calibration with their intervals: known values, properties, and small folders."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.judge.metrics import Interval, paired_change, Z
from vitgate.judge.picture_accuracy import (
    accuracy,
    BINS,
    calibration_change,
    calibration_terms,
    changes,
    CONFIDENCE,
    LABEL,
    of_variant,
    Predictions,
    predictions_from,
    TOP,
    wilson,
)
from vitgate.judge.tolerances import read_tolerances
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, Finding, Outcome

from .made_evidence import by_name

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
given, st = hypothesis.given, hypothesis.strategies


def predictions(top: object, confidence: object = 0.9) -> Predictions:
    tops = np.asarray(top)
    return Predictions(tops, np.broadcast_to(np.asarray(confidence, float), tops.shape), np.full(tops.shape, -0.5))


def names(n: int) -> list[str]:
    return [f"c/{number}.png" for number in range(n)]


def judged(findings: tuple[Finding, ...], variant: str = "lite", weights: str = "own") -> list[str]:
    """Return the statistics that the committed tolerances call out of bounds."""
    cell = CellId("deit_tiny", "qnnpack", variant)  # type: ignore[arg-type]  # a name of the table
    bounded = [read_tolerances().bounded("images", finding, cell, weights, "x86_64") for finding in findings]
    return [finding.statistic for finding in bounded if not finding.ok]


# Intervals


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombe(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3."""
    found = wilson(successes, n)

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.value == successes / n


@given(st.integers(1, 60_000), st.data())
def test_wilson_interval_contains_share(n: Any, data: Any) -> None:
    successes = data.draw(st.integers(0, n))
    found, other = wilson(successes, n), wilson(n - successes, n)

    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert (found.low, found.high) == pytest.approx((1.0 - other.high, 1.0 - other.low))


@given(st.integers(1, 60_000), st.data())
def test_paired_change_is_antisymmetric(n: Any, data: Any) -> None:
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))
    there, back = paired_change(gained, lost, n), paired_change(lost, gained, n)

    assert (there.value, there.low) == pytest.approx((-back.value, -back.high))
    assert there.low < (gained - lost) / (n + 2) < there.high


def test_interval_is_formatted_as_text() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "95% interval 0.2500 to 0.7500"


# Calibration


def expected_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """The definition, bin by bin, as Guo et al. (2017) write it."""
    total = 0.0
    for m in range(BINS):
        inside = (confidence > m / BINS) & (confidence <= (m + 1) / BINS)
        if inside.any():
            total += inside.sum() / len(right) * abs(right[inside].mean() - confidence[inside].mean())
    return total


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=1, max_size=200))
def test_calibration_error_is_mean_of_terms(rows: Any) -> None:
    right, confidence = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])

    assert calibration_terms(right, confidence).mean() == pytest.approx(expected_error(right, confidence), abs=1e-12)


def test_calibration_error_of_known_predictions_is_right() -> None:
    right, confidence = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.95, 0.95, 0.55, 0.55])

    assert calibration_terms(right, confidence).mean() == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)


def test_rounding_of_float32_moves_no_confidence_to_another_bin() -> None:
    confidence = np.array([1 / 15, 0.05, 1.0000001, 0.95], np.float32)  # a little more than 1 / 15, and than 1

    terms = calibration_terms(np.array([1.0, 0.0, 1.0, 1.0]), confidence)

    little, low, beyond, high = confidence.astype(np.float64).tolist()
    assert terms.tolist() == [1.0 - little, low, 1.0 - beyond, 1.0 - high]


@pytest.mark.parametrize("confidence", [0.0, 1.0, 1 / 15, 1e-9])
def test_confidences_0_and_1_have_a_bin(confidence: float) -> None:
    terms = calibration_terms(np.zeros(3), np.full(3, confidence))

    assert terms == pytest.approx(confidence)


def test_a_change_of_calibration_is_covered_by_its_interval() -> None:
    """Of 300 folders of 200 pictures at least 93% of the intervals hold the change of a very large one."""
    rng = np.random.default_rng(0)

    def folder(n: int) -> Interval:
        confidence = rng.uniform(0.35, 1.0, n)
        right = rng.random(n) < confidence - 0.2
        sharper = np.minimum(1.0, confidence + 0.08 + rng.normal(0, 0.02, n))
        return calibration_change(
            calibration_terms(right.astype(float), confidence), calibration_terms(right.astype(float), sharper)
        )

    true = folder(500_000).value
    found = [folder(200) for _ in range(300)]
    assert true == pytest.approx(0.07, abs=0.01)
    assert np.mean([each.low <= true <= each.high for each in found]) >= 0.93


@pytest.mark.parametrize(
    ("own", "change", "variance"),
    [
        ([0.9], 0.9, 1.0 / 1 + 1 / 9),
        ([0.0, 0.0, 0.2, 0.2], 0.1, 0.04 / 3 / 4 + 1 / 36),
        ([1.0, 0.0], 0.5, 0.25 + 1 / 16),
    ],
    ids=["one picture", "four", "two"],
)
def test_interval_of_calibration_adds_two_pictures_of_doubt(own: list[float], change: float, variance: float) -> None:
    found = calibration_change(np.zeros(len(own)), np.array(own))

    half = Z * math.sqrt(variance)
    assert (found.value, found.low, found.high) == pytest.approx((change, change - half, change + half))


@pytest.mark.parametrize(
    ("low", "high", "least"), [(-0.2, 0.1, 0.0), (0.1, 0.2, 0.1), (-0.2, -0.1, -0.1), (0.0, 0.1, 0.0)], ids=str
)
def test_least_change_of_interval_is_its_number_nearest_to_zero(low: float, high: float, least: float) -> None:
    assert Interval((low + high) / 2, low, high).least == least


# Findings


def test_right_pictures_are_numbers_that_can_be_subtracted() -> None:
    right = predictions([0, 1, 2, 9]).right(np.arange(4))

    assert (right.tolist(), right.dtype) == ([1.0, 1.0, 1.0, 0.0], np.float64)


def test_accuracy_has_its_interval_calibration_and_likelihood() -> None:
    interval = wilson(3, 4)

    assert accuracy(predictions([0, 1, 2, 9], 0.5), np.arange(4)) == (
        Finding("accuracy", 0.75, "1", note="95% interval 0.3006 to 0.9544, 4 pictures"),
        Finding("accuracy_low", interval.low, "1", judged=False),
        Finding("accuracy_high", interval.high, "1", judged=False),
        Finding("calibration_error", 0.25, "1", judged=False),
        Finding("nll", 0.5, "nats", judged=False),
    )


def test_likelihood_of_many_pictures_is_a_mean_of_doubles() -> None:
    own = Predictions(np.arange(4), np.full(4, 0.5), np.array([-(2.0**25), -1.0, -1.0, -1.0], np.float32))

    assert by_name(accuracy(own, np.arange(4)))["nll"].value == 2.0**23 + 0.75


@pytest.mark.parametrize(("floor", "ok"), [(0.95, True), (0.96, False)])
def test_stated_accuracy_above_interval_fails(floor: float, ok: bool) -> None:
    found = by_name(accuracy(predictions([0, 1, 2, 9]), np.arange(4), floor))["accuracy_high"]

    assert found.ok == ok
    assert found == Finding("accuracy_high", wilson(3, 4).high, "1", lower=floor, tolerance="--images-accuracy")


def test_changes_have_their_intervals_and_are_judged_by_their_ends() -> None:
    original, own = predictions([0, 1, 2, 3, 4, 5, 9, 9], 0.5), predictions([0, 1, 2, 3, 4, 7, 6, 7], 0.75)
    change, same = paired_change(2, 1, 8), wilson(5, 8)
    error = calibration_change(np.repeat([0.5, -0.5], [6, 2]), np.array([0.25] * 5 + [-0.75, 0.25, 0.25]))
    words = "3 labels changed: c/5.png: 5 is 7, c/6.png: 9 is 6, c/7.png: 9 is 7"

    found = changes(original, own, np.arange(8), names(8))

    assert found == tuple(
        Finding(statistic, value, "1", against="original", judged=bool(note), note=note)
        for statistic, value, note in [
            ("accuracy_change", 0.125, ""),
            ("accuracy_change_high", change.high, f"2 pictures gained, 1 lost of 8, {change}"),
            ("agreement", 0.625, ""),
            ("agreement_high", same.high, f"{same}; {words}"),
            ("calibration_change", -0.125, ""),
            ("calibration_change_least", 0.0, str(error)),
            ("changed_labels", 3.0, ""),
        ]
    )


def test_equal_predictions_are_within_every_bound() -> None:
    own = predictions(np.arange(500))

    for variant in ("scripted", "lite"):
        assert judged(accuracy(own, np.arange(500)) + changes(own, own, np.arange(500), names(500)), variant) == []


@pytest.mark.parametrize("weights", ["standin", "pretrained", "file", "own"])
@pytest.mark.parametrize("variant", ["scripted", "lite"])
def test_one_wrong_label_of_five_pictures_is_not_red(variant: str, weights: str) -> None:
    original, own = predictions(np.arange(5)), predictions([0, 1, 2, 3, 9])

    red = judged(changes(original, own, np.arange(5), names(5)), variant, weights)

    assert red == ([] if variant == "lite" else ["agreement_high"])  # a float variant has no reason to change any


def test_large_folder_detects_four_percent_loss() -> None:
    labels = np.arange(2000)
    own = predictions(np.where(labels % 25 == 0, -1, labels), 0.98)

    assert judged(changes(predictions(labels, 0.98), own, labels, names(2000))) == ["accuracy_change_high"]


def test_balanced_label_changes_are_no_loss() -> None:
    labels = np.arange(2000)
    original, own = (np.where(labels % 50 == rest, -1, labels) for rest in (0, 1))

    found = changes(predictions(original), predictions(own), labels, names(2000))

    assert by_name(found)["accuracy_change"].value == 0.0
    assert by_name(found)["changed_labels"].value == 80
    assert judged(found) == []


@pytest.mark.parametrize(("confidence", "red"), [(0.97, []), (0.7, ["calibration_change_least"])])
def test_miscalibrated_confidence_is_detected(confidence: float, red: list[str]) -> None:
    labels = np.arange(1000)

    assert judged(changes(predictions(labels, 0.99), predictions(labels, confidence), labels, names(1000))) == red


def test_much_better_calibration_is_detected() -> None:
    labels = np.arange(1000)
    found = changes(predictions(labels, 0.5), predictions(labels, 0.99), labels, names(1000))

    assert judged(found) == ["calibration_change_least"]
    assert by_name(found)["calibration_change_least"].value < 0.0


def test_the_first_changed_labels_are_named() -> None:
    own = predictions([5, 1, 6, 7, 8])

    note = by_name(changes(predictions(np.arange(5)), own, np.arange(5), names(5)))["agreement_high"].note

    assert note.endswith("; 4 labels changed: c/0.png: 0 is 5, c/2.png: 2 is 6, c/3.png: 3 is 7, …")
    same = by_name(changes(own, own, np.arange(5), names(5)))["agreement_high"].note
    assert same == f"{wilson(5, 5)}; no label changed"


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (predictions([0, 1]), "(2,) predictions for (3,) labels"),
        (predictions([]), "(0,) predictions for (3,) labels"),
        (predictions(np.arange(3), [0.9, np.nan, 0.9]), "NaN or Inf for 1 pictures"),
        (Predictions(np.arange(3), np.full(3, 0.9), np.array([-1.0, -np.inf, np.nan])), "NaN or Inf for 2 pictures"),
        (Predictions(np.arange(3), np.full(2, 0.9), np.full(3, -1.0)), "(3,) predictions for (3,) labels"),
        (Predictions(np.arange(3), np.full(3, 0.9), np.full(2, -1.0)), "(3,) predictions for (3,) labels"),
    ],
    ids=["fewer", "none", "nan", "inf", "fewer confidences", "fewer likelihoods"],
)
def test_nan_accuracy_never_passes(own: Predictions, problem: str) -> None:
    labels = np.arange(3)
    good = predictions(labels)

    found = accuracy(own, labels)
    pairs = [changes(*pair, labels, names(3)) for pair in ((good, own), (own, good))]

    assert found == (Finding("accuracy", math.nan, "1", note=problem),)
    assert pairs == [(Finding("agreement_high", math.nan, "1", against="original", note=problem),)] * 2
    assert [judged(each) for each in (found, *pairs)] == [["accuracy"], ["agreement_high"], ["agreement_high"]]


def test_no_picture_at_all_is_a_problem() -> None:
    found = accuracy(predictions([]), np.arange(0))

    assert found == (Finding("accuracy", math.nan, "1", note="(0,) predictions for (0,) labels"),)


# Evidence


def evidence(outcomes: dict[str, object] | None = None) -> Evidence:
    columns = {TOP: np.arange(2), CONFIDENCE: np.full(2, 0.5), LABEL: np.full(2, -1.0)}
    return Evidence({"outcomes": outcomes or {}}, {f"{name}-lite": column for name, column in columns.items()})


def test_evidence_of_variant_is_extracted_from_its_group() -> None:
    own = predictions_from(of_variant(evidence(), "lite"))

    assert (own.top.tolist(), own.confidence.tolist(), own.label.tolist()) == ([0, 1], [0.5, 0.5], [-1.0, -1.0])


def test_a_variant_that_failed_has_its_own_outcome() -> None:
    failed = Outcome("failed at", "run", "RuntimeError", "no")

    assert of_variant(evidence({"optimized": failed.to_json()}), "optimized").outcome == failed
    assert of_variant(Evidence(outcome=failed), "lite").outcome == failed
    assert of_variant(evidence(), "lite_frozen").outcome == Outcome("failed", message="lite_frozen did not run")


def test_documented_number_of_pictures_reveals_each_loss() -> None:
    page = (fixtures_folder().parent / "docs" / "own-pictures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \|$", page, re.MULTILINE)
    lost = {int(share): int(count.replace(",", "")) for share, count in rows}

    def red(share: int, n: int) -> bool:
        labels = np.arange(n)
        own = predictions(np.where(labels < round(n * share / 100), -1, labels), 0.98)
        return "accuracy_change_high" in judged(changes(predictions(labels, 0.98), own, labels, names(n)))

    assert set(lost) == {3, 4, 5, 10}
    assert {share: next(n for n in range(10, 5000, 10) if red(share, n)) for share in lost} == lost
