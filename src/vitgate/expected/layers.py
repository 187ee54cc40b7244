"""What each Linear of a saved file gives, against what its arithmetic says, on the float model's own activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vitgate.expected.logits import plain_attention
from vitgate.expected.schemes import DynamicInt8, settled
from vitgate.expected.tensors import nearness
from vitgate.judge.metrics import ROUNDING_DB

Call = Callable[[torch.Tensor], torch.Tensor]

MOST_NOISE_DB = ROUNDING_DB - 10.0
"""Where int8 costs less than this, as weights of zeros, the error need not lie further below it than rounding does."""


@dataclass(frozen=True)
class FileLayer:
    """A Linear as the file has it: `call` runs its kernel, `weight` is float32 [out, in], dequantized if need be."""

    call: Call
    weight: torch.Tensor
    quantized: bool


@dataclass(frozen=True)
class LayerError:
    """How far one layer is from its reference, in dB (SQNR); the worst of its calls.

    `exact` is on activations that lie on the grid to which they are rounded, so that nothing depends on rounding: an
    int8 layer is held against its scheme, one in float against float64. `below_noise` is how much further down than
    int8's own noise the error lies on the activations as they are, where a few may be rounded the other way; None for a
    layer in float.
    """

    name: str
    quantized: bool
    exact: float
    below_noise: float | None


def layer_errors(
    model: nn.Module, x: torch.Tensor, layers: Mapping[str, FileLayer], scheme: DynamicInt8
) -> tuple[LayerError, ...]:
    """Call the float model once, and each layer of the file with what reaches its Linear.

    Args:
        model: the eager float model, in evaluation mode.
        x: one picture, float32 [1, C, H, W].
        layers: the file's Linears by the names that the model has for them.
        scheme: the arithmetic of those that are quantized.

    Returns:
        An entry for each layer that the call reaches, in the order of its calls.
    """
    found: dict[str, LayerError] = {}
    modules = dict(model.named_modules(remove_duplicate=False))

    def compare(name: str) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], None]:
        def hook(module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
            assert isinstance(module, nn.Linear)
            error = _error(name, module, given[0], output, layers[name], scheme)
            found[name] = min(found.get(name, error), error, key=lambda each: each.exact)

        return hook

    handles = [modules[name].register_forward_hook(compare(name)) for name in layers]
    try:
        with torch.no_grad(), plain_attention():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found.values())


def _error(
    name: str, module: nn.Linear, x: torch.Tensor, output: torch.Tensor, layer: FileLayer, scheme: DynamicInt8
) -> LayerError:
    if not layer.quantized:
        bias = None if module.bias is None else module.bias.double()
        wanted = nn.functional.linear(x.double(), module.weight.double(), bias)
        return LayerError(name, False, nearness(wanted, layer.call(x)), None)
    rounded = scheme.weight(module.weight)
    weight = settled(rounded, layer.weight, module.weight, scheme.step(module.weight))
    on_grid = scheme.activation(x)
    wanted = nn.functional.linear(on_grid, weight, module.bias)
    noise = min(nearness(output, wanted), MOST_NOISE_DB)
    return LayerError(name, True, nearness(wanted, layer.call(on_grid)), nearness(wanted, layer.call(x)) - noise)
