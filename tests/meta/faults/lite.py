"""Faults of the files for the lite interpreter: their parent, their operators, their bytecode, the mobile optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from vitgate.observe.artifacts import model_of, path_of
from vitgate.observe.saved_weights import lite_info

from ..scene import Scene
from .catalogue import fault, LITE, MADE_FROM_INT8, TABLE
from .layers import AndFloor

FROZEN = ("lite_frozen",)


@fault(
    processors=FROZEN, memory=FROZEN,
    layers=FROZEN,
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, weights=FROZEN,
    images=FROZEN, size=FROZEN, native=FROZEN, table=TABLE, may=("lite_bytecode", "lite_operators", "arithmetic"),
)  # fmt: skip
def lite_file_not_frozen(scene: Scene) -> None:
    """The lite file was saved without freezing: torch.jit.load takes it, the lite interpreter does not."""
    scene.after("freeze", "lite_frozen", lambda frozen: _parent(scene))


def _parent(scene: Scene) -> Any:
    return torch.jit.load(path_of(scene.observer, scene.cell("scripted_quantized")))


@fault(
    processors=FROZEN, memory=FROZEN,
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN,
    lite_bytecode=FROZEN, lite_operators=FROZEN, size=FROZEN, native=FROZEN, table=TABLE,
    images=FROZEN, may=("weights", "arithmetic"),
)  # fmt: skip
def lite_file_without_bytecode(scene: Scene) -> None:
    """The file for the lite interpreter was saved as any other: it holds code, and no bytecode."""
    scene.saving("save_for_lite_interpreter", "lite_frozen", lambda module, path: module.save(str(path)))


@fault(
    weights=FROZEN, size=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN, lite_operators=FROZEN,
    table=TABLE,
)  # fmt: skip
def lite_file_of_the_float_model(scene: Scene) -> None:
    """The lite file was made from the scripted model that is not quantized."""
    model = model_of(scene.observer, scene.case)
    scene.after("freeze", "lite_frozen", lambda frozen: torch.jit.freeze(torch.jit.script(model)))


@fault(arithmetic=("lite",), may=("logits_parent",), says="prepacked")
def lite_file_of_the_wrong_parent(scene: Scene) -> None:
    """The lite file was made from the quantized module instead of the optimized one."""

    def save(module: Any, path: Path) -> None:
        torch.jit.freeze(_parent(scene))._save_for_lite_interpreter(str(path))

    scene.saving("save_for_lite_interpreter", "lite", save)


@fault(lite_operators=LITE, says="aten::floor", may=("weights", "size"))
def operator_outside_the_list(scene: Scene) -> None:
    """The model needs one operator more than the runtimes in the field have."""

    def change(model: Any) -> Any:
        model.head_drop = AndFloor(model.head_drop)
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(lite_bytecode=FROZEN)
def bytecode_too_new(scene: Scene) -> None:
    """A release writes a bytecode version that no runtime in the field reads."""
    scene.values(lite_info, {"bytecode_version": 10}, scene.cell("lite_frozen"))


@fault(lite_bytecode=FROZEN)
def bytecode_too_old(scene: Scene) -> None:
    """A file has a bytecode version that runtimes in the field no longer read."""
    scene.values(lite_info, {"bytecode_version": 3}, scene.cell("lite_frozen"))


@fault(lite_operators=FROZEN, says="0 operators")
def operators_unknown(scene: Scene) -> None:
    """A file says of no operator that it needs it: the list was not read."""
    scene.values(lite_info, {"operators": []}, scene.cell("lite_frozen"))


# A stage fails


def _without(variants: tuple[str, ...], *also: str) -> dict[str, Any]:
    """Return what turns red where these variants, lite ones among them, cannot be built."""
    numbers = ("label", "repeatable", "logits_original", "logits_parent", "accuracy", "images")
    lite = tuple(name for name in variants if name in LITE)
    claims = ("build", *numbers, "weights", "arithmetic", "size", "memory", "native", "latency")
    return {**{claim: variants for claim in claims}, **{claim: lite for claim in also}}


_LITE_CLAIMS = ("lite_bytecode", "lite_operators")


@fault(
    processors=("lite_frozen",), layers=("lite_frozen",), table=TABLE, stage="freeze", **_without(FROZEN, *_LITE_CLAIMS)
)
def freezing_raises(scene: Scene) -> None:
    """A release in which torch.jit.freeze raises."""
    scene.raising("freeze", "lite_frozen")


@fault(
    processors=("lite_frozen",),
    layers=("lite_frozen",),
    table=TABLE,
    stage="save_for_lite_interpreter",
    **_without(FROZEN, *_LITE_CLAIMS),
)
def saving_for_lite_raises(scene: Scene) -> None:
    """A release without the private call that saves bytecode."""

    def save(module: Any, path: Path) -> None:
        raise AttributeError("no attribute '_save_for_lite_interpreter'")

    scene.saving("save_for_lite_interpreter", "lite_frozen", save)


@fault(
    processors=("optimized", "lite"),
    layers=(
        "optimized",
        "lite",
    ),
    everywhere=True,
    may=("table",),
    stage="optimize_for_mobile",
    **_without(MADE_FROM_INT8[:2], *_LITE_CLAIMS),
)
def optimizer_raises(scene: Scene) -> None:
    """The mobile optimizer fails in another way than is declared of any release."""
    scene.raising("optimize_for_mobile", "optimized")
