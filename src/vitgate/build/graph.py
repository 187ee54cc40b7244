"""The build graph: from a cell to its file, every variant built from its parent once, failures kept as outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitgate.build import stages
from vitgate.build.cache import ArtifactCache, key_of
from vitgate.build.stages import engine_set, stage
from vitgate.cases import Cell, read_cases
from vitgate.evidence import Evidence
from vitgate.outcome import Outcome
from vitgate.run.environment import torch_build


class Builder:
    """Builds variants into the cache. Live modules are kept for their children."""

    def __init__(
        self,
        cache: ArtifactCache,
        artifact: Callable[[Cell], Evidence],
        model: Callable[[str], nn.Module],
        weights: Callable[[str], str],
    ) -> None:
        """`artifact(cell)` gives a parent's evidence, `model(case)` the eager model, `weights(case)` their digest."""
        self._cache, self._artifact, self._model, self._weights = cache, artifact, model, weights
        self._live: dict[Cell, Any] = {}
        self._build_id = _identity()

    def build(self, cell: Cell) -> Evidence:
        """Return path, bytes, digest, seconds; a parent that could not be built gives the outcome `blocked by`.

        ClaimFailed carries the outcome of a stage of its own that failed.
        """
        assert cell.form.file is not None and cell.parent is not None
        parent = None if cell.form.parent == "original" else self._artifact(cell.parent)
        if parent is not None and parent.outcome is not None:
            at = parent.outcome.at if parent.outcome.kind == "blocked by" else cell.parent.variant
            message = f"{at} could not be built: {parent.outcome.message}"
            return Evidence(outcome=Outcome("blocked by", at, message=message))
        file = f"{read_cases()[cell.case].files}_{cell.form.file}"
        entry = self._cache.get(self._key(cell), file, lambda path: self._write(cell, path))
        return Evidence({"path": entry.path, "bytes": entry.bytes, "digest": entry.digest, "seconds": entry.seconds})

    def _key(self, cell: Cell) -> str:
        lineage = [ancestor.variant for ancestor in cell.lineage()]
        engine = cell.engine if cell.form.quantized else None
        parts = {"lineage": lineage, "engine": engine, "weights": self._weights(cell.case), "build": self._build_id}
        return key_of({**parts, "case": read_cases()[cell.case].model_dump(mode="json")})

    def _write(self, cell: Cell, path: Path) -> None:
        with engine_set(cell.engine):
            module = self._make(cell)
            if cell.form.stages[-1] == "save":
                self._live[cell] = module
            with stage(cell.form.stages[-1], path.parent):
                _SAVERS[cell.form.stages[-1]](module, path)

    def _make(self, cell: Cell) -> Any:
        assert cell.parent is not None
        module: Any = self._model(cell.case) if cell.parent.variant == "original" else self._parent_module(cell.parent)
        for name in cell.form.stages[:-1]:
            with stage(name):
                module = _apply(name, module, cell)
        return module

    def _parent_module(self, parent: Cell) -> Any:
        if parent not in self._live:  # it was built by an earlier session
            with stage("load"):
                self._live[parent] = torch.jit.load(self._artifact(parent).demand().values["path"])
        return self._live[parent]


_SAVERS: dict[str, Callable[[Any, Path], None]] = {
    "save": lambda module, path: module.save(str(path)),
    "save_for_lite_interpreter": stages.save_for_lite_interpreter,
}


def _apply(name: str, module: Any, cell: Cell) -> Any:
    if name == "script":
        return torch.jit.script(module)
    if name == "quantize_dynamic":
        return stages.quantize_dynamic(module, cell.engine)
    if name == "optimize_for_mobile":
        return stages.optimize_for_mobile(module)
    assert name == "freeze"
    return torch.jit.freeze(module)


def _identity() -> dict[str, Any]:
    import timm

    build = torch_build()
    recipe = Path(stages.__file__).read_bytes() + Path(__file__).read_bytes()
    names = ("torch", "commit", "configuration_digest")
    return {
        **{name: build[name] for name in names},
        "timm": timm.__version__,
        "recipe": hashlib.sha256(recipe).hexdigest(),
    }
