"""The forms that a model takes on its way to a device: who is built from whom, by which stages, under which file name.

The first five are the tutorial's. `lite_frozen` is the tutorial's pipeline without the mobile optimizer, the only way
to a lite file on releases whose wheels lack XNNPACK. The successors are where its users can go when TorchScript and
the mobile runtime are gone; they use no quantized engine of PyTorch. What they need of an environment is declared
in `fixtures/successors.toml`; nothing here imports them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import get_args, Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import model_validator

from vitgate.files.schemas import fixtures_folder, InnerPath, known, read_model, Strict, unique
from vitgate.spec.engines import Engine, NO_ENGINE
from vitgate.spec.outcome import NO_TOOLS, Outcome
from vitgate.spec.processors import HOST, Processor
from vitgate.spec.versions import is_installed, packages, VersionRange, within

VariantName = Literal[
    "original",
    "scripted",
    "scripted_quantized",
    "optimized",
    "lite",
    "lite_frozen",
    "exported",
    "exported_int8",
    "inductor",
    "inductor_int8",
    "executorch",
    "executorch_int8",
    "onnx",
    "onnx_int8",
    "exported_bf16",
    "exported_int8wo",
    "inductor_bf16",
    "onnx_static",
    "executorch_static",
]
Stage = Literal[
    "set_engine",
    "create_model",
    "script",
    "trace",
    "quantize_dynamic",
    "optimize_for_mobile",
    "freeze",
    "save",
    "save_for_lite_interpreter",
    "quantize_torchao",
    "quantize_weights",
    "cast_to_bfloat16",
    "export",
    "save_exported",
    "compile_package",
    "quantize_pt2e",
    "read_calibration",
    "quantize_pt2e_static",
    "lower_to_xnnpack",
    "save_program",
    "export_onnx",
    "save_onnx",
    "quantize_onnx",
    "quantize_onnx_static",
    "load",
    "run",
    "read_weights",
    "compile",
]
TutorialRuntime = Literal["eager", "torchscript", "lite_interpreter"]
NumberType = Literal["float32", "bfloat16", "int8"]
Runtime = Literal[TutorialRuntime, "export", "inductor", "executorch", "onnxruntime"]

STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Variant:
    """One form of the model.

    `file` is the tutorial's file name after the case's prefix (`fbdeit` for DeiT); None where nothing is saved.
    `stages` are those of a model that is scripted; `CellId.stages` has `trace` for one that is traced.
    `quantized` variants depend on the engine; the others are built once for all of them.
    `frozen` variants keep parameters as constants of one inlined graph instead of attributes of submodules.
    `option` is the option of a run that it takes.
    """

    name: VariantName
    title: str
    parent: VariantName | None
    stages: tuple[Stage, ...]
    file: str | None
    runtime: Runtime
    quantized: bool = True
    frozen: bool = False
    option: str = ""

    @property
    def stored(self) -> NumberType:
        """In which numbers the file has the weights of its Linears; of bfloat16 are all of its tensors."""
        if "cast_to_bfloat16" in self.stages:
            return "bfloat16"
        rounds = self.quantized or any(name.startswith("quantize") for name in self.stages)
        return "int8" if rounds else "float32"

    @property
    def computes_int8(self) -> bool:
        """Whether its Linears multiply integers, and not floats of which the weights alone were rounded."""
        return self.stored == "int8" and "quantize_weights" not in self.stages


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


def _successor(
    name: VariantName,
    title: str,
    stages: tuple[Stage, ...],
    file: str,
    runtime: Runtime,
    parent: VariantName = "original",
) -> Variant:
    return Variant(name, title, parent, stages, file, runtime, quantized=False)


_SUCCESSORS = (
    _successor("exported", "torch.export", ("export", "save_exported"), "exported.pt2", "export"),
    _successor(
        "exported_int8",
        "torch.export, int8 by torchao",
        ("quantize_torchao", "export", "save_exported"),
        "exported_int8.pt2",
        "export",
    ),
    _successor("inductor", "AOTInductor", ("export", "compile_package"), "inductor.pt2", "inductor"),
    _successor(
        "inductor_int8",
        "AOTInductor, int8 by torchao",
        ("quantize_torchao", "export", "compile_package"),
        "inductor_int8.pt2",
        "inductor",
    ),
    _successor(
        "executorch",
        "ExecuTorch with XNNPACK",
        ("export", "lower_to_xnnpack", "save_program"),
        "xnnpack.pte",
        "executorch",
    ),
    _successor(
        "executorch_int8",
        "ExecuTorch with XNNPACK, int8",
        ("export", "quantize_pt2e", "lower_to_xnnpack", "save_program"),
        "xnnpack_int8.pte",
        "executorch",
    ),
    _successor("onnx", "ONNX Runtime", ("export_onnx", "save_onnx"), "float.onnx", "onnxruntime"),
    _successor("onnx_int8", "ONNX Runtime, int8", ("quantize_onnx",), "int8.onnx", "onnxruntime", parent="onnx"),
)

TYPES = "--types"
"""The option that checks the successors' further number types."""


def _typed(name: VariantName, numbers: str, stage: Stage, of: Variant) -> Variant:
    file = f"{name}{Path(of.file or '').suffix}"
    return replace(of, name=name, title=f"{of.title}, {numbers}", stages=(stage, *of.stages), file=file)


