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
"""Of each channel, with the same signs for all: what channels have in common counts once. So the root mean square of
their differences is within a quarter of that of all values, 19 times of 20 (1 / sqrt(2 · 32) is an eighth)."""

_FITS = 0.02  # of a channel's variation: what a fit may leave so that it is the explanation
_BETTER = 0.5  # of what the channels leave in their order: what they leave in another one, if that is it
_SHARPER = 0.02  # of the mean gradient
_ANY = 0.01  # steps: what differs by less is the last bits of a float
_FEW = 4  # steps: a changed filter made at least 11 at some edge of each picture that was tried
_MOVED = 3  # pixels: how far a crop is looked for
_SAME_SCALE = 0.005  # of scale and range: what is no other normalization
_MOST_CHANNELS = 4  # whose orders are tried


File = Mapping[str, Any]
"""What was seen of a picture's file, as `vitgate.inputs.golden_inputs.PictureFile` has it; `reader` if not Pillow."""


@dataclass(frozen=True)
class Pictures:
    """A case's pictures, as much as is known of them.

    All are looked at together: in a picture of two colours each channel is any other one, scaled and moved. `rows`
    [C, n] are the channels' values or projections, picture after picture, `ones` [n] what a channel of ones would give
    in their place, `detail` the mean difference of neighbouring values, `values` the tensors [N, C, H, W] if they are
    there.
    """

    rows: Array
    ones: Array
    detail: float
    files: Sequence[File]
    values: Array | None = None


@dataclass(frozen=True)
class _Fit:
    scale: float
    offset: float
    left: float


def step(low: float, high: float) -> float:
    """Return what one step is between these two; of pictures in one colour, 1/255."""
    return (high - low if high > low else 1.0) / LEVELS


def of_tensors(x: Array, files: Sequence[File]) -> Pictures:
    """Return pictures whose tensors [N, C, H, W] are there."""
    values = np.asarray(x, np.float64)
    rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    return Pictures(rows, np.ones(rows.shape[1]), detail(values), files, values)


def of_projections(
    projected: Sequence[Sequence[float]], shape: Sequence[int], details: Sequence[float], files: Sequence[File]
) -> Pictures:
    """Return pictures of which only the projections are there.

    Args:
        projected: What `projections` gave of each, channel by channel.
        shape: Of each tensor, [C, H, W].
        details: The mean difference of neighbouring values, of each.
        files: What was seen of each one's file.
    """
    rows = [np.reshape(each, (shape[0], PROJECTIONS)) for each in projected]
    ones = projections(np.ones((1, *shape[1:]))).ravel()
    return Pictures(np.concatenate(rows, axis=1), np.tile(ones, len(rows)), float(np.mean(details)), files)


def detail(x: Array) -> float:
    """Return the mean absolute difference of neighbouring values of [..., H, W], in both directions."""
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
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    bits = [(mixed >> np.uint64(place)) & np.uint64(1) for place in range(PROJECTIONS)]
    return np.stack([2 * bit.astype(np.int8) - 1 for bit in bits])


def summary(x: Array) -> dict[str, Any]:
    """Return what a record keeps of a picture's tensor [C, H, W]; of one that holds no numbers, its digest alone."""
    values = np.ascontiguousarray(x, np.float32)
    known = {"digest": digest(values.tobytes()), "shape": values.shape}
    if not (values.size and np.isfinite(values).all()):
        return known
    low, high, edges = float(values.min()), float(values.max()), detail(values.astype(np.float64))
    numbers = {"low": low, "high": high, "detail": edges}
    projected = tuple(map(_rounded, projections(values).ravel().tolist()))
    return {**known, **{name: _rounded(value) for name, value in numbers.items()}, "projections": projected}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def golden_steps(before: Array, now: Array, *, against: str = "golden", note: str = "") -> list[Finding]:
    """Return how far tensors [N, C, H, W] are from the golden ones: the largest step, and the share of pixels.

    Args:
        before: The golden tensors, or what stands in their place.
        now: The tensors that are held against them.
        against: What the findings call the comparison.
        note: What they say beside the numbers.
    """
    if before.shape != now.shape or not before.size:
        shapes = f"shapes {before.shape} and {now.shape}"
        return [Finding("steps", math.nan, "steps", against=against, note="; ".join(filter(None, (note, shapes))))]
    steps = _steps(before, now)
    share = float((steps > _ANY).any(axis=1).mean()) if np.isfinite(steps).all() else math.nan
    return [
        Finding("steps", float(steps.max()), "steps", against=against, note=note),
        Finding("pixels", share, "1", against=against, judged=False, note=note),
    ]


def _steps(before: Array, now: Array) -> Array:
    difference: Array = np.abs(now.astype(np.float64) - before) / step(float(before.min()), float(before.max()))
    return difference


