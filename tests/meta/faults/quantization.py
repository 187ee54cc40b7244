"""Faults of the quantized network: what is saved is not the original's weights in 8 bits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from vitgate.observe.artifacts import model_of

from ..scene import Scene
from .catalogue import fault, INT8, LITE, MADE_FROM_INT8, TABLE
from .layers import gelu_by_tanh, half_softmax, NoAttention, Nothing, other_epsilon, Rounded, WithSpare

NUMBERS = ("logits_original", "accuracy", "table")  # where the size of the error may show as well


def _quantized(scene: Scene, change: Callable[[Any], Any]) -> None:
    """Change the quantized model before it is scripted."""
    scene.after("quantize_dynamic", "scripted_quantized", change)


def _repacked(linear: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Give a dynamically quantized Linear other weights: `change` takes and gives the quantized tensor."""
    linear.set_weight_bias(change(linear.weight()), linear.bias())


def _as(weight: torch.Tensor, *, scale: float = 1.0, zero: int = 0) -> torch.Tensor:
    """Return the same integers with another scale (a factor) and zero point (added)."""
    parts = weight.int_repr(), weight.q_scale() * scale, weight.q_zero_point() + zero
    return torch._make_per_tensor_quantized_tensor(*parts)


# One layer's weights


def _scaled(scene: Scene, factor: float) -> None:
    def change(model: Any) -> Any:
        _repacked(model.blocks[1].mlp.fc1, lambda weight: _as(weight, scale=factor))
        return model

    _quantized(scene, change)


@fault(layers=INT8, weights=INT8, may=NUMBERS, says="blocks.1.mlp.fc1", full_size=True)
def scale_off_by_5_percent(scene: Scene) -> None:
    """One Linear's scale is 5% too large; its integers are right."""
    _scaled(scene, 1.05)


@fault(layers=INT8, weights=INT8, may=(*NUMBERS, "label"), says="blocks.1.mlp.fc1")
def scale_off_by_20_percent(scene: Scene) -> None:
    """One Linear's scale is 20% too large."""
    _scaled(scene, 1.2)


@fault(layers=INT8, weights=INT8, may=(*NUMBERS, "label"), says="blocks.1.mlp.fc1")
def scale_doubled(scene: Scene) -> None:
    """One Linear's scale is twice as large as it should be."""
    _scaled(scene, 2.0)


@fault(layers=INT8, weights=INT8, may=NUMBERS, says="blocks.2.attn.qkv", full_size=True)
def zero_point_off_by_one(scene: Scene) -> None:
    """One Linear's zero point is 1 instead of 0."""

    def change(model: Any) -> Any:
        _repacked(model.blocks[2].attn.qkv, lambda weight: _as(weight, zero=1))
        return model

    _quantized(scene, change)


@fault(layers=INT8, weights=INT8, may=(*NUMBERS, "label"), says="error", full_size=True)
def four_bit_weights(scene: Scene) -> None:
    """One Linear uses 16 of its 256 levels."""

    def coarse(weight: torch.Tensor) -> torch.Tensor:
        rounded = torch.round(weight.int_repr().float() / 17) * 17
        scale, zero = weight.q_scale(), weight.q_zero_point()
        return torch._make_per_tensor_quantized_tensor(rounded.clamp(-128, 127).to(torch.int8), scale, zero)

    def change(model: Any) -> Any:
        _repacked(model.blocks[0].attn.qkv, coarse)
        return model

    _quantized(scene, change)


@fault(layers=INT8, weights=INT8, may=NUMBERS, says="blocks.3.mlp.fc2")
def bias_changed(scene: Scene) -> None:
    """One element of one bias of the quantized model is off by a hundredth."""

    def change(model: Any) -> Any:
        linear = model.blocks[3].mlp.fc2
        bias = linear.bias().clone()
        bias[0] += 0.01
        linear.set_weight_bias(linear.weight(), bias)
        return model

    _quantized(scene, change)


@fault(weights=INT8, may=NUMBERS, says="blocks.2.norm2.weight")
def norm_weight_changed(scene: Scene) -> None:
    """One element of a layer norm, which stays in float, has changed."""

    def change(model: Any) -> Any:
        model.blocks[2].norm2.weight.data[0] *= 1.001
        return model

    _quantized(scene, change)


# What is quantized, and how


@fault(weights=INT8, lite_operators=("lite_frozen",), may=(*NUMBERS, "size"), full_size=True)
def one_linear_left_in_float(scene: Scene) -> None:
    """One Linear is not quantized."""

    def change(model: Any) -> Any:
        original: Any = model_of(scene.observer, scene.case)
        model.blocks[1].attn.proj = original.blocks[1].attn.proj
        return model

    _quantized(scene, change)


@fault(
    weights=INT8, logits_original=INT8, accuracy=INT8, size=("scripted_quantized",),
    lite_operators=("lite_frozen",), table=TABLE, may=("logits_parent", "size"),
)  # fmt: skip
def nothing_is_quantized(scene: Scene) -> None:
    """Quantization silently does nothing: the logits are too good."""
    _quantized(scene, lambda model: model_of(scene.observer, scene.case))


@fault(layers=INT8, weights=INT8, may=NUMBERS, says="steps")
def weights_quantized_twice(scene: Scene) -> None:
    """All weights were rounded to another scale's steps before they were quantized."""

    def change(model: Any) -> Any:
        twice = copy.deepcopy(model_of(scene.observer, scene.case))
        for module in twice.modules():
            if isinstance(module, torch.nn.Linear):
                step = module.weight.data.abs().max() / 100
                module.weight.data = torch.round(module.weight.data / step) * step
        return torch.quantization.quantize_dynamic(twice, qconfig_spec={torch.nn.Linear}, dtype=torch.qint8)

    _quantized(scene, change)


