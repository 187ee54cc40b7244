"""The arithmetic of static int8: scales of activations that calibration pictures fix once, before the file is made.

The float model runs the calibration pictures; the smallest and the largest number that reach a Linear, and that it
gives, are the ends of its grids. What a later picture has beyond them is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vitgate.expected.schemes import ChannelInt8


@dataclass(frozen=True)
class StaticInt8:
    """Weights symmetric, a scale for each output channel; activations per tensor, 8 bits with a zero point.

    What a Linear gives is rounded too: to 8 bits, over the range that it had on the calibration pictures. `steps` is
    into how many steps the largest weight of a channel is divided, `least` the smallest scale. `bias_after` says that a
    bias is added, in float, after that: where the product is an operator of its own, as for [N, tokens, channels].
    `joins` says that what `torch.cat` gives is rounded as well, such as the patches with the class token before them.
    """

    steps: float
    least: float = 0.0
    bias_after: bool = False
    joins: bool = False

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


@dataclass(frozen=True)
class Calibration:
    """What the pictures fixed: the ranges of each Linear, and of each call of `torch.cat` in the order of a forward."""

    linears: Mapping[nn.Linear, Ranges]
    joined: Sequence[Ends]


def calibrated(
    model: nn.Module, scheme: StaticInt8, linears: Iterable[nn.Linear], pictures: torch.Tensor
) -> Calibration:
    """Run the pictures through the float model one by one.

    Args:
        model: The eager float model, in evaluation mode.
        scheme: Says what of a Linear is rounded.
        linears: Those to look at.
        pictures: float32 [N, C, H, W].
    """
    found, joined = {module: Ranges() for module in linears}, list[Ends]()

    def look(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        assert isinstance(module, nn.Linear)
        x, ranges = given[0], found[module]
        gives = nn.functional.linear(x, module.weight) if scheme.adds_after(module, x) else output
        found[module] = Ranges(ranges.given.of(x), ranges.gives.of(gives))

    def join(place: int, output: torch.Tensor) -> torch.Tensor:
        joined.extend([Ends()] * (place + 1 - len(joined)))
        joined[place] = joined[place].of(output)
        return output

    handles = [module.register_forward_hook(look) for module in found]
    try:
        for picture in pictures:
            with each_joined(join):
                model(picture[None])
    finally:
        for handle in handles:
            handle.remove()
    return Calibration(found, joined)


class each_joined(TorchFunctionMode):  # noqa: N801  # a context manager
    """Within the block, change what each call of `torch.cat` gives, by its place among them."""

    def __init__(self, change: Callable[[int, torch.Tensor], torch.Tensor]) -> None:
        """Begin to count."""
        super().__init__()
        self._change, self._place = change, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call it, and change what a `torch.cat` gives."""
        output = func(*args, **(kwargs or {}))
        if func not in (torch.cat, torch.concat):
            return output
        self._place += 1
        return self._change(self._place - 1, output)


@contextmanager
def joined_by(scheme: object, fixed: Calibration | None) -> Iterator[None]:
    """Round within the block, which is one forward, what `torch.cat` gives, where the scheme says so."""
    if not isinstance(scheme, StaticInt8) or fixed is None or not scheme.joins:
        yield
        return
    ends = fixed.joined
    with each_joined(lambda place, output: scheme.rounded(output, ends[place]) if place < len(ends) else output):
        yield


def static_linear(module: nn.Linear, scheme: StaticInt8, fixed: Calibration) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what the Linear computes by the scheme: float32 [..., out] of activations float32 [..., in].

    Args:
        module: The float Linear.
        scheme: How it rounds.
        fixed: As `calibrated` gives it.
    """
    weight, own = scheme.weight(module.weight), fixed.linears[module]

    def call(x: torch.Tensor) -> torch.Tensor:
        after = scheme.adds_after(module, x)
        sums = nn.functional.linear(scheme.rounded(x, own.given), weight, None if after else module.bias)
        output = scheme.rounded(sums, own.gives)
        return output + module.bias if after else output

    return call