_FLOAT = {variant.name: variant for variant in _SUCCESSORS}
_STATIC: tuple[Stage, ...] = ("export", "read_calibration", "quantize_pt2e_static", "lower_to_xnnpack", "save_program")
_TYPES = (
    _typed("exported_bf16", "bfloat16", "cast_to_bfloat16", _FLOAT["exported"]),
    _typed("exported_int8wo", "int8 weights by torchao", "quantize_weights", _FLOAT["exported"]),
    _typed("inductor_bf16", "bfloat16", "cast_to_bfloat16", _FLOAT["inductor"]),
    _successor(
        "onnx_static",
        "ONNX Runtime, static int8",
        ("read_calibration", "quantize_onnx_static"),
        "static.onnx",
        "onnxruntime",
        parent="onnx",
    ),
    _successor("executorch_static", "ExecuTorch with XNNPACK, static int8", _STATIC, "static.pte", "executorch"),
)

FLOAT_FORMS: dict[VariantName, VariantName] = {
    "exported_int8": "exported",
    "inductor_int8": "inductor",
    "executorch_int8": "executorch",
    "onnx_int8": "onnx",
    "exported_bf16": "exported",
    "exported_int8wo": "exported",
    "inductor_bf16": "inductor",
    "onnx_static": "onnx",
    "executorch_static": "executorch",
}
"""A successor's float32 file of the same kind, by the one of other numbers."""

VARIANTS: dict[VariantName, Variant] = {variant.name: variant for variant in _TABLE}
SUCCESSORS: dict[VariantName, Variant] = {
    variant.name: variant for variant in (*_SUCCESSORS, *(replace(each, option=TYPES) for each in _TYPES))
}
FORMS: dict[VariantName, Variant] = VARIANTS | SUCCESSORS


def variants_of(engine: Engine) -> tuple[VariantName, ...]:
    """Return the variants that stand under that engine, in the tables' order."""
    return tuple(SUCCESSORS if engine == NO_ENGINE else VARIANTS)


class Successor(Strict):
    """One successor: the torch releases on which it works, the packages and tools that it needs, its page in `docs/`.

    `under` has, by torch releases, what they need in the place of the requirement of the same name in `packages`.
    `compiler` is a C++ compiler that builds the file; none is needed to run it.
    """

    variant: VariantName
    torch: VersionRange
    extra: str = ""
    packages: tuple[str, ...] = ()
    under: dict[VersionRange, tuple[str, ...]] = {}
    compiler: bool = False
    page: InnerPath

    @model_validator(mode="after")
    def _has_requirements(self) -> Successor:
        try:
            for text in chain(self.packages, *self.under.values()):
                Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"{text!r} is not a requirement: {error}") from None
        return self

    def needed(self, torch: str) -> tuple[str, ...]:
        """Return the requirements under that release of torch."""
        found = {Requirement(text).name: text for text in self.packages}
        for releases, needs in self.under.items():
            found |= {Requirement(text).name: text for text in needs if within(releases, torch)}
        return tuple(found.values())

    def lacking(self, torch: str) -> Outcome | None:
        """Return the `unsupported` outcome if torch or a package is missing or too old, otherwise None."""
        if not within(self.torch, torch):
            return Outcome("unsupported", message=f"{self.variant} needs torch{self.torch}, this is {torch}")
        tools = self._lacking_tools(torch)
        return Outcome("unsupported", error=NO_TOOLS, message=tools) if tools else None

    def _lacking_tools(self, torch: str) -> str:
        wrong = [text for text in self.needed(torch) if not is_installed(Requirement(text))]
        if wrong:
            return f'{self.variant} needs {" and ".join(wrong)}: pip install "vitgate[{self.extra}]"'
        if self.compiler and compiler() is None:
            return f"{self.variant} needs a C++ compiler: install g++, or name one with CXX"
        return ""


class SuccessorFile(Strict):
    """The whole of `successors.toml`."""

    successor: list[Successor]


@cache
def read_successors(path: Path | None = None) -> dict[VariantName, Successor]:
    """Return the rows by variant, in the variants' order; UsageError where one is missing, unknown or there twice."""
    path = path or fixtures_folder() / "successors.toml"
    rows = {row.variant: row for row in read_model(SuccessorFile, path).successor}
    unique([row.variant for row in read_model(SuccessorFile, path).successor], where=path)
    known(rows, SUCCESSORS, "successor", where=path)
    known(SUCCESSORS, rows, "row of", where=path)
    return {name: rows[name] for name in SUCCESSORS}


def portable_successors(ships_to: Processor) -> tuple[VariantName, ...]:
    """Return the successors whose files run on that processor: a compiled package is for the one that compiled it."""
    return tuple(name for name, row in read_successors().items() if ships_to == HOST or not row.compiler)


def package_versions() -> dict[str, str]:
    """Return the installed versions of all packages that some successor is made or run with."""
    names = sorted({Requirement(text).name for row in read_successors().values() for text in row.packages})
    return {name: packages()[name] for name in names if name in packages()}


def compiler() -> str | None:
    """Return the path of the C++ compiler that torch would take: CXX, or g++."""
    return shutil.which(os.environ.get("CXX") or "g++")


def torchao_reduces_range() -> bool:
    """Whether the installed torchao has the option `reduce_range` (Int8DynamicActivationInt8WeightConfig)."""
    return not is_installed(Requirement("torchao<0.18"))
