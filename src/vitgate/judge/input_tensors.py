"""Two forms of the same pictures as a model gets them: how far apart they are, and the first step that differs.

A distance is counted in steps: 1/255 of the range of all values before, which is about what one level of an 8-bit
picture is. Where the tensors before are no longer there, 32 projections of each channel on random signs stand for them:
their mean square difference is that of all values, whichever of them differ, and they are linear, so that a channel
which was scaled, moved or exchanged is found in them as in the values themselves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vitgate.files.hashing import digest
from vitgate.spec.outcome import Finding

Array = npt.NDArray[np.floating[Any]]

LEVELS = 255
PROJECTIONS = 32
"""Of each channel. The root mean square of 96 differences is within a fifth of that of all values, nineteen times in
twenty."""

_FITS = 0.02  # of a channel's variation: what a fit may leave so that it is the explanation
_BETTER = 0.5  # of what the channels leave in their order: what they leave in another one, if that is it
_SHARPER = 0.02  # of the mean gradient
_MOVED = 3  # pixels: how far a crop is looked for
_SAME_SCALE = 0.005  # of scale and range: what is no other normalization
_MOST_CHANNELS = 4  # whose orders are tried


@dataclass(frozen=True)
class Picture:
    """One picture, as much as is known of it.

    `rows` [C, n] are its channels' values or projections, `ones` [n] what a channel of ones would give in their place,
    `detail` the mean difference of neighbouring values, `file` what was seen of its file, as
    `vitgate.inputs.golden_inputs.PictureFile` has it. `values` is the tensor [C, H, W], if there is one.
    """

    rows: Array
    ones: Array
    detail: float
    file: Mapping[str, Any]
    values: Array | None = None


@dataclass(frozen=True)
class _Fit:
    scale: float
    offset: float
    left: float


def step(low: float, high: float) -> float:
    """Return what one step is between these two; of pictures in one colour, 1/255."""
    return (high - low if high > low else 1.0) / LEVELS


def of_tensor(x: Array, file: Mapping[str, Any]) -> Picture:
    """Return a picture whose tensor [C, H, W] is there."""
    values = np.asarray(x, np.float64)
    rows = values.reshape(len(values), -1)
    return Picture(rows, np.ones(rows.shape[1]), detail(values), file, values)


def of_projections(projected: Sequence[float], shape: Sequence[int], detail: float, file: Mapping[str, Any]) -> Picture:
    """Return a picture of which only the projections are there.

    Args:
        projected: What `projections` gave, channel by channel.
        shape: Of its tensor, [C, H, W].
        detail: The mean difference of its neighbouring values.
        file: What was seen of its file.
    """
    rows = np.asarray(projected, np.float64).reshape(shape[0], PROJECTIONS)
    return Picture(rows, projections(np.ones((1, *shape[1:])))[0], detail, file)


def detail(x: Array) -> float:
    """Return the mean absolute difference of neighbouring values of [C, H, W], in both directions."""
    pairs = [np.abs(np.diff(x, axis=axis)).mean() for axis in (-1, -2) if x.shape[axis] > 1]
    return float(sum(pairs))


def projections(x: Array) -> Array:
    """Return [C, 32]: sums of each channel's values [C, H, W] under random signs, over the root of their number."""
    rows = np.asarray(x, np.float64).reshape(len(x), -1)
    signs = _signs(rows.shape[1])
    return np.stack([(rows * sign).sum(1) for sign in signs], axis=1) / math.sqrt(rows.shape[1])


@lru_cache(maxsize=4)
def _signs(count: int) -> npt.NDArray[np.int8]:
    """Return int8 [32, count] of -1 and 1, the same everywhere: bits of splitmix64, by its authors' constants."""
    with np.errstate(over="ignore"):
        mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    bits = [(mixed >> np.uint64(place)) & np.uint64(1) for place in range(PROJECTIONS)]
    return np.stack([2 * bit.astype(np.int8) - 1 for bit in bits])


