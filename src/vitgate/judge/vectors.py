"""What stands in the place of one label: an embedding's direction and neighbours, or a decision for each of several.

NumPy only. What int8 may change of them is what the reference arithmetic of `vitgate.expected` changes of this model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vitgate.judge.computed import spread
from vitgate.judge.metrics import Array, cosine, ROUNDING_DB, SQNR_CEILING
from vitgate.spec.outcome import Evidence, Finding

FEWEST_TO_RETRIEVE = 3
"""Of fewer pictures each has one other, which is its nearest whatever the model says."""

CLEAR_DEVIATIONS = 4.0
"""A decision is clear whose logit is as many standard deviations of the expected error from zero: 1 of 16,000 of a
normal error is larger."""

_ROUNDING = 10.0 ** (-ROUNDING_DB / 20.0)  # of float variants, relative to the signal
_LEAST = 10.0 ** (-SQNR_CEILING / 10.0)


def embeddings(
    outputs: Evidence, pictures: Evidence, original: Evidence | None, expected: Array | None
) -> tuple[Finding, ...]:
    """Return how far each embedding points from the original's, and whether its nearest picture is the original's.

    The nearest is found by cosine among the case's pictures, where there are three or more. Those count whose nearest
    is nearer in the original, to every other, than the expected error can turn.

    Args:
        outputs: `logits` float32 [N, numbers] of the variant.
        pictures: Their `names`.
        original: The original's outputs; None where the variant is the original, which need only be finite and not 0.
        expected: Those that the reference arithmetic gives for the first n pictures; None for a variant in float.
    """
    own = outputs.arrays["logits"].astype(np.float64)
    if original is None:
        sound = np.isfinite(own).all(axis=1) & (np.abs(own).max(axis=1, initial=0.0) > 0) if own.ndim == 2 else own[:0]
        return (Finding("finite", float(sound.mean()) if sound.size else math.nan, "1"),)
    reference = original.arrays["logits"].astype(np.float64)
    if problem := _incomparable(own, reference, expected):
        return (Finding("cosine", math.nan, "1", against="original", note=problem),)
    noise = _ROUNDING if expected is None else math.sqrt(_off_direction(reference, expected).max())
    return (*_direction(own, reference, expected), *_neighbours(own, reference, noise, pictures.values["names"]))


def _incomparable(own: npt.NDArray[np.floating], reference: npt.NDArray[np.floating], expected: Array | None) -> str:
    """Say why these outputs say nothing of each other; empty where they do."""
    same = own.ndim == 2 and own.size > 0 and own.shape == reference.shape
    if not same or (expected is not None and (not expected.size or expected.shape[1:] != reference.shape[1:])):
        return f"shapes {own.shape}, original {reference.shape}" + ("" if expected is None else f", {expected.shape}")
    every = [own, reference, *([] if expected is None else [expected])]
    return "" if all(np.isfinite(each).all() for each in every) else "NaN or Inf among them"


def _direction(
    own: npt.NDArray[np.float64], reference: npt.NDArray[np.float64], expected: Array | None
) -> tuple[Finding, ...]:
    least = Finding("cosine", cosine(reference, own), "1", against="original", judged=expected is None)  # type: ignore[arg-type]  # computed in float64 whatever it gets
    if expected is None:
        return (least,)
    n = len(expected)
    powers = [max(float(_off_direction(reference, each).mean()), _LEAST) for each in (expected, own[:n])]
    change, slack = 10.0 * math.log10(powers[0] / powers[1]), spread(expected.size)
    beyond = 0.0 if abs(change) <= slack else change - math.copysign(slack, change)  # NaN stays NaN
    wanted = cosine(reference[:n], expected)  # type: ignore[arg-type]  # as above
    note = f"cosine {least.value:.6f}, {wanted:.6f} expected"
    return (Finding("cosine_change", beyond, "dB", against="expected", note=note), least)


def _units(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = np.divide(wide, lengths, out=np.full_like(wide, np.nan), where=lengths > 0)
    return unit


def _off_direction(reference: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return for each row the share of its power that does not lie in the reference's direction, [n]."""
    a, b = _units(reference[: len(other)]), _units(other)
    rest = b - np.sum(a * b, axis=1, keepdims=True) * a
    power: npt.NDArray[np.float64] = np.square(rest).sum(axis=1)
    return power


def _neighbours(
    own: npt.NDArray[np.float64], reference: npt.NDArray[np.float64], noise: float, names: Sequence[str]
) -> tuple[Finding, ...]:
    if len(own) < FEWEST_TO_RETRIEVE:
        return ()
    nearest, found = _nearest(reference), _nearest(own)
    clear: list[int] = np.flatnonzero(_is_clear(reference, nearest, noise)).tolist()
    other = [at for at in clear if found[at] != nearest[at]]
    note = f"{len(clear)} of {len(own)} have a clear one"
    wrong = [f"{names[at]}: got {names[found[at]]}, expected {names[nearest[at]]}" for at in other]
    judged = clear if len(clear) else np.arange(len(own))
    same = float(np.mean(found[judged] == nearest[judged]))
    text = "; ".join([*wrong, note])
    return (Finding("same_neighbours", same, "1", against="original", judged=len(clear) > 0, note=text),)


