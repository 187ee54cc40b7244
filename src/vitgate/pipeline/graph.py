"""The build graph: from a cell to its file, every variant built from its parent once, failures kept as outcomes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitgate.files.hashing import digest, digest_of, key_of
from vitgate.inputs.pictures import made_up_pictures
from vitgate.judge.metrics import Array
from vitgate.pipeline import stages, successor_stages
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.pipeline.free_memory import release_free_memory
from vitgate.pipeline.stages import engine_set, stage
from vitgate.pipeline.torch_build import torch_build
from vitgate.spec.cases import OwnCase, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine, NO_ENGINE
from vitgate.spec.outcome import Evidence, Outcome
from vitgate.spec.processors import limits
from vitgate.spec.variants import package_versions
from vitgate.spec.versions import cpu_model, packages

Step = Callable[[Any, CellId], Any]
Saver = Callable[[Any, Path], None]


@dataclass
class Builder:
    """Builds variants into the cache, each from its parent. Live modules are kept for their children.

    Args:
        cache: Holds the files.
        artifact: Gives a parent's evidence, which builds it if need be.
        model: Gives a case's eager model.
        weights: Gives the digest of a case's weights.
        calibration: Gives the pictures, float32 [N, C, H, W], by which a case's static files choose their scales.
        under_way: A context within which a cell is built.
        set_engine: A context in which an engine is the quantized backend.
        steps: Turns a module into the next, by stage.
        savers: Writes a file, by stage.
        identity: What decides the content of every file.
    """

    cache: ArtifactCache
    artifact: Callable[[CellId], Evidence]
    model: Callable[[str], nn.Module]
    weights: Callable[[str], str]
    calibration: Callable[[str], Array] = lambda case: made_up_pictures(read_cases()[case])
    under_way: Callable[[CellId], AbstractContextManager[object]] = nullcontext
    set_engine: Callable[[Engine], AbstractContextManager[None]] = engine_set
    steps: dict[str, Step] = field(default_factory=lambda: dict(_STEPS))
    savers: dict[str, Saver] = field(default_factory=lambda: dict(_SAVERS))
    identity: dict[str, Any] = field(default_factory=lambda: _identity())
    _live: dict[CellId, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add the one step that takes more than the module and its cell."""
        self.steps.setdefault("read_calibration", self._with_calibration)

    def build(self, cell: CellId) -> Evidence:
        """Return path, bytes, digest, seconds; a parent that could not be built gives the outcome `blocked by`.

        ClaimFailed carries the outcome of a stage of its own that failed.
        """
        assert cell.form.file is not None
        assert cell.parent is not None
        parent = None if cell.form.parent == "original" else self.artifact(cell.parent)
        if parent is not None and parent.outcome is not None:
            at = parent.outcome.at if parent.outcome.kind == "blocked by" else cell.parent.variant
            message = f"{at} could not be built: {parent.outcome.message}"
            return Evidence(outcome=Outcome("blocked by", at, message=message))
        with self.under_way(cell):
            entry = self.cache.get(self.key(cell), file_name(cell), lambda path: self._write(cell, path))
        return Evidence({"path": entry.path, "bytes": entry.bytes, "digest": entry.digest, "seconds": entry.seconds})

    def key(self, cell: CellId) -> str:
        """Return a key that changes with everything that decides the content of the cell's file."""
        lineage = [ancestor.variant for ancestor in cell.lineage()]
        engine = cell.engine if cell.form.quantized else None
        parts = {"lineage": lineage, "engine": engine, "weights": self.weights(cell.case), "build": self.identity}
        if cell.engine == NO_ENGINE:
            parts |= {
                "packages": package_versions(),
                "cpu": cpu_model(),
                "recipe": digest_of(Path(successor_stages.__file__)),
            }
        if "read_calibration" in cell.stages:
            parts["calibration"] = digest(self.calibration(cell.case).tobytes())
        if cell.stages[-1] == "compile_package":  # machine code for this processor
            parts |= {"limits": limits(), "capability": torch_build()["cpu_capability"]}
        return key_of({**parts, "case": read_cases()[cell.case].model_dump(mode="json")})

    def _write(self, cell: CellId, path: Path) -> None:
        with self.set_engine(cell.engine):
            module = self._make(cell)
            if cell.stages[-1] == "save":
                self._live[cell] = module
            with stage(cell.stages[-1], path.parent):
                self.savers[cell.stages[-1]](module, path)
        del module
        release_free_memory(path)

    def _make(self, cell: CellId) -> Any:
        assert cell.parent is not None
        module: Any = self.model(cell.case) if cell.parent.variant == "original" else self._parent_module(cell.parent)
        for name in cell.stages[:-1]:
            with stage(name):
                module = self.steps[name](module, cell)
        return module

    def _with_calibration(self, module: Any, cell: CellId) -> successor_stages.Calibrated:
        return successor_stages.Calibrated(module, torch.from_numpy(self.calibration(cell.case)))

    def _parent_module(self, parent: CellId) -> Any:
        if parent.engine == NO_ENGINE:  # one file made of another
            return Path(self.artifact(parent).demand().values["path"])
        if parent not in self._live:  # it was built by an earlier session
            with stage("load"):
                self._live[parent] = torch.jit.load(self.artifact(parent).demand().values["path"])
        return self._live[parent]


