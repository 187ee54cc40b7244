"""The arithmetic of int8: what a Linear gives whose weights and activations are rounded to integers.

Each scheme of a Linear computes with integers held in float: rounding to the grid and back, then an ordinary matrix
product. Real kernels multiply the integers themselves, exactly, so that the two agree to the rounding of float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

LEAST_SCALE = float(torch.finfo(torch.float32).eps)
"""The smallest scale that PyTorch's observers give (torch/ao/quantization/observer.py)."""

TIE = 1e-3
"""How near to midway between two steps, in steps, float32 may round either way."""


class LinearScheme(Protocol):
    """How a Linear rounds: weights once, activations at each call."""

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rounded weights, float32 [out, in], in the units of `weight`."""
        ...

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rounded activations of one call, float32 [..., in], in the units of `x`."""
        ...

    def on_grid(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations like `x`, float32 [..., in], that every kernel of the scheme rounds alike: none midway."""
        ...

    def step(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the scale of the weights, float32 [] or one for each output, [out, 1]."""
        ...


@dataclass(frozen=True)
class DynamicInt8:
    """PyTorch's dynamic quantization as the tutorial uses it.

    Weights per tensor, symmetric, scale max|w| / 127.5. Activations per tensor and call, in `bits` bits, over a range
    that includes 0, with a zero point (torch/ao/quantization/observer.py; aten/src/ATen/native/quantized/cpu).
    """

    bits: int

    def step(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the scale of the weights, float32 []."""
        return (weight.abs().max() / 127.5).clamp(min=LEAST_SCALE)

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rounded weights, float32 [out, in], in the units of `weight`: steps from -128 to 127."""
        scale = self.step(weight)
        return (weight / scale).round_().clamp_(-128, 127).mul_(scale)

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rounded activations of one call, float32 [..., in], in the units of `x`: 2^bits steps."""
        low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
        levels = 2**self.bits - 1
        scale = (high - low) / levels or 1.0
        zero = min(max(round(-low / scale), 0), levels)
        return (x / scale).round_().add_(zero).clamp_(0, levels).sub_(zero).mul_(scale)

    def on_grid(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rounded activations: rounded again they stay as they are."""
        return self.activation(x)


def settled(rounded: torch.Tensor, stored: torch.Tensor, weight: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Return the rounded weights, with those as stored that lie midway between two steps and may go to either.

    The largest weight of a tensor does by construction: |w| / 127.5 steps make it 127.5 of them.

    Args:
        rounded: float32 [out, in], as the scheme rounds.
        stored: float32 [out, in], as the file has them.
        weight: float32 [out, in], before rounding.
        step: The scale, [] or [out, 1].
    """
    midway = ((weight - rounded).abs() / step - 0.5).abs() < TIE
    either = midway & ((weight - stored).abs() / step - 0.5).abs().lt(TIE)
    return torch.where(either, stored, rounded)


@dataclass(frozen=True)
class ChannelInt8:
    """Dynamic int8 as the successors of TorchScript compute it: weights symmetric, a scale for each output channel.

    `steps` is into how many steps the largest weight of a channel is divided, `least` the smallest scale. Activations
    are rounded over the range of each row (of each token), or of the whole call; with a zero point in 8 bits over a
    range that includes 0, without one over a symmetric range of `activation_steps` to either side.

    63.5 and 64 steps are 7 bits: two products of 8 and 7 bits fit the 16-bit sums of processors without VNNI, and of 8
    and 8 do not.
    """

    steps: float
    by_row: bool
    zero_point: bool
    least: float = 0.0
    activation_steps: float = 127.5

    def step(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the scales of the weights, float32 [out, 1]."""
        return _scale(weight.abs().amax(1, keepdim=True) / self.steps, self.least)

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rounded weights, float32 [out, in], in the units of `weight`."""
        return _rounded(weight, self.step(weight), self.steps)

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rounded activations of one call, float32 [..., in], in the units of `x`."""
        low, high = (x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)) if self.by_row else (x.min(), x.max())
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        if not self.zero_point:
            return _rounded(x, _scale(torch.maximum(-low, high) / self.activation_steps), self.activation_steps)
        scale = _scale((high - low) / 255)
        zero = (-low / scale).round_().clamp_(0, 255)
        return (x / scale).round_().add_(zero).clamp_(0, 255).sub_(zero).mul_(scale)

    def on_grid(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations that lie on the grid of their own range.

        Half a step at the end of a symmetric range is midway by construction. There each row is turned so that its
        largest number is positive, where rounding to either side ends at the last step.
        """
        if self.zero_point or self.activation_steps == math.floor(self.activation_steps):
            return self.activation(x)
        largest = x.abs().amax(-1, keepdim=True)
        x = torch.where(x.amax(-1, keepdim=True) == largest, x, -x)
        inner = _rounded(x, _scale(largest / self.activation_steps), math.floor(self.activation_steps))
        return torch.where(x == largest, x, inner)


@dataclass(frozen=True)
class WeightInt8:
    """Weights in int8, symmetric, the largest of each output channel in `steps` steps; activations stay in float.

    The weights are multiplied as floats, and the scale of a channel with its sums.
    """

    steps: float

    def step(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the scales of the weights, float32 [out, 1]."""
        return _scale(weight.abs().amax(1, keepdim=True) / self.steps)

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rounded weights, float32 [out, in], in the units of `weight`."""
        return _rounded(weight, self.step(weight), self.steps)

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations as they are."""
        return x

    def on_grid(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations as they are."""
        return x


def _rounded(x: torch.Tensor, scale: torch.Tensor, steps: float) -> torch.Tensor:
    """Round to a symmetric grid: 127.5 steps are -128 to 127, 127 are -127 to 127."""
    return (x * (1.0 / scale)).round_().clamp_(-math.ceil(steps), math.floor(steps)).mul_(scale)


def _scale(scale: torch.Tensor, least: float = 0.0) -> torch.Tensor:
    """Return the scales, none below `least`; those of zeros are 1."""
    return torch.where(scale > 0, scale, torch.ones_like(scale)).clamp(min=least)