@fault(arithmetic=INT8, lite_operators=LITE, may=(*NUMBERS, "size"), says="aten::round")
def activations_quantized_twice(scene: Scene) -> None:
    """What each attention and MLP adds to the residual stream is rounded to 8 bits once more."""

    def change(model: Any) -> Any:
        for block in model.blocks:
            block.ls1, block.ls2 = Rounded(), Rounded()
        return model

    _quantized(scene, change)


@fault(layers=INT8, weights=INT8, may=(*NUMBERS, "size", "logits_parent"), says="other_schemes")
def quantized_by_channel(scene: Scene) -> None:
    """A release gives every output channel a scale of its own: other files, other numbers."""
    spec = {torch.nn.Linear: torch.quantization.per_channel_dynamic_qconfig}

    def change(model: Any) -> Any:
        return torch.quantization.quantize_dynamic(model_of(scene.observer, scene.case), qconfig_spec=spec)

    _quantized(scene, change)


@fault(
    layers=INT8,
    weights=INT8, lite_operators=LITE, logits_original=INT8, accuracy=INT8, size=("scripted_quantized",), table=TABLE,
    may=("size", "repeatable", "label", "logits_parent"),
)  # fmt: skip
def quantized_to_half(scene: Scene) -> None:
    """The Linears are stored in half precision instead of 8 bits."""

    def change(model: Any) -> Any:
        linears = {torch.nn.Linear}
        return torch.quantization.quantize_dynamic(model_of(scene.observer, scene.case), linears, dtype=torch.float16)

    _quantized(scene, change)


# The network's form


@fault(logits_original=INT8, accuracy=INT8, may=("label", "lite_operators"), full_size=True)
def attention_left_out(scene: Scene) -> None:
    """One block of the quantized model adds nothing after its attention; every weight is in the file."""

    def change(model: Any) -> Any:
        model.blocks[2].ls1 = Nothing()
        return model

    _quantized(scene, change)


@fault(logits_original=INT8, accuracy=INT8, may=("label", "lite_operators"))
def mlp_left_out(scene: Scene) -> None:
    """One block of the quantized model adds nothing after its MLP; every weight is in the file."""

    def change(model: Any) -> Any:
        model.blocks[2].ls2 = Nothing()
        return model

    _quantized(scene, change)


@fault(
    logits_original=INT8, accuracy=INT8, table=TABLE, weights=INT8, arithmetic=INT8, size=("scripted_quantized",),
    may=("label", "lite_operators", "size"),
)  # fmt: skip
def attention_taken_out(scene: Scene) -> None:
    """One block of the quantized model has no attention, and none of its weights."""

    def change(model: Any) -> Any:
        model.blocks[2].attn = NoAttention()
        return model

    _quantized(scene, change)


@fault(
    logits_original=INT8, accuracy=INT8, table=TABLE, weights=INT8, arithmetic=INT8, size=("scripted_quantized",),
    may=("label", "size"),
)  # fmt: skip
def block_taken_out(scene: Scene) -> None:
    """The quantized model lacks its last block."""

    def change(model: Any) -> Any:
        model.blocks = model.blocks[:-1]
        return model

    _quantized(scene, change)


@fault(layers=INT8, weights=INT8, logits_original=INT8, accuracy=INT8, may=("label",))
def blocks_swapped(scene: Scene) -> None:
    """Two blocks of the quantized model have changed places."""

    def change(model: Any) -> Any:
        model.blocks[1], model.blocks[2] = model.blocks[2], model.blocks[1]
        return model

    _quantized(scene, change)


@fault(weights=("scripted_quantized",), size=("scripted_quantized",), may=("weights", "size", "lite_operators"))
def tensor_too_many(scene: Scene) -> None:
    """The file holds a tensor that is no part of the model."""

    def change(model: Any) -> Any:
        model.head_drop = WithSpare(model.head_drop)
        return model

    _quantized(scene, change)


# What int8 noise hides


@fault(arithmetic=INT8, may=NUMBERS, says="eps=1e-05", full_size=True)
def quantized_epsilon(scene: Scene) -> None:
    """The layer norms of the quantized model have another epsilon than the original's."""
    _quantized(scene, other_epsilon)


@fault(arithmetic=INT8, may=NUMBERS, says="gelu tanh", full_size=True)
def quantized_gelu_by_tanh(scene: Scene) -> None:
    """The quantized model takes GELU by its approximation."""
    _quantized(scene, gelu_by_tanh)


@fault(arithmetic=INT8, may=(*NUMBERS, "lite_operators", "size"), says="cast to float16", full_size=True)
def quantized_softmax_in_half(scene: Scene) -> None:
    """The quantized model takes the softmax in half precision."""
    _quantized(scene, half_softmax)


# A stage fails


@fault(
    processors=INT8, memory=INT8,
    layers=INT8,
    build=INT8, label=INT8, repeatable=INT8, logits_original=INT8, logits_parent=MADE_FROM_INT8, weights=INT8,
    arithmetic=INT8, accuracy=INT8, size=INT8, lite_bytecode=LITE, lite_operators=LITE, latency=INT8, table=TABLE,
    images=INT8, native=INT8, everywhere=True, stage="quantize_dynamic",
)  # fmt: skip
def quantization_raises(scene: Scene) -> None:
    """A release in which quantize_dynamic raises."""
    scene.raising("quantize_dynamic", "scripted_quantized")
