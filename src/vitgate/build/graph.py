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
from vitgate.evidence import Evidence, Store
from vitgate.outcome import ClaimFailed, Outcome
from vitgate.run.environment import torch_build


class Builder:
    """Builds variants into the cache. Live modules are kept for their children while their case and engine last."""

    def __init__(self, store: Store, cache: ArtifactCache, model: Callable[[str], nn.Module], weights: Callable[[str], str]) -> None:
        """`model(case)` gives the eager model, `weights(case)` the digest of its weights."""
        self._store, self._cache, self._model, self._weights = store, cache, model, weights
        self._live: dict[Cell, Any] = {}
        self._build_id = _identity()

    def artifact(self, cell: Cell) -> Evidence:
        """Return the evidence of the build: path, bytes, digest, seconds; or the outcome that stopped it."""
        return self._store.get("build", cell.evidence_name, lambda: self._build(cell))

    def forget(self) -> None:
        """Drop the live modules: the worker goes on to another case or engine."""
        self._live.clear()

    def _build(self, cell: Cell) -> Evidence:
        assert cell.form.file is not None and cell.parent is not None
        parent = None if cell.form.parent == "original" else self.artifact(cell.parent)
        if parent is not None and parent.outcome is not None:
            at = parent.outcome.at if parent.outcome.kind == "blocked by" else cell.parent.variant
            return Evidence(outcome=Outcome("blocked by", at, message=f"{at} could not be built: {parent.outcome.message}"))
        file = f"{read_cases()[cell.case].files}_{cell.form.file}"
        try:
            entry = self._cache.get(self._key(cell), file, lambda path: self._write(cell, path))
        except ClaimFailed as failure:
            return Evidence(outcome=failure.outcome)
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
                self._live[parent] = torch.jit.load(self.artifact(parent).demand().values["path"])
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


