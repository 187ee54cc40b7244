"""What runs is not what should run: outputs, memory, the engine, loading."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vitgate.expected.layers import FileLayer
from vitgate.observe import saved_weights
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import outputs
from vitgate.pipeline.stages import engine_set, stage
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import VariantName

from ..scene import Scene
from .catalogue import fault, INT8, LITE, TABLE

FROZEN = ("lite_frozen",)


# Numbers that are none, or another's


@fault(
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, native=FROZEN,
    table=TABLE,
)  # fmt: skip
def not_a_number(scene: Scene) -> None:
    """The lite interpreter gives NaN."""
    scene.running("lite_frozen", lambda run: lambda x: run(x) * float("nan"))


@fault(
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, native=FROZEN,
    table=TABLE,
)  # fmt: skip
def infinite(scene: Scene) -> None:
    """One logit of every picture is infinite."""

    def wrap(run: Any) -> Any:
        def infinite_first(x: torch.Tensor) -> torch.Tensor:
            logits = run(x).clone()
            logits[:, 0] = float("inf")
            return logits

        return infinite_first

    scene.running("lite_frozen", wrap)


@fault(label=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, may=("table",))
def constant(scene: Scene) -> None:
    """Whatever the picture, the answer is that of the first one."""

    def wrap(run: Any) -> Any:
        kept: list[torch.Tensor] = []

        def first_answer(x: torch.Tensor) -> torch.Tensor:
            kept.append(run(x)) if not kept else None
            return kept[0]

        return first_answer

    scene.running("lite_frozen", wrap)


@fault(label=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN)
def half_of_the_classes(scene: Scene) -> None:
    """The lite interpreter gives logits of another shape."""
    scene.running("lite_frozen", lambda run: lambda x: run(x)[:, :5])


@fault(label=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN, may=("table", "repeatable"))
def axes_swapped(scene: Scene) -> None:
    """Logits come with classes first and pictures second."""
    scene.running("lite_frozen", lambda run: lambda x: run(x).t())


@fault(label=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN, table=TABLE)
def classes_reversed(scene: Scene) -> None:
    """The classes come in the opposite order."""
    scene.running("lite_frozen", lambda run: lambda x: run(x).flip(1))


@fault(label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN, table=TABLE)
def rows_in_another_order(scene: Scene) -> None:
    """The logits of the pictures come in the opposite order: each is right, and stands in another's place."""

    def turn(found: Evidence) -> Evidence:
        turned = {name: found.arrays[name][::-1] for name in ("logits", "heldout_logits")}
        return replace(found, arrays={**found.arrays, **turned})

    scene.alter(outputs, turn, scene.cell("lite_frozen"))


@fault(logits_parent=FROZEN)
def lite_logits_differ(scene: Scene) -> None:
    """The lite interpreter gives logits a thousandth off those of the module that the file was saved from."""
    scene.running("lite_frozen", lambda run: lambda x: run(x) * 1.001)


@fault(logits_parent=FROZEN)
def logits_in_half(scene: Scene) -> None:
    """The lite interpreter gives logits of half precision."""
    scene.running("lite_frozen", lambda run: lambda x: run(x).half().float())


# Memory


@fault(repeatable=("scripted_quantized",))
def previous_call_remembered(scene: Scene) -> None:
    """A variant remembers how often it was called; each call moves the logits by a few millionths."""

    def wrap(run: Any) -> Any:
        calls = iter(range(1_000_000))
        return lambda x: run(x) + 1e-6 * min(10, next(calls))

    scene.running("scripted_quantized", wrap)


@fault(repeatable=("scripted_quantized",))
def different_each_time(scene: Scene) -> None:
    """A variant's logits are not the same twice: threads that add in any order do so."""
    scene.running("scripted_quantized", lambda run: lambda x: run(x) + 1e-6 * torch.rand(1))


@fault(repeatable=("scripted_quantized",), may=("logits_original",))
def input_overwritten(scene: Scene) -> None:
    """A variant writes into the picture that it is given."""

    def wrap(run: Any) -> Any:
        def overwriting(x: torch.Tensor) -> torch.Tensor:
            logits = run(x)
            x.mul_(0.99)
            return logits

        return overwriting

    scene.running("scripted_quantized", wrap)


@fault(
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, table=TABLE,
)  # fmt: skip
def output_buffer_reused(scene: Scene) -> None:
    """The lite interpreter hands out the same memory for every answer: the last one overwrites all before it."""

    def wrap(run: Any) -> Any:
        kept: list[torch.Tensor] = []

        def reusing(x: torch.Tensor) -> torch.Tensor:
            logits = run(x)
            kept.append(logits.clone()) if not kept else kept[0].copy_(logits)
            return kept[0]

        return reusing

    scene.running("lite_frozen", wrap)


# The engine