def worst(names: Sequence[str], before: Pictures, now: Pictures) -> str:
    """Say which picture is the furthest from its golden tensor, how far, in how many pixels, and from which step on.

    Args:
        names: What the pictures are called.
        before: The golden ones, with their tensors.
        now: What they are now.
    """
    if before.values is None or now.values is None or before.values.shape != now.values.shape:
        return "the shapes differ"
    steps = np.nan_to_num(_steps(before.values, now.values), nan=math.inf)
    furthest = steps.reshape(len(steps), -1).max(1)
    place, others = int(furthest.argmax()), max(int((furthest > _ANY).sum()) - 1, 0)
    pixels = (steps[place] > _ANY).any(axis=0)
    text = f"{names[place]}: {furthest[place]:.3g} steps at most, in {int(pixels.sum())} of {pixels.size} pixels"
    one = step(float(before.values.min()), float(before.values.max()))
    more = f", and {others} {'other' if others == 1 else 'others'}" if others else ""
    return f"{text}{more}; first step that differs: {first_step(before, now, one)}"


def first_step(before: Pictures, now: Pictures, one: float) -> str:
    """Name the first step at which two forms of the same pictures differ.

    Args:
        before: What the pictures were.
        now: What they are.
        one: A step, in the units of the tensors.
    """
    if not np.isfinite(now.rows).all():
        return "a tensor holds NaN or infinity"
    found = (_decoded(before, now), _order(before, now), _crop(before, now, one), _normalized(before, now, one))
    return next((text for text in found if text), "") or _resized(before, now, one)


def _decoded(before: Pictures, now: Pictures) -> str:
    """Say that other pixels are read of the same file; nothing where they were not seen to be."""
    for old, new in zip(before.files, now.files, strict=True):
        digests = [each.get("decoded") for each in (old, new)]
        if all(digests) and digests[0] != digests[1]:
            means = [", ".join(f"{value:.2f}" for value in each.get("mean", ())) for each in (new, old)]
            return (
                f"decode ({_reader(new)} reads other pixels; red, green, blue on average {means[0]}, before {means[1]})"
            )
    return ""


def _reader(file: File) -> str:
    return str(file.get("reader", "Pillow"))


def _order(before: Pictures, now: Pictures) -> str:
    """Say in which other order the channels fit, if they fit much better there."""
    count = len(before.rows)
    if not 1 < count <= _MOST_CHANNELS:
        return ""
    left = [[_fit(old, new, before.ones).left for new in now.rows] for old in before.rows]
    costs = {
        order: sum(left[old][new] for new, old in enumerate(order)) / count
        for order in itertools.permutations(range(count))
    }
    own, best = costs[tuple(range(count))], min(costs, key=lambda order: costs[order])
    if own <= _FITS or costs[best] >= _BETTER * own:
        return ""
    return f"colour order (the channels are {', '.join(str(place + 1) for place in best)} of those before)"


def _crop(before: Pictures, now: Pictures, one: float) -> str:
    """Say by how many pixels the same pictures are moved, if they are."""
    old, new = before.values, now.values
    if old is None or new is None or min(old.shape[2:]) <= 2 * _MOVED:
        return ""
    reach = range(-_MOVED, _MOVED + 1)
    moves = sorted(((y, x) for y in reach for x in reach if (y, x) != (0, 0)), key=lambda move: np.abs(move).sum())
    for y, x in moves:
        was, here = _overlap(old, y, x), _overlap(new, -y, -x)
        if np.abs(here - was).max() <= one < np.abs(_overlap(new, y, x) - was).max():
            return f"crop (it starts {y:+d} rows and {x:+d} columns later)"
    return ""


def _overlap(x: Array, down: int, right: int) -> Array:
    """Return what of [N, C, H, W] is left when it starts later by so many rows and columns, or ends earlier."""
    height, width = x.shape[2:]
    return x[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _normalized(before: Pictures, now: Pictures, one: float) -> str:
    """Say by which scale and offset each channel comes of the one before, if by nothing else."""
    fits = [_fit(old, new, before.ones) for old, new in zip(before.rows, now.rows, strict=True)]
    if max(fit.left for fit in fits) > _FITS:
        return ""
    if all(abs(fit.scale - 1) <= _SAME_SCALE and abs(fit.offset) <= _SAME_SCALE * LEVELS * one for fit in fits):
        return ""
    scales, offsets = (
        ", ".join(f"{value:.4g}" for value in each)
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


def _resized(before: Pictures, now: Pictures, one: float) -> str:
    old, new = ([each.get("decoded") for each in pictures.files] for pictures in (before, now))
    same = f"{_reader(now.files[0])} reads the same pixels" if all(old) and old == new else ""
    if before.values is not None and now.values is not None and np.abs(now.values - before.values).max() <= _FEW * one:
        if same:
            return f"resize or normalize ({same}; by a few levels, as another rounding does)"
        return "decode or resize (by a few levels, as another decoder or another rounding does)"
    sharp = now.detail / before.detail if before.detail > 0 else 1.0
    if abs(sharp - 1) > _SHARPER:
        return f"resize (edges are {sharp:.2f} times as sharp as before: antialias, interpolation or size)"
    rest = "neither another order of channels nor another normalization explains it"
    if same:
        return f"resize or crop ({same}, and {rest})"
    return f"decode, resize or crop ({rest})"


def distance(before: Sequence[float], now: Sequence[float], one: float) -> float:
    """Return the root mean square difference of all values in steps, as their projections show it.

    Args:
        before: The projections of all channels of a picture.
        now: Those of its other form.
        one: A step, in the units of the tensor.
    """
    if len(before) != len(now) or len(before) == 0:
        return math.nan
    return float(np.sqrt(np.mean((np.asarray(now) - np.asarray(before)) ** 2))) / one
