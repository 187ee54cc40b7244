"""Each Linear of a saved file against the original's: its scheme, its scale, and how far each weight was rounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch


class Layer(NamedTuple):
    """Weight and bias, float or quantized; and what calls the kernel that a file names for them."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    call: Callable[[torch.Tensor], torch.Tensor] | None = None


# The smallest scale that torch.ao.quantization's observers give: eps = torch.finfo(torch.float32).eps.
_LEAST_SCALE = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class LinearReadback:
    """One Linear as saved; one that the file lacks is `quantized=False` like one that was left in float.

    `levels`, `max_error_steps` and `scale_ratio` are None for those. `levels` is how many distinct integers are in use,
    so that weights rounded to 4 bits (16 levels) show. `max_error_steps` is the largest distance between a saved and
    an original weight in units of its scale: at most 0.5 and float rounding (1e-4) for round-to-nearest; clipping
    counts. `scale_ratio` is the scale over the one that PyTorch's symmetric min-max observer gives these weights,
    max|w| / 127.5 (torch/ao/quantization/observer.py, `_calculate_qparams`), of the channel farthest off.
    """

    name: str
    quantized: bool
    scheme: str = "none"
    dtype: str = "float32"
    levels: int | None = None
    max_error_steps: float | None = None
    scale_ratio: float | None = None
    bias_equal: bool = False


ReadLayers = dict[str, tuple[torch.Tensor, LinearReadback]]
"""By layer, the packed weights read last and what they came to: the same bits in another file need no second look."""


def read_layer(name: str, stored: Layer | None, original: Layer, known: ReadLayers) -> LinearReadback:
    """Compare one Linear of a file with the original's.

    Args:
        name: The layer's, in the original.
        stored: What the file has of it; None for nothing.
        original: The original's weight and bias.
        known: One dictionary for all files of the same original, which is filled.
    """
    if stored is None:
        return LinearReadback(name, quantized=False)
    weight, bias, wanted, wanted_bias = *stored[:2], *original[:2]
    bias_equal = _is_bias_of(bias, wanted_bias)
    if not weight.is_quantized:
        return LinearReadback(name, quantized=False, dtype=_word(weight.dtype), bias_equal=bias_equal)
    if name not in known or not _same_quantized(weight, known[name][0]):
        known[name] = weight, _read_quantized(name, weight, wanted)
    return replace(known[name][1], bias_equal=bias_equal)


def _read_quantized(name: str, weight: torch.Tensor, wanted: torch.Tensor) -> LinearReadback:
    scales, _ = _parameters(weight)
    return LinearReadback(
        name,
        quantized=True,
        scheme=_word(weight.qscheme()),
        dtype=_word(weight.dtype),
        levels=_levels(weight),
        max_error_steps=_error_in_steps(weight, scales, wanted),
        scale_ratio=_scale_ratio(scales, wanted),
    )


def _same_quantized(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two quantized tensors have the same scheme, integers, scales and zero points, bit for bit."""
    if (a.qscheme(), a.dtype, a.shape) != (b.qscheme(), b.dtype, b.shape):
        return False
    parts = zip(_parameters(a), _parameters(b), strict=True)
    return all(same_bits(one, other) for one, other in parts) and same_bits(a.int_repr(), b.int_repr())


def _word(thing: object) -> str:
    return str(thing).rsplit(".", 1)[-1]


def _parameters(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scales (float64) and zero points (int64), one each or one per output channel."""
    if weight.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale, zero = weight.q_scale(), weight.q_zero_point()
        return torch.tensor([scale], dtype=torch.float64), torch.tensor([zero])
    return weight.q_per_channel_scales().double(), weight.q_per_channel_zero_points().long()


def _error_in_steps(weight: torch.Tensor, scales: torch.Tensor, wanted: torch.Tensor) -> float:
    if weight.shape != wanted.shape:
        return math.inf
    error = weight.dequantize().sub_(wanted).abs_()
    rows = error.amax(dim=1).double() if len(scales) > 1 else error.max().double()
    return float((rows / scales).max())


def _levels(weight: torch.Tensor) -> int:
    """Return how many distinct integers occur; counting pairs of bytes takes half the time of counting bytes."""
    values = weight.int_repr().contiguous().view(torch.uint8).numpy().reshape(-1)
    paired = len(values) - len(values) % 2
    pairs = np.bincount(values[:paired].view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1) + np.bincount(values[paired:], minlength=256)
    return int(np.count_nonzero(counts))


def _scale_ratio(scales: torch.Tensor, wanted: torch.Tensor) -> float:
    if len(scales) > 1 and len(scales) != len(wanted):
        return math.inf
    rows = wanted.reshape(len(scales), -1)
    largest = torch.maximum(-rows.amin(dim=1), rows.amax(dim=1)).double()
    ratios = scales / torch.clamp(largest / 127.5, min=_LEAST_SCALE)
    return float(ratios[torch.argmax(torch.abs(torch.log(ratios)))])


def is_made_of(stored: Layer, original: Layer) -> bool:
    """Whether the layer looks like the original's, as it is or quantized: the bias' bits, and the scale or the bits."""
    weight, bias, wanted, wanted_bias = *stored[:2], *original[:2]
    if weight.shape != wanted.shape or not _is_bias_of(bias, wanted_bias):
        return False
    if not weight.is_quantized:
        return same_bits(weight, wanted)
    return abs(_scale_ratio(_parameters(weight)[0], wanted) - 1.0) < 1e-3


def same_layer(one: Layer, other: Layer) -> bool:
    """Whether two layers have the same weights and biases, bit for bit."""
    if one[0].is_quantized != other[0].is_quantized or not _same_biases(one[1], other[1]):
        return False
    return (_same_quantized if one[0].is_quantized else same_bits)(one[0], other[0])


def _is_bias_of(stored: torch.Tensor | None, original: torch.Tensor | None) -> bool:
    """Whether a stored bias is the original's; qnnpack packs zeros where there is none."""
    return _same_biases(stored, original) or (original is None and stored is not None and not stored.any())


def _same_biases(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is other if one is None or other is None else same_bits(one, other)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors agree in shape, dtype and every bit, so that NaN equals itself and 0.0 is not -0.0."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}[a.element_size()]
    return torch.equal(a.detach().contiguous().view(whole), b.detach().contiguous().view(whole))
