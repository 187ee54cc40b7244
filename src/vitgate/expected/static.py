"""The arithmetic of static int8: scales of activations that calibration pictures fix once, before the file is made.

The float model runs the calibration pictures; the smallest and the largest number that reach a Linear, and that it
gives, are the ends of its grids. What a later picture has beyond them is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from vitgate.expected.schemes import ChannelInt8


@dataclass(frozen=True)
class StaticInt8:
    """Weights symmetric, a scale for each output channel; activations per tensor, 8 bits with a zero point.

    What a Linear gives is rounded too: to 8 bits, over the range that it had on the calibration pictures. `steps` is
    into how many steps the largest weight of a channel is divided, `least` the smallest scale. `bias_after` says that a
    bias is added, in float, after that: where the product is an operator of its own, as for [N, tokens, channels].
    """

    steps: float
    least: float = 0.0
    bias_after: bool = False

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rounded weights, float32 [out, in], in the units of `weight`."""
        return ChannelInt8(self.steps, by_row=False, zero_point=True, least=self.least).weight(weight)

    def adds_after(self, module: nn.Linear, x: torch.Tensor) -> bool:
        """Whether the bias comes after what the Linear gives of `x` has been rounded."""
        return self.bias_after and module.bias is not None and x.dim() > 2

    def rounded(self, x: torch.Tensor, ends: Ends) -> torch.Tensor:
        """Return `x` on the grid of 256 numbers between these ends, in its own units."""
        scale = max((ends.high - ends.low) / 255 or 1.0, self.least)
        zero = min(max(round(-ends.low / scale), 0), 255)
        return (x / scale).round_().add_(zero).clamp_(0, 255).sub_(zero).mul_(scale)


class Ends(NamedTuple):
    """The smallest and the largest of some numbers, 0 among them."""

    low: float = 0.0
    high: float = 0.0

    def of(self, x: torch.Tensor) -> Ends:
        """Return the ends with those of further numbers."""
        return Ends(min(self.low, float(x.min())), max(self.high, float(x.max())))


class Ranges(NamedTuple):
    """Of one Linear: what reaches it, and what is rounded of what it gives."""

    given: Ends = Ends()
    gives: Ends = Ends()


def calibrated(
    model: nn.Module, scheme: StaticInt8, linears: Iterable[nn.Linear], pictures: torch.Tensor
) -> dict[nn.Linear, Ranges]:
    """Run the pictures through the float model one by one, and return the ranges of each Linear.

    Args:
        model: The eager float model, in evaluation mode.
        scheme: Says what of a Linear is rounded.
        linears: Those to look at.
        pictures: float32 [N, C, H, W].
    """
    found = {module: Ranges() for module in linears}

    def look(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        assert isinstance(module, nn.Linear)
        x, ranges = given[0], found[module]
        gives = nn.functional.linear(x, module.weight) if scheme.adds_after(module, x) else output
        found[module] = Ranges(ranges.given.of(x), ranges.gives.of(gives))

    handles = [module.register_forward_hook(look) for module in found]
    try:
        for picture in pictures:
            model(picture[None])
    finally:
        for handle in handles:
            handle.remove()
    return found


def static_linear(
    module: nn.Linear, scheme: StaticInt8, ranges: Mapping[nn.Linear, Ranges]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what the Linear computes by the scheme: float32 [..., out] of activations float32 [..., in].

    Args:
        module: The float Linear.
        scheme: How it rounds.
        ranges: As `calibrated` gives them.
    """
    weight, own = scheme.weight(module.weight), ranges[module]

    def call(x: torch.Tensor) -> torch.Tensor:
        after = scheme.adds_after(module, x)
        sums = nn.functional.linear(scheme.rounded(x, own.given), weight, None if after else module.bias)
        output = scheme.rounded(sums, own.gives)
        return output + module.bias if after else output

    return call
