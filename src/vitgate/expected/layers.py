"""What each Linear of a saved file gives, against what its arithmetic says, on the float model's own activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from vitgate.expected.logits import plain_attention
from vitgate.expected.schemes import LinearScheme, settled
from vitgate.expected.tensors import nearness
from vitgate.judge.metrics import ROUNDING_DB

Call = Callable[[torch.Tensor], torch.Tensor]
Hook = Callable[[nn.Module, tuple[Any, ...], torch.Tensor], None]

MOST_NOISE_DB = ROUNDING_DB - 10.0
"""Where int8 costs less than this, as weights of zeros, the error need not lie further below it than rounding does."""


@dataclass(frozen=True)
class FileLayer:
    """A Linear as the file has it: `call` runs its kernel, `weight` [out, in] is as stored, quantized or not."""

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


class Reference(NamedTuple):
    """One call of an int8 Linear: the activations, what they give, and on their grid; int8's own noise in dB."""

    x: torch.Tensor
    wanted: torch.Tensor
    wanted_on_grid: torch.Tensor
    noise: float


References = dict[str, tuple[torch.Tensor, list[Reference]]]
"""By layer the weight as stored, and its calls: files that store the same weights are held against the same."""


@torch.no_grad()
def layer_errors(
    model: nn.Module,
    x: torch.Tensor,
    layers: Mapping[str, FileLayer],
    scheme: LinearScheme,
    known: References | None = None,
) -> tuple[LayerError, ...]:
    """Call each layer of the file with what reaches its Linear in the float model, which is called once.

    Args:
        model: The eager float model, in evaluation mode.
        x: One picture, float32 [1, C, H, W].
        layers: The file's Linears by the names that the model has for them.
        scheme: The arithmetic of those that are quantized.
        known: One dictionary for all files of the same model, picture and scheme, which is filled.

    Returns:
        An entry for each layer that the call reaches.
    """
    known = {} if known is None else known
    fresh = {name for name, layer in layers.items() if not _is_known(layer, known.get(name))}
    for name in fresh:
        known.pop(name, None)
    found: dict[str, LayerError] = {}

    def compare(name: str, module: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        assert isinstance(module, nn.Linear)
        layer = layers[name]
        if not layer.quantized:
            return _keep_worst(found, _float_error(name, module, given[0], layer))
        reference = _reference(module, given[0].clone(), output, layer, scheme)
        known.setdefault(name, (layer.weight, []))[1].append(reference)
        return _keep_worst(found, _error(name, layer, reference, scheme))

    if fresh:
        _watched(model, x, {name: partial(compare, name) for name in fresh})
    for name in layers.keys() - fresh:
        for reference in known[name][1]:
            _keep_worst(found, _error(name, layers[name], reference, scheme))
    return tuple(found.values())


def _watched(model: nn.Module, x: torch.Tensor, hooks: Mapping[str, Hook]) -> None:
    """Call the model with these hooks on its modules, by their names."""
    modules = dict(model.named_modules(remove_duplicate=False))
    handles = [modules[name].register_forward_hook(hook) for name, hook in hooks.items()]
    try:
        with plain_attention():
            model(x)
    finally:
        for handle in handles:
            handle.remove()


def _keep_worst(found: dict[str, LayerError], error: LayerError) -> None:
    """Keep the worst error of each of a layer's calls."""
    before = found.get(error.name, error)
    noises = [each.below_noise for each in (before, error) if each.below_noise is not None]
    found[error.name] = replace(error, exact=min(before.exact, error.exact), below_noise=min(noises, default=None))


def _is_known(layer: FileLayer, known: tuple[torch.Tensor, list[Reference]] | None) -> bool:
    if known is None or not layer.quantized or layer.weight.is_quantized != known[0].is_quantized:
        return False
    return torch.equal(layer.weight, known[0])


def _float_error(name: str, module: nn.Linear, x: torch.Tensor, layer: FileLayer) -> LayerError:
    bias = None if module.bias is None else module.bias.double()
    wanted = nn.functional.linear(x.double(), module.weight.double(), bias)
    return LayerError(name, False, nearness(wanted, layer.call(x)), None)


def _reference(
    module: nn.Linear, x: torch.Tensor, output: torch.Tensor, layer: FileLayer, scheme: LinearScheme
) -> Reference:
    weight, stored = scheme.weight(module.weight), layer.weight.dequantize()
    if not torch.equal(weight, stored):
        weight = settled(weight, stored, module.weight, scheme.step(module.weight))
    rounded, on_grid = scheme.activation(x), scheme.on_grid(x)
    wanted = nn.functional.linear(rounded, weight, module.bias)
    wanted_on_grid = wanted
    if not torch.equal(on_grid, rounded):
        wanted_on_grid = nn.functional.linear(scheme.activation(on_grid), weight, module.bias)
    return Reference(x, wanted, wanted_on_grid, min(nearness(output, wanted), MOST_NOISE_DB))


def _error(name: str, layer: FileLayer, reference: Reference, scheme: LinearScheme) -> LayerError:
    own, on_grid = layer.call(reference.x), layer.call(scheme.on_grid(reference.x))
    below_noise = nearness(reference.wanted, own) - reference.noise
    return LayerError(name, True, nearness(reference.wanted_on_grid, on_grid), below_noise)
