"""Accuracy, agreement and calibration over a folder of the user's pictures, each with its interval.

A folder may hold twelve pictures or fifty thousand. So that a small one does not turn red by chance, what is judged is
never a number itself but the end of its 95% interval that is nearer to what is wanted: red means that the data exclude
what is tolerated. How wide the interval is says what a folder can show; it stands in each finding's note.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitgate.judge.metrics import Interval, paired_change, Z
from vitgate.spec.outcome import Evidence, Finding, Outcome

TOP, CONFIDENCE, LABEL = "top", "confidence", "label_log_probability"
"""How the arrays of one variant's predictions are called."""

BINS = 15
"""Of equal width, for the expected calibration error, as in Guo et al. (2017), "On Calibration of Modern Neural
Networks"."""

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]


def of_variant(found: Evidence, variant: str) -> Evidence:
    """Return what one variant said, of the evidence that all which ran together left; or why it said nothing."""
    failed = found.values.get("outcomes", {})
    outcome = Outcome.from_json(failed[variant]) if variant in failed else found.outcome
    if outcome is not None or f"{TOP}-{variant}" not in found.arrays:
        return Evidence(outcome=outcome or Outcome("failed", message=f"{variant} did not run"))
    return Evidence(arrays={name: found.arrays[f"{name}-{variant}"] for name in (TOP, CONFIDENCE, LABEL)})


@dataclass(frozen=True)
class Predictions:
    """What one variant says of N pictures: top-1, its softmax, and the logarithm of the label's."""

    top: Integers
    confidence: Floats
    label: Floats

    def right(self, labels: Integers) -> Floats:
        """Return 1 where the top-1 is the label, otherwise 0."""
        return np.asarray(self.top == labels, np.float64)

    def problem(self, labels: Integers) -> str:
        """Say why nothing can be judged by them; empty where it can."""
        if not (self.top.shape == self.confidence.shape == self.label.shape == labels.shape) or not labels.size:
            return f"{self.top.shape} predictions for {labels.shape} labels"
        finite = np.isfinite(self.confidence) & np.isfinite(self.label)
        return "" if finite.all() else f"NaN or Inf for {int(np.sum(~finite))} pictures"


def predictions_from(evidence: Evidence) -> Predictions:
    """Return the predictions of one variant."""
    return Predictions(*(evidence.arrays[name] for name in (TOP, CONFIDENCE, LABEL)))


def wilson(successes: int, n: int) -> Interval:
    """Return a proportion with Wilson's (1927) interval, which holds for few pictures and for proportions near 1."""
    share, shrink = successes / n, 1.0 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / shrink
    half = Z * math.sqrt(share * (1.0 - share) / n + Z**2 / (4 * n**2)) / shrink
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))  # beyond rounding


def calibration_terms(right: Floats, confidence: Floats) -> npt.NDArray[np.float64]:
    """Return what each picture adds to the expected calibration error, which is their mean.

    The error is the mean over bins of |accuracy - confidence|, each weighed with its pictures; so a picture adds its
    own difference, with the sign of its bin's. Bins are open at the left: 1/15 belongs to the first.
    """
    exact = np.asarray(confidence, np.float64)
    gap = right - exact
    bins = np.clip(np.ceil(exact * BINS).astype(int) - 1, 0, BINS - 1)
    signs = np.sign(np.bincount(bins, weights=gap))
    return np.asarray(signs[bins] * gap)


def calibration_change(reference: npt.NDArray[np.float64], own: npt.NDArray[np.float64]) -> Interval:
    """Return how much the calibration error grew, with an interval of paired differences.

    The terms' signs are taken as given. Two pictures' worth of doubt is added, as in `paired_change`: a handful of
    pictures that all change alike proves little.
    """
    difference, n = own - reference, len(own)
    change, spread = float(difference.mean()), float(difference.std(ddof=1)) if n > 1 else 1.0
    half = Z * math.sqrt(spread**2 / n + 1.0 / (n + 2.0) ** 2)
    return Interval(change, change - half, change + half)


def accuracy(own: Predictions, labels: Integers, floor: float | None = None) -> tuple[Finding, ...]:
    """Return accuracy with its interval, calibration error, and the mean negative logarithm of the label's softmax.

    Args:
        own: The variant's predictions of N pictures.
        labels: int64 [N].
        floor: An accuracy, 0 to 1, that the user states (`--images-accuracy`): the interval must not lie below it.
    """
    if problem := own.problem(labels):
        return (Finding("accuracy", math.nan, "1", note=problem),)
    right = own.right(labels)
    found = wilson(int(right.sum()), len(labels))
    high = Finding("accuracy_high", found.high, "1", judged=False)
    if floor is not None:
        high = Finding("accuracy_high", found.high, "1", lower=floor, tolerance="--images-accuracy")
    error = float(calibration_terms(right, own.confidence).mean())
    return (
        Finding("accuracy", found.value, "1", note=f"{found}, {len(labels)} pictures"),
        Finding("accuracy_low", found.low, "1", judged=False),
        high,
        Finding("calibration_error", error, "1", judged=False),
        Finding("nll", -float(own.label.mean(dtype=np.float64)), "nats", judged=False),
    )


def changes(original: Predictions, own: Predictions, labels: Integers, names: list[str]) -> tuple[Finding, ...]:
    """Return how a variant differs from the original: accuracy, top-1 agreement, calibration.

    Args:
        original: The original's predictions of N pictures.
        own: The variant's.
        labels: int64 [N].
        names: Of the pictures; the note of the agreement names the first whose label changed.
    """
    if problem := own.problem(labels) or original.problem(labels):
        return (Finding("agreement_high", math.nan, "1", against="original", note=problem),)
    right, was_right = own.right(labels), original.right(labels)
    gained, lost = int(np.sum(right > was_right)), int(np.sum(right < was_right))
    change, n = paired_change(gained, lost, len(labels)), len(labels)
    other = np.flatnonzero(own.top != original.top)
    same = wilson(n - len(other), n)
    terms = [calibration_terms(each.right(labels), each.confidence) for each in (original, own)]
    error = calibration_change(terms[0], terms[1])
    counts = f"{gained} pictures gained, {lost} lost of {n}, {change}"
    return (
        _shown("accuracy_change", change.value),
        _judged("accuracy_change_high", change.high, counts),
        _shown("agreement", same.value),
        _judged("agreement_high", same.high, f"{same}; {_in_words(other, original, own, names)}"),
        _shown("calibration_change", error.value),
        _judged("calibration_change_least", error.least, str(error)),
        _shown("changed_labels", float(len(other))),
    )


def _judged(statistic: str, value: float, note: str) -> Finding:
    return Finding(statistic, value, "1", against="original", note=note)


def _shown(statistic: str, value: float) -> Finding:
    return Finding(statistic, value, "1", against="original", judged=False)


_FEW = 3


def _in_words(changed: npt.NDArray[np.intp], original: Predictions, own: Predictions, names: list[str]) -> str:
    """Name the first few pictures whose label changed."""
    if not len(changed):
        return "no label changed"
    few = [f"{names[at]}: {original.top[at]} is {own.top[at]}" for at in changed[:_FEW]]
    more = ", …" if len(changed) > _FEW else ""
    return f"{len(changed)} labels changed: {', '.join(few)}{more}"