def _nearest(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    unit = _units(rows)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    nearest: npt.NDArray[np.int64] = alike.argmax(axis=1)
    return nearest


def _is_clear(rows: npt.NDArray[np.float64], nearest: npt.NDArray[np.int64], noise: float) -> npt.NDArray[np.bool_]:
    """Return which rows keep their nearest one if each unit vector turns by `noise`, in radians.

    The difference of two cosines q·a - q·b then moves by at most noise (|a - b| + sin(q, a) + sin(q, b)).
    """
    unit = _units(rows)
    alike = np.clip(unit @ unit.T, -1.0, 1.0)
    apart = np.sqrt(2.0 - 2.0 * alike)
    sines = np.sqrt(1.0 - alike * alike)
    at = np.arange(len(rows))
    lead = alike[at, nearest][:, None] - alike
    reach = noise * (apart[nearest] + sines[at, nearest][:, None] + sines)
    same = (at[:, None] == at) | (nearest[:, None] == at)
    every: npt.NDArray[np.bool_] = np.logical_and.reduce((lead > reach) | same, axis=1)
    return every


def decisions(
    outputs: Evidence, pictures: Evidence, original: Evidence | None, expected: Array | None, *, kind: str
) -> tuple[Finding, ...]:
    """Return the share of pictures whose labels are decided as given, and of decisions that are the original's.

    A label holds where its logit is positive. A variant is judged by the original's clear decisions
    (`CLEAR_DEVIATIONS`), and not by a picture of a user's that the original itself gets wrong.

    Args:
        outputs: `logits` float32 [N, labels] of the variant.
        pictures: Their `names` and `decisions`: for each the labels that hold, and whether these are all.
        original: The original's outputs; None where the variant is the original.
        expected: Those that the reference arithmetic gives for the first n pictures; None for a variant in float.
        kind: Of the weights, as `vitgate.inputs.weights` has it.
    """
    own, reference = outputs.arrays["logits"], (original or outputs).arrays["logits"]
    given = [(frozenset(labels), bool(every)) for labels, every in pictures.values["decisions"]]
    problem = _incomparable(own, reference, expected)
    if not problem and max((label for labels, _ in given for label in labels), default=0) >= own.shape[1]:
        problem = f"a label beyond the {own.shape[1]} of the model"
    if problem:
        return (Finding("right_labels", math.nan, "1", note=problem),)
    if original is None:
        return (_right(own > 0, given, range(len(own)), pictures.values["names"]),)
    clear = np.abs(reference) > _unclear(reference, expected)
    decided = np.where(clear, own, reference) > 0
    judged = [at for at in range(len(own)) if kind != "own" or _holds(reference[at] > 0, *given[at])]
    right = [_right(decided, given, judged, pictures.values["names"])] if judged else []
    return (*right, *_same_decisions(own, reference, clear, pictures.values["names"]))


Given = tuple[frozenset[int], bool]


def _right(
    decided: npt.NDArray[np.bool_], given: Sequence[Given], judged: Sequence[int], names: Sequence[str]
) -> Finding:
    wrong = [at for at in judged if not _holds(decided[at], *given[at])]
    note = ", ".join(f"{names[at]}: got {_labels(decided[at])}, expected {_said(*given[at])}" for at in wrong)
    return Finding("right_labels", 1.0 - len(wrong) / len(judged), "1", note=note)


def _labels(decided: npt.NDArray[np.bool_]) -> list[int]:
    found: list[int] = np.flatnonzero(decided).tolist()
    return found


def _holds(decided: npt.NDArray[np.bool_], labels: frozenset[int], every: bool) -> bool:
    found = {*_labels(decided)}
    return found == labels if every else found >= labels


def _said(labels: frozenset[int], every: bool) -> str:
    return f"{sorted(labels)}" + ("" if every else " among them")


def _unclear(reference: Array, expected: Array | None) -> float:
    """Return how far from zero a logit of the original must be so that its decision is clear."""
    wide = reference.astype(np.float64)
    off = wide * _ROUNDING if expected is None else wide[: len(expected)] - expected
    return CLEAR_DEVIATIONS * math.sqrt(float(np.mean(np.square(off))))


def _same_decisions(
    own: Array, reference: Array, clear: npt.NDArray[np.bool_], names: Sequence[str]
) -> tuple[Finding, ...]:
    changed, count = (own > 0) != (reference > 0), int(clear.sum())
    if not count:
        note = "no logit is so far from 0 that the expected error cannot change its sign"
        return (Finding("same_decisions", math.nan, "1", against="original", note=note),)
    flipped: list[list[int]] = np.argwhere(clear & changed).tolist()
    wrong = [f"{names[at]}: label {n} {own[at, n]:+.3g}, was {reference[at, n]:+.3g}" for at, n in flipped[:_NAMED]]
    note = "; ".join([*wrong, f"{count} of {clear.size} are clear"])
    return (
        Finding("same_decisions", 1.0 - len(flipped) / count, "1", against="original", note=note),
        Finding("all_decisions", float(np.mean(~changed)), "1", against="original", judged=False),
    )


_NAMED = 3  # decisions that a finding names
