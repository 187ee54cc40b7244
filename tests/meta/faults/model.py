"""Faults of the float model, which every variant shares, and of its scripted form."""

from __future__ import annotations

import copy
from typing import Any

import torch

from vitgate.observe.artifacts import model_of
from vitgate.pipeline import stages
from vitgate.spec.cases import read_cases

from ..scene import Scene
from .catalogue import ALL, fault, FILES, INT8, LITE, MADE_FROM_INT8, TABLE
from .layers import gelu_by_tanh, half_softmax, Nothing, other_epsilon

SHARED = ("label", "accuracy", "logits_original", "table")  # what numbers can show as well, by another model's margins
OWN_CLASS = "size"  # where one block differs from the others, TorchScript saves a class of its own for it


# The original is not what it should be, and so is all that is made from it


@fault(anchor=("original",), arithmetic=FILES, may=SHARED, says="eps=1e-05")
def original_epsilon(scene: Scene) -> None:
    """A release of timm gives the layer norms another epsilon: both sides of every comparison have it."""
    scene.original(other_epsilon)


@fault(arithmetic=FILES, may=("anchor", OWN_CLASS, *SHARED), says="eps=1e-05", full_size=True)
def original_epsilon_of_one_norm(scene: Scene) -> None:
    """One layer norm has another epsilon: less than rounding in the logits."""

    def change(model: Any) -> Any:
        model.blocks[1].norm1.eps = 1e-5
        return model

    scene.original(change)


@fault(anchor=("original",), arithmetic=FILES, may=SHARED, says="gelu tanh")
def original_gelu_by_tanh(scene: Scene) -> None:
    """A release of timm takes GELU by its approximation."""
    scene.original(gelu_by_tanh)


@fault(
    anchor=("original",), arithmetic=FILES, may=("lite_operators", "size", *SHARED), says="cast to float16",
)  # fmt: skip
def original_softmax_in_half(scene: Scene) -> None:
    """A release of timm takes the softmax in half precision."""
    scene.original(half_softmax)


@fault(anchor=("original",), may=("lite_operators", OWN_CLASS, *SHARED))
def original_attention_left_out(scene: Scene) -> None:
    """One block of the original adds nothing after its attention: every variant agrees with it."""

    def change(model: Any) -> Any:
        model.blocks[1].ls1 = Nothing()
        return model

    scene.original(change)


@fault(anchor=("original",), may=SHARED)
def original_positions_shifted(scene: Scene) -> None:
    """The positions' embedding is off by one token."""

    def change(model: Any) -> Any:
        model.pos_embed.data = model.pos_embed.data.roll(1, dims=1)
        return model

    scene.original(change)


@fault(anchor=("original",), may=SHARED)
def original_weight_scaled(scene: Scene) -> None:
    """The weights were read 1% too large in one layer: what is saved is what was read."""

    def change(model: Any) -> Any:
        model.blocks[1].mlp.fc1.weight.data = model.blocks[1].mlp.fc1.weight.data * 1.01
        return model

    scene.original(change)


@fault(parameters=("original",), may=("weights", *SHARED))
def original_positions_are_not_trained(scene: Scene) -> None:
    """A release of timm keeps the positions' embedding as a buffer: the same numbers, but none that is trained."""

    def change(model: Any) -> Any:
        positions = model.pos_embed.data
        del model.pos_embed
        model.register_buffer("pos_embed", positions)
        return model

    scene.original(change)


