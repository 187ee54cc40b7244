"""The numbers that say how far two sets of outputs are apart. NumPy only: inputs are arrays that runtimes stored.

Shapes are [pictures, classes], float32. Nothing compared, NaN and unequal shapes are failures, never a pass: the
functions then return findings with the value NaN, which no bound admits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from vitgate.spec.outcome import Finding

Array = npt.NDArray[np.float32]

# Equal outputs have an infinite ratio; JSON and the tables need a number, and float32 cannot resolve more than this.
SQNR_CEILING = 200.0

ROUNDING_DB = 100.0
"""Above this, two float32 results differ by rounding alone, which another processor does otherwise: the scripted digits
model is bit-equal to the original on an Intel Xeon and at 140 dB on an AMD EPYC. It is the bound of the claims on float
variants too."""


def by_class(logits: Array) -> Array:
    """Return logits of at least two classes, [pictures, classes]: a single one is that of class 1, class 0 having 0.

    Its sign is then the label, its size the margin, and its sigmoid the confidence.
    """
    return np.hstack([np.zeros_like(logits), logits]) if logits.ndim == 2 and logits.shape[1] == 1 else logits


def top1(logits: Array) -> npt.NDArray[np.int64]:
    """Return the label that each row gives, int64 [pictures]."""
    labels: npt.NDArray[np.int64] = by_class(logits).argmax(axis=1)
    return labels


def sqnr(reference: Array, other: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB, at most SQNR_CEILING.

    NaN where there is no number to give: NaN, Inf or nothing in the outputs, a reference of zeros, unequal shapes.
    """
    if reference.shape != other.shape:
        return math.nan
    signal, noise = _power(reference), _power(reference.astype(np.float64) - other.astype(np.float64))
    if not (math.isfinite(signal) and math.isfinite(noise)) or signal == 0.0:
        return math.nan
    return SQNR_CEILING if noise == 0.0 else min(SQNR_CEILING, 10.0 * math.log10(signal / noise))


def _power(values: npt.NDArray[np.floating]) -> float:
    return float(np.mean(np.square(values, dtype=np.float64))) if values.size else math.nan


def cosine(reference: Array, other: Array) -> float:
    """Return the smallest cosine between rows."""
    a, b = reference.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.min(np.sum(a * b, axis=1) / norms)) if a.size and np.all(norms > 0) else math.nan


def largest_difference(reference: Array, other: Array) -> float:
    """Return the largest absolute difference in units of the reference's standard deviation."""
    spread = float(np.std(reference, dtype=np.float64)) if reference.size else 0.0
    return float(np.max(np.abs(reference - other))) / spread if spread > 0 else math.nan


def compare(reference: Array, other: Array, *, against: str) -> tuple[Finding, ...]:
    """Return SQNR, cosine and largest difference of `other` from `reference`, without bounds yet.

    The cosine is shown: what it would find, the SQNR does. That of single logits is left out, it is a sign.

    Args:
        reference: Logits, float32 [pictures, classes].
        other: The same of what is judged.
        against: What `reference` is, for the findings: `original`, `parent`.
    """
    same = reference.shape == other.shape and reference.size > 0
    note = "" if same else f"shapes {reference.shape} and {other.shape}"
    values = (
        ("sqnr", sqnr, "dB"),
        ("cosine", cosine, "1"),
        ("largest_difference", largest_difference, "std of logits"),
    )
    return tuple(
        Finding(
            name,
            function(reference, other) if same else math.nan,
            unit,
            against=against,
            note=note,
            judged=name != "cosine",
        )
        for name, function, unit in values
        if name != "cosine" or other.shape[1:] != (1,)
    )


def margins(logits: Array, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return per row how far the label's logit lies above the best other one; negative where the label is lost."""
    rows = np.arange(len(labels))
    own = by_class(logits)[rows, labels].astype(np.float64)
    others = by_class(logits).astype(np.float64)
    others[rows, labels] = -np.inf
    result: npt.NDArray[np.float64] = own - others.max(axis=1)
    return result


def paired_accuracy(reference: Array, other: Array, labels: npt.NDArray[np.int64]) -> tuple[Finding, ...]:
    """Return accuracy, the lower end of the 95% interval of its change against `reference`, and top-1 agreement.

    The change is of paired proportions on the same pictures, as in `paired_change`.

    Args:
        reference: The original's logits, float32 [pictures, classes].
        other: The variant's.
        labels: int64 [pictures].
    """
    same = reference.shape == other.shape and other.size > 0 and len(other) == len(labels)
    if not (same and np.isfinite(reference).all() and np.isfinite(other).all()):
        note = f"shapes {reference.shape} and {other.shape}, {len(labels)} labels, or NaN or Inf among the logits"
        return (Finding("accuracy", math.nan, "1", note=note),)
    right, was_right = top1(other) == labels, top1(reference) == labels
    gained, lost = int(np.sum(right & ~was_right)), int(np.sum(~right & was_right))
    note, change = f"{gained} pictures gained, {lost} lost of {len(labels)}", paired_change(gained, lost, len(labels))
    agreement = float(np.mean(top1(other) == top1(reference)))
    return (
        Finding("accuracy", float(np.mean(right)), "1"),
        Finding("accuracy_change_low", change.low, "1", against="original", note=note),
        Finding("agreement", agreement, "1", against="original"),
    )


@dataclass(frozen=True)
class Interval:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def least(self) -> float:
        """The number nearest to 0 in the interval: of a change, the least that is sure."""
        return max(self.low, min(self.high, 0.0))

    def __str__(self) -> str:
        """Return the interval as a reader wants it."""
        return f"95% interval {self.low:.4f} to {self.high:.4f}"


Z = NormalDist().inv_cdf(0.975)
"""Standard deviations from the middle to the ends of a 95% interval."""


def paired_change(gained: int, lost: int, n: int) -> Interval:
    """Return the change of a proportion on the same pictures, with Agresti and Min's (2005) adjusted Wald interval.

    The interval, of 95%, keeps its coverage where few pictures change.

    Args:
        gained: Pictures that are right now and were wrong.
        lost: Pictures that are wrong now and were right.
        n: All pictures.
    """
    up, down, total = gained + 0.5, lost + 0.5, n + 2.0
    middle = (up - down) / total
    half = Z * math.sqrt((up + down - (up - down) ** 2 / total) / total**2)
    return Interval((gained - lost) / n, middle - half, middle + half)