def file_name(cell: CellId) -> str:
    """Return the name of the cell's file, which is the tutorial's for its own model."""
    return f"{read_cases()[cell.case].files}_{cell.form.file}"


_SAVERS: dict[str, Saver] = {
    "save": lambda module, path: module.save(str(path)),
    "save_for_lite_interpreter": stages.save_for_lite_interpreter,
    "save_exported": successor_stages.save_exported,
    "compile_package": successor_stages.compile_package,
    "save_program": successor_stages.save_program,
    "save_onnx": successor_stages.save_onnx,
    "quantize_onnx": successor_stages.quantize_onnx,
    "quantize_onnx_static": successor_stages.quantize_onnx_static,
}

_STEPS: dict[str, Step] = {
    "script": lambda module, cell: torch.jit.script(module),
    "trace": lambda module, cell: stages.trace(module, read_cases()[cell.case]),
    "quantize_dynamic": lambda module, cell: stages.quantize_dynamic(
        module, cell.engine, as_the_tutorial=not isinstance(read_cases()[cell.case], OwnCase)
    ),
    "optimize_for_mobile": lambda module, cell: stages.optimize_for_mobile(module),
    "freeze": lambda module, cell: torch.jit.freeze(module),
    "quantize_torchao": lambda module, cell: successor_stages.quantize_torchao(module),
    "quantize_weights": lambda module, cell: successor_stages.quantize_weights(module),
    "cast_to_bfloat16": lambda module, cell: successor_stages.cast_to_bfloat16(module),
    "export": lambda module, cell: successor_stages.export(module, _example(cell)),
    "quantize_pt2e": lambda module, cell: successor_stages.quantize_pt2e(module, _example(cell)),
    "quantize_pt2e_static": lambda given, cell: successor_stages.quantize_pt2e_static(given, _example(cell)),
    "lower_to_xnnpack": lambda module, cell: successor_stages.lower_to_xnnpack(module),
    "export_onnx": lambda module, cell: successor_stages.export_onnx(module, _example(cell)),
}


def _example(cell: CellId) -> torch.Tensor:
    return stages.example(read_cases()[cell.case])


def _identity() -> dict[str, Any]:
    import timm

    build = torch_build()
    recipe = Path(stages.__file__).read_bytes() + Path(__file__).read_bytes()
    names = ("torch", "commit", "configuration_digest")
    return {
        **{name: build[name] for name in names},
        "timm": timm.__version__,
        "transformers": packages().get("transformers"),
        "recipe": digest(recipe),
    }
