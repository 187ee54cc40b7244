"""The arithmetic of dynamic int8: what a Linear gives whose weights and activations are rounded to integers.

Each scheme computes with integers held in float: rounding to the grid and back, then an ordinary matrix product. Real
kernels multiply the integers themselves, exactly, so that the two agree to the rounding of float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vitgate.spec.engines import ACTIVATION_BITS, Engine

LEAST_SCALE = float(torch.finfo(torch.float32).eps)
"""The smallest scale that PyTorch's observers give (torch/ao/quantization/observer.py)."""

TIE = 1e-3
"""How near to midway between two steps, in steps, float32 may round either way."""


@dataclass(frozen=True)
class DynamicInt8:
    """PyTorch's dynamic quantization as the tutorial uses it.

    Weights per tensor, symmetric, scale max|w| / 127.5. Activations per tensor and call, in `bits` bits, over a range
    that includes 0, with a zero point (torch/ao/quantization/observer.py; aten/src/ATen/native/quantized/cpu).
    """

    bits: int

    def step(self, weight: torch.Tensor) -> float:
        """Return the scale of the weights."""
        return max(float(weight.abs().max()) / 127.5, LEAST_SCALE)

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


def settled(rounded: torch.Tensor, stored: torch.Tensor, weight: torch.Tensor, step: float) -> torch.Tensor:
    """Return the rounded weights, with those as stored that lie midway between two steps and may go to either.

    The largest weight of a tensor does by construction: |w| / 127.5 steps make it 127.5 of them.

    Args:
        rounded: float32 [out, in], as the scheme rounds.
        stored: float32 [out, in], as the file has them.
        weight: float32 [out, in], before rounding.
        step: the scale.
    """
    midway = ((weight - rounded).abs() / step - 0.5).abs() < TIE
    either = midway & ((weight - stored).abs() / step - 0.5).abs().lt(TIE)
    return torch.where(either, stored, rounded)


def scheme_of(engine: Engine) -> DynamicInt8:
    """Return the scheme of the tutorial's quantized model under an engine."""
    return DynamicInt8(ACTIVATION_BITS[engine])