def summary(name: str, x: Array, file: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record keeps of a picture's tensor [C, H, W]: the fields of its `PreprocessedRow`."""
    values = np.ascontiguousarray(x, np.float32)
    finite = bool(np.isfinite(values).all())
    numbers = {
        "low": _rounded(float(values.min())),
        "high": _rounded(float(values.max())),
        "detail": _rounded(detail(values.astype(np.float64))),
        "projections": tuple(map(_rounded, projections(values).ravel().tolist())),
    }
    known = {"name": name, "digest": digest(values.tobytes()), "shape": values.shape, "file": dict(file)}
    return {**known, **numbers} if finite and values.size else known


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def golden(before: Array, now: Array, files: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Finding]:
    """Return how far tensors [N, C, H, W] are from the golden ones: the largest step, and the share that differs.

    Args:
        before: The golden ones.
        now: What the pictures are now.
        files: What was seen of each picture's file, before and now.
    """
    if before.shape != now.shape or not before.size or len(files) != len(before):
        return [Finding("steps", math.nan, "steps", against="golden", note=f"shapes {before.shape} and {now.shape}")]
    distance = np.abs(now.astype(np.float64) - before) / step(float(before.min()), float(before.max()))
    share = float((distance > 0).any(axis=1).mean()) if np.isfinite(distance).all() else math.nan
    return [
        Finding("steps", float(distance.max()), "steps", against="golden"),
        Finding("pixels", share, "1", against="golden", judged=False),
    ]


def worst(
    names: Sequence[str], before: Array, now: Array, files: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> str:
    """Say which picture is the furthest from its golden tensor, how far, in how many pixels, and from which step on.

    Args:
        names: What the pictures are called.
        before: The golden tensors, [N, C, H, W].
        now: What they are now.
        files: What was seen of each picture's file, before and now.
    """
    one = step(float(before.min()), float(before.max()))
    distance = np.nan_to_num(np.abs(now.astype(np.float64) - before) / one, nan=math.inf)
    place = int(distance.reshape(len(distance), -1).max(1).argmax())
    pixels = (distance[place] > 0).any(axis=0)
    old, new = (of_tensor(x[place], file) for x, file in zip((before, now), files[place], strict=True))
    others = int((distance.reshape(len(distance), -1).max(1) > 0).sum()) - 1
    text = f"{names[place]}: {distance[place].max():.3g} steps at most, in {int(pixels.sum())} of {pixels.size} pixels"
    return f"{text}{f', and {others} others' if others else ''}; first step that differs: {first_step(old, new, one)}"


def first_step(before: Picture, now: Picture, one: float) -> str:
    """Name the first step at which two forms of a picture differ, in the order in which a transform takes them.

    Args:
        before: What the picture was.
        now: What it is.
        one: A step, in the units of the tensor.
    """
    if not np.isfinite(now.rows).all():
        return "the tensor holds NaN or infinity"
    found = (_decoded(before, now), _order(before, now), _crop(before, now, one), _normalized(before, now, one))
    return next((text for text in found if text), "") or _resized(before, now)


def _decoded(before: Picture, now: Picture) -> str:
    """Say that Pillow reads other pixels of the same file; nothing where it was not seen to."""
    old, new = (each.file.get("decoded", "") for each in (before, now))
    if not (old and new) or old == new:
        return ""
    means = [", ".join(f"{value:.2f}" for value in each.file.get("mean", ())) for each in (now, before)]
    return f"decode (Pillow reads other pixels of the file: red, green, blue {means[0]} on average, before {means[1]})"


def _order(before: Picture, now: Picture) -> str:
    """Say in which other order the channels fit, if they fit much better there."""
    count = len(before.rows)
    if not 1 < count <= _MOST_CHANNELS or len(now.rows) != count:
        return ""
    left = [[_fit(old, new, before.ones).left for new in now.rows] for old in before.rows]
    costs = {
        order: sum(left[old][new] for new, old in enumerate(order)) / count
        for order in itertools.permutations(range(count))
    }
    own, best = costs[tuple(range(count))], min(costs, key=lambda order: costs[order])
    if own <= _FITS or costs[best] >= _BETTER * own:
        return ""
    return f"colour order (its channels are {', '.join(str(place + 1) for place in best)} of those before)"


def _crop(before: Picture, now: Picture, one: float) -> str:
    """Say by how many pixels the same picture is moved, if it is."""
    old, new = before.values, now.values
    if old is None or new is None or float(np.abs(new - old).max()) <= one:
        return ""
    reach = range(-_MOVED, _MOVED + 1)
    moves = [(y, x) for y in reach for x in reach if (y, x) != (0, 0) and min(old.shape[1:]) > 2 * _MOVED]
    for y, x in sorted(moves, key=lambda move: abs(move[0]) + abs(move[1])):
        was, here = _overlap(old, y, x), _overlap(new, -y, -x)
        if float(np.abs(here - was).max()) <= one and float(np.ptp(was)) > 2 * one:
            return f"crop (it starts {y} rows and {x} columns later)"
    return ""


def _overlap(x: Array, down: int, right: int) -> Array:
    """Return what of [C, H, W] is left when it starts later by so many rows and columns, or ends earlier."""
    height, width = x.shape[1:]
    return x[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _normalized(before: Picture, now: Picture, one: float) -> str:
    """Say by which scale and offset each channel comes of the one before, if by nothing else."""
    fits = [_fit(old, new, before.ones) for old, new in zip(before.rows, now.rows, strict=True)]
    if max(fit.left for fit in fits) > _FITS:
        return ""
    if all(abs(fit.scale - 1) <= _SAME_SCALE and abs(fit.offset) <= _SAME_SCALE * LEVELS * one for fit in fits):
        return ""
    scales, offsets = (
        ", ".join(f"{value + 0.0:.4g}" for value in each)
        for each in ([fit.scale for fit in fits], [fit.offset for fit in fits])
    )
    return f"normalize (each channel is the one before times {scales}, plus {offsets})"


def _fit(old: Array, new: Array, ones: Array) -> _Fit:
    """Return the least squares of new = scale · old + offset · ones, and what share of the variation it leaves."""
    size = float(ones @ ones)
    bare, bare_new = (each - ones * float(each @ ones) / size for each in (old, new))
    power, power_new = float(bare @ bare), float(bare_new @ bare_new)
    tiny = 1e-12 * (float(old @ old) + float(new @ new) + 1e-30)
    scale = float(bare @ bare_new) / power if power > tiny else 1.0
    offset = float((new - scale * old) @ ones) / size
    rest = new - scale * old - offset * ones
    left = math.sqrt(float(rest @ rest) / power_new) if power_new > tiny else float(float(rest @ rest) > tiny)
    return _Fit(scale, offset, left)


def _resized(before: Picture, now: Picture) -> str:
    sharp = now.detail / before.detail if before.detail > 0 else 1.0
    if abs(sharp - 1) > _SHARPER:
        return f"resize (edges are {sharp:.2f} times as sharp as before: interpolation, antialias or size)"
    return "decode or resize (the pixels differ, and neither order, crop nor normalization explains it)"


def distance(before: Sequence[float], now: Sequence[float], one: float) -> float:
    """Return the root mean square difference of all values in steps, as their projections show it.

    Args:
        before: The projections of all channels of a picture.
        now: Those of its other form.
        one: A step, in the units of the tensor.
    """
    if len(before) != len(now) or not before:
        return math.nan
    return float(np.sqrt(np.mean((np.asarray(now) - np.asarray(before)) ** 2))) / one