@fault(layers=INT8, accuracy=INT8, size=LITE, table=TABLE, may=("logits_original",))
def engine_silently_switched(scene: Scene) -> None:
    """A release says that the engine is fbgemm, and builds and runs everything with qnnpack."""
    engines = {name: number for number, name in _names().items()}
    real = torch._C._set_qengine
    scene.patch.setattr(torch._C, "_set_qengine", lambda number: real(engines["qnnpack"]))
    scene.patch.setattr(torch._C, "_get_qengine", lambda: engines["fbgemm"])
    scene.rebuild("scripted_quantized")


def _names() -> dict[int, str]:
    from torch.backends.quantized import _get_qengine_str

    return {number: _get_qengine_str(number) for number in torch._C._supported_qengines()}


def _pack_under(scene: Scene, engine: Engine) -> None:
    scene.builder.set_engine = lambda _: engine_set(engine)
    scene.rebuild("scripted_quantized")


@fault(size=LITE, table=TABLE)
def packed_under_qnnpack_run_under_fbgemm(scene: Scene) -> None:
    """The files were packed under qnnpack and are run under fbgemm."""
    _pack_under(scene, "qnnpack")


@fault(size=LITE, table=TABLE, engine="qnnpack")
def packed_under_fbgemm_run_under_qnnpack(scene: Scene) -> None:
    """The files were packed under fbgemm and are run under qnnpack: twice the weights on the device."""
    _pack_under(scene, "fbgemm")


# Loading and running fail


@fault(
    processors=FROZEN, memory=FROZEN,
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, native=FROZEN,
    images=FROZEN, table=TABLE, stage="load",
)  # fmt: skip
def file_no_longer_loads(scene: Scene) -> None:
    """The lite interpreter refuses the file that was just written."""
    import torch.jit.mobile as mobile

    def load(path: str) -> Any:
        raise RuntimeError("unknown operator")

    scene.patch.setattr(mobile, "_load_for_lite_interpreter", load)
    scene.forget(outputs, scene.cell("lite_frozen"))


@fault(
    processors=FROZEN, memory=FROZEN,
    label=FROZEN, repeatable=FROZEN, logits_original=FROZEN, accuracy=FROZEN, logits_parent=FROZEN, native=FROZEN,
    images=FROZEN, table=TABLE, stage="run",
)  # fmt: skip
def call_fails(scene: Scene) -> None:
    """The lite interpreter loads the file and fails in the first call."""

    def wrap(run: Any) -> Any:
        def broken(x: torch.Tensor) -> torch.Tensor:
            with stage("run"):
                raise RuntimeError("missing kernel")

        return broken

    scene.running("lite_frozen", wrap)


@fault(weights=FROZEN, arithmetic=FROZEN, size=FROZEN, stage="read_weights")
def weights_cannot_be_read(scene: Scene) -> None:
    """What is in the file cannot be read back."""
    from vitgate.observe import readback

    def read_back(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no __getstate__")

    scene.patch.setattr(readback, "read_back", read_back)
    scene.forget(saved_weights.readback, scene.cell("lite_frozen"))


@fault(accuracy=FROZEN)
def three_percent_of_pictures_lost(scene: Scene) -> None:
    """One variant takes twelve of the 400 held-out pictures for something else."""

    def lose(found: Evidence) -> Evidence:
        logits = found.arrays["heldout_logits"].copy()
        logits[:12] = np.roll(logits[:12], 1, axis=1)
        return replace(found, arrays={**found.arrays, "heldout_logits": logits})

    scene.alter(outputs, lose, scene.cell("lite_frozen"))


# Kernels: no file, graph, weight or size shows them. tests/meta/test_kernel_faults.py has more, by the dispatcher.


@fault(layers=("lite_frozen",))
def one_layer_gains_a_thousandth(scene: Scene) -> None:
    """One int8 layer of the lite file gives a thousandth more than it should."""
    _with_gain(scene, "lite_frozen", "blocks.1.mlp.fc1", 1.001)


@fault(layers=("scripted",))
def one_float_layer_gains_a_ten_thousandth(scene: Scene) -> None:
    """One Linear of the scripted file gives a ten-thousandth more than it should."""
    _with_gain(scene, "scripted", "blocks.1.mlp.fc1", 1.0001)


def _with_gain(scene: Scene, variant: VariantName, name: str, gain: float) -> None:
    from vitgate.observe import layers

    real = layers.file_layers

    def spoilt(observer: LocalObserver, cell: CellId) -> dict[str, FileLayer]:
        found = real(observer, cell)
        if cell.variant == variant:
            sound = found[name].call
            found[name] = replace(found[name], call=lambda x: gain * sound(x))
        return found

    scene.patch.setattr(layers, "file_layers", spoilt)
    scene.forget(layers.layers, scene.cell(variant))


@fault(kernels=("original",), says="aten::gelu")
def gelu_gains_a_ten_thousandth(scene: Scene) -> None:
    """The original's GELU gives a ten-thousandth more than it should; so it does in every variant."""
    from vitgate.expected import kernels
    from vitgate.observe.layers import kernels as observed

    real = kernels.run
    scene.patch.setattr(
        kernels,
        "run",
        lambda func, args, kwargs: real(func, args, kwargs) * (1.0001 if func.name() == "aten::gelu" else 1),
    )
    scene.forget(observed, scene.case)