@fault(
    processors=INT8, memory=FILES,
    kernels=("original",), layers=FILES,
    anchor=("original",), parameters=("original",), build=FILES, label=ALL, repeatable=ALL, logits_original=FILES,
    logits_parent=MADE_FROM_INT8, weights=FILES, arithmetic=FILES, accuracy=ALL, images=ALL, size=FILES,
    lite_bytecode=LITE, lite_operators=LITE, native=FILES, latency=FILES, table=TABLE, everywhere=True,
    stage="create_model",
)  # fmt: skip
def model_cannot_be_made(scene: Scene) -> None:
    """A release of timm in which the model's constructor raises."""

    def architecture(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Unknown model")

    scene.patch.setattr(stages, "architecture", architecture)
    scene.rebuild("original")


# The scripted model is not the original


@fault(weights=("scripted",), logits_original=("scripted",), accuracy=("scripted",))
def scripted_weight_changed(scene: Scene) -> None:
    """The scripted file holds other weights in one layer than the original."""

    def change(model: Any) -> Any:
        model.blocks[0].norm1.weight.data *= 1.02
        return model

    _scripted(scene, change)


@fault(arithmetic=("scripted",), logits_original=("scripted",), may=("accuracy", "table"))
def scripted_epsilon(scene: Scene) -> None:
    """Scripting loses the epsilon of the layer norms."""
    _scripted(scene, other_epsilon)


@fault(arithmetic=("scripted",), logits_original=("scripted",), may=("accuracy", "table"))
def scripted_gelu_by_tanh(scene: Scene) -> None:
    """Scripting takes GELU by its approximation."""
    _scripted(scene, gelu_by_tanh)


@fault(arithmetic=("scripted",), logits_original=("scripted",), may=("accuracy", "table"))
def scripted_softmax_in_half(scene: Scene) -> None:
    """Scripting takes the softmax in half precision."""
    _scripted(scene, half_softmax)


def _scripted(scene: Scene, change: Any) -> None:
    """Script a changed copy of the model instead."""
    model = change(copy.deepcopy(model_of(scene.observer, scene.case)))
    scene.after("script", "scripted", lambda scripted: torch.jit.script(model))


@fault(
    layers=("scripted",),
    build=("scripted",), label=("scripted",), repeatable=("scripted",), logits_original=("scripted",),
    weights=("scripted",), arithmetic=("scripted",), accuracy=("scripted",), size=FILES, latency=("scripted",),
    images=("scripted",), native=("scripted",), memory=("scripted",), table=TABLE, stage="script",
)  # fmt: skip
def scripting_raises(scene: Scene) -> None:
    """A release in which torch.jit.script raises for this model: no size can be held against the scripted file's."""
    scene.raising("script", "scripted")


@fault(
    layers=("scripted",),
    build=("scripted",), label=("scripted",), repeatable=("scripted",), logits_original=("scripted",),
    weights=("scripted",), arithmetic=("scripted",), accuracy=("scripted",), size=FILES, latency=("scripted",),
    images=("scripted",), native=("scripted",), memory=("scripted",), table=TABLE, stage="trace",
)  # fmt: skip
def tracing_raises(scene: Scene) -> None:
    """A release in which torch.jit.trace raises for a model that is traced instead of scripted."""
    case = read_cases()[scene.case]
    scene.patch.setitem(read_cases(), scene.case, case.model_copy(update={"conversion": "trace"}))
    scene.raising("trace", "scripted")


@fault(
    layers=("scripted",),
    build=("scripted",), label=("scripted",), repeatable=("scripted",), logits_original=("scripted",),
    weights=("scripted",), arithmetic=("scripted",), accuracy=("scripted",), size=FILES, latency=("scripted",),
    images=("scripted",), native=("scripted",), memory=("scripted",), table=TABLE, stage="save",
)  # fmt: skip
def saving_raises(scene: Scene) -> None:
    """A release in which a scripted module cannot be saved."""

    def save(module: Any, path: Any) -> None:
        raise RuntimeError("cannot save")

    scene.saving("save", "scripted", save)


@fault(
    processors=INT8, memory=INT8,
    layers=INT8,
    label=INT8, repeatable=INT8, logits_original=INT8, logits_parent=MADE_FROM_INT8, weights=INT8, arithmetic=INT8,
    accuracy=INT8, build=INT8, size=INT8, lite_bytecode=LITE, lite_operators=LITE, latency=INT8, table=TABLE,
    images=INT8, native=INT8, everywhere=True, stage="set_engine",
)  # fmt: skip
def engine_is_not_set(scene: Scene) -> None:
    """A release that ignores the engine which is set, and keeps its own."""
    scene.patch.setattr(torch._C, "_set_qengine", lambda number: None)
    scene.rebuild("scripted_quantized")
