"""Where in the network two forms of a model part ways, from what both computed after each block. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitgate.judge.metrics import Array, sqnr

# Well above the 1.05 of any healthy place that was measured (see `part_ways`): int8 against fp32, fbgemm and qnnpack,
# on DeiT-Base and on a ViT of four blocks, random weights.
CLEAR_FACTOR = 4.0


@dataclass(frozen=True)
class BlockDiagnosis:
    """The places in the order of the computation, and the first that is at fault.

    `sqnr` is in dB, of what the network has computed up to each place; `own` is the same of what the block itself adds
    to its input, where a fault shows that a large residual stream hides. NaN: values not finite, or unequal shapes.
    `factor` is the noise that is new at `first`, over what is ordinary (see `part_ways`); `clear` whether it stands
    out. Where it does not, the noise builds up evenly, or sets in with `first` and nothing says that it is too much.
    """

    places: tuple[str, ...]
    sqnr: tuple[float, ...]
    own: tuple[float, ...]
    first: str
    factor: float

    @property
    def clear(self) -> bool:
        """Whether one place stands out."""
        return self.factor > CLEAR_FACTOR

    def __str__(self) -> str:
        """Say it in one line: the place, then the SQNR of each."""
        row = ", ".join(f"{place} {value:.1f}" for place, value in zip(self.places, self.sqnr, strict=True))
        word = "the two part ways at" if self.clear else "no single place stands out; the largest step is at"
        return f"{word} {self.first} (SQNR in dB: {row})"


def place_names(count: int) -> tuple[str, ...]:
    """Return the names of `count` places: patch_embed, blocks.0, …, head."""
    return ("patch_embed", *(f"blocks.{index}" for index in range(count - 2)), "head")


def part_ways(reference: Sequence[Array], other: Sequence[Array], *, ordinary: float | None = None) -> BlockDiagnosis:
    """Name the first place where `other` parts from `reference`; the earliest that is not finite wins over all.

    With n the noise-to-signal power of what a block adds (its `own`), the factor of a place is n over the largest n of
    the places before it plus the ordinary noise: what only travels on from an earlier fault is not news. The head may
    see one token alone: for it, the noisiest token of the last block counts as coming before, and likewise the
    embedding is as noisy as its noisiest token.

    Args:
        reference: What `vitgate.observe.blocks.block_outputs` gave, float32, one array a place.
        other: The same of the form that is judged.
        ordinary: SQNR in dB that one block costs where nothing is wrong; by default the worse of the first two places,
            which serves fp32 against fp32 and int8 against fp32. Two int8 forms start equal and drift apart by rounding
            alone: give the SQNR of int8 against fp32 there.

    Raises:
        ValueError: The two do not have equally many places, or fewer than 3.
    """
    if len(reference) != len(other) or len(reference) < 3:
        raise ValueError(f"{len(reference)} and {len(other)} places: need equally many, at least 3")
    places = place_names(len(reference))
    ratios = tuple(sqnr(a, b) for a, b in zip(reference, other, strict=True))
    own = (ratios[0], *_own(reference, other), ratios[-1])
    for place, value in zip(places, ratios, strict=True):
        if math.isnan(value):
            return BlockDiagnosis(places, ratios, own, place, math.inf)
    embedded, into_head = (_noisiest_token(reference[at], other[at]) for at in (0, -2))
    factors = _factors(own, embedded, into_head, ordinary)
    first = int(np.argmax(factors))
    return BlockDiagnosis(places, ratios, own, places[first], factors[first])


def _own(reference: Sequence[Array], other: Sequence[Array]) -> list[float]:
    """Return the SQNR of what each block adds to its input; NaN where a shape changes on the way."""
    result = []
    for index in range(1, len(reference) - 1):
        shapes = {array.shape for pair in (reference, other) for array in pair[index - 1 : index + 1]}
        added = [pair[index] - pair[index - 1] for pair in (reference, other)] if len(shapes) == 1 else []
        result.append(sqnr(added[0], added[1]) if added else math.nan)
    return result


def _noisiest_token(reference: Array, other: Array) -> float:
    """Return the largest noise-to-signal power of one token over all pictures; arrays are [pictures, tokens, width]."""
    signal = np.sum(np.square(reference, dtype=np.float64), axis=(0, -1))
    noise = np.sum(np.square(reference.astype(np.float64) - other), axis=(0, -1))
    return float(np.max(noise / np.maximum(signal, np.finfo(np.float64).tiny)))


def _factors(own: Sequence[float], embedded: float, into_head: float, ordinary: float | None) -> list[float]:
    noise = [10.0 ** (-value / 10.0) for value in own]
    noise[0] = max(noise[0], embedded)
    usual = max(noise[0], noise[1]) if ordinary is None else 10.0 ** (-ordinary / 10.0)
    before = [max(noise[:index], default=0.0) for index in range(len(noise))]
    before[-1] = max(before[-1], into_head)
    return [value / (earlier + usual) for value, earlier in zip(noise, before, strict=True)]
