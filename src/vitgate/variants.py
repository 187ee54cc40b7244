"""The forms that a model takes on its way to a device: who is built from whom, by which stages, under which file name.

The first five are the tutorial's. `lite_frozen` is the tutorial's pipeline without the mobile optimizer, the only way
to a lite file on releases whose wheels lack XNNPACK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args, Literal

VariantName = Literal["original", "scripted", "scripted_quantized", "optimized", "lite", "lite_frozen"]
Stage = Literal[
    "set_engine",
    "create_model",
    "script",
    "quantize_dynamic",
    "optimize_for_mobile",
    "freeze",
    "save",
    "save_for_lite_interpreter",
    "load",
    "run",
    "read_weights",
    "compile",
]
Runtime = Literal["eager", "torchscript", "lite_interpreter"]

STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Variant:
    """One form of the model.

    `file` is the tutorial's file name after the case's prefix (`fbdeit` for DeiT); None where nothing is saved.
    `quantized` variants depend on the engine; the others are built once for all of them.
    `frozen` variants keep parameters as constants of one inlined graph instead of attributes of submodules.
    """

    name: VariantName
    title: str
    parent: VariantName | None
    stages: tuple[Stage, ...]
    file: str | None
    runtime: Runtime
    quantized: bool = True
    frozen: bool = False


_TABLE = (
    Variant("original", "original model", None, ("create_model",), None, "eager", quantized=False),
    Variant(
        "scripted",
        "scripted model",
        "original",
        ("script", "save"),
        "scripted.pt",
        "torchscript",
        quantized=False,
    ),
    Variant(
        "scripted_quantized",
        "scripted & quantized model",
        "original",  # the tutorial quantizes the eager model, then scripts it
        ("quantize_dynamic", "script", "save"),
        "scripted_quantized.pt",
        "torchscript",
    ),
    Variant(
        "optimized",
        "scripted & quantized & optimized model",
        "scripted_quantized",
        ("optimize_for_mobile", "save"),
        "optimized_scripted_quantized.pt",
        "torchscript",
        frozen=True,
    ),
    Variant(
        "lite",
        "lite model",
        "optimized",
        ("save_for_lite_interpreter",),
        "optimized_scripted_quantized_lite.ptl",
        "lite_interpreter",
        frozen=True,
    ),
    Variant(
        "lite_frozen",
        "lite model, frozen instead of optimized",
        "scripted_quantized",
        ("freeze", "save_for_lite_interpreter"),
        "frozen_scripted_quantized_lite.ptl",
        "lite_interpreter",
        frozen=True,
    ),
)

VARIANTS: dict[VariantName, Variant] = {variant.name: variant for variant in _TABLE}
