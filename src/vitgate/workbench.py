"""The left half at work: builds, loads and observes what a check asks for, each once per session.

A worker keeps the modules of one case and engine at a time; what it observed is evidence on disk for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from vitgate.cases import Cell, read_cases
from vitgate.engines import Engine
from vitgate.errors import MachineError
from vitgate.evidence import Evidence, Store
from vitgate.outcome import ClaimFailed
from vitgate.plan import Plan
from vitgate.run.environment import check_imports, describe
from vitgate.variants import VARIANTS

if TYPE_CHECKING:
    from vitgate.build.graph import Builder
    from vitgate.judge.ratios import Bound
    from vitgate.run.runtimes import Runnable


class Workbench:
    """One worker's access to the session's evidence. torch is imported when the first observation needs it."""

    def __init__(self, plan: Plan) -> None:
        """Use the plan's session folder; nothing heavy happens yet."""
        from vitgate.build.cache import ArtifactCache

        self.plan = plan
        self.store = Store(Path(plan.session) / "evidence")
        self._cache = ArtifactCache(Path(plan.artifacts))
        self._models: dict[str, Any] = {}
        self._runs: dict[str, Runnable] = {}
        self._warm: dict[str, int] = {}
        self._focus: tuple[str, str] | None = None

    # What the run stands on

    def environment(self) -> Evidence:
        """Return what describes this PyTorch and machine."""

        def make() -> Evidence:
            check_imports()
            return Evidence(describe())

        return self.store.get("environment", "environment", make)

    def supports(self, engine: Engine) -> bool:
        """Whether this PyTorch build has the engine; MachineError where the user named one that it lacks."""
        engines = self.environment().values["engines"]
        if engine not in engines and self.plan.explicit_engines:
            raise MachineError(
                f"this PyTorch build has no engine {engine!r}",
                where=f"torch {self.environment().values['torch']}",
                do=f"choose from {', '.join(engines)}",
            )
        return engine in engines

    def weights(self, case: str) -> Evidence:
        """Return path, digest, kind and note of the weights."""

        def make() -> Evidence:
            self.environment()
            from vitgate.inputs.materialize import weights_of

            return weights_of(read_cases()[case], self.plan.request_for(case), self._cache)

        return self.store.get("weights", case, make)

    def pictures(self, case: str) -> Evidence:
        """Return the inputs: `x` float32 [N, C, H, W], `labels` int64 [N], and `heldout_x`, `heldout_labels`."""

        def make() -> Evidence:
            from vitgate.inputs.pictures import pictures_of

            return pictures_of(read_cases()[case], self.plan.assets)

        return self.store.get("pictures", case, make)

    def model(self, case: str) -> Any:
        """Return the eager model, one per worker."""
        if case not in self._models:
            from vitgate.build.stages import create_model, stage
            from vitgate.inputs.materialize import load_state

            with stage("create_model"):
                self._models[case] = create_model(read_cases()[case], load_state(self.weights(case)))
        return self._models[case]

    @cached_property
    def builder(self) -> Builder:
        """The build graph over this session's cache."""
        from vitgate.build.graph import Builder

        return Builder(self.store, self._cache, self.model, lambda case: str(self.weights(case).values["digest"]))

    def golden(self) -> Evidence:
        """Return how far the preprocessing of this torchvision and Pillow is from the golden tensor."""

        def make() -> Evidence:
            self.environment()
            from vitgate.inputs.preprocess import golden_difference

            return Evidence(asdict(golden_difference()))

        return self.store.get("golden", "preprocessing", make)

    def probe(self, call: str) -> Evidence:
        """Return how one of the tutorial's calls went, and the warnings that it gave."""

        def make() -> Evidence:
            self.environment()
            from vitgate.run.api import probe

            return Evidence(asdict(probe(call)))

        return self.store.get("calls", call, make)

    # Observations of a cell

    def artifact(self, cell: Cell) -> Evidence:
        """Return path, bytes, digest and seconds of the cell's file, building it if nobody has."""
        self._attend(cell)
        return self.builder.artifact(cell)

    def outputs(self, cell: Cell) -> Evidence:
        """Return `logits` float32 [N, classes] of each picture alone, `again` [1, classes], and `heldout_logits`.

        `again` is the first picture once more after all others: a variant with a memory gives something else.
        """
        return self.store.get("outputs", cell.evidence_name, lambda: self._observe(cell, self._outputs))

    def readback(self, cell: Cell) -> Evidence:
        """Return what the file's weights are, read back and compared with the original's."""
        return self.store.get("readback", cell.evidence_name, lambda: self._observe(cell, self._readback))

    def lite_info(self, cell: Cell) -> Evidence:
        """Return bytecode version and operators of a lite file."""
        return self.store.get("lite_info", cell.evidence_name, lambda: self._observe(cell, self._lite_info))

    def latency(self, case: str, engine: Engine, bounds: dict[str, Bound]) -> Evidence:
        """Return the samples of every variant that runs; see `vitgate.run.latency`."""

        def make() -> Evidence:
            return self._latency(case, engine, bounds)

        return self.store.get("latency", f"{case}-{engine}", make)

    def diagnosis(self, cell: Cell, other: Cell) -> str:
        """Return in words where in the network the cell and the other one part ways."""
        from vitgate.run.diagnosis import part_ways

        try:
            return part_ways(self, cell, other)
        except ClaimFailed as failure:
            return f"No diagnosis by block: {failure}"

    # How they are made

    def _observe(self, cell: Cell, make: Callable[[Cell], Evidence]) -> Evidence:
        try:
            return make(cell)
        except ClaimFailed as failure:
            return Evidence(outcome=failure.outcome)

    def _attend(self, cell: Cell) -> None:
        """Drop the modules of another case or engine: memory holds one engine's set at a time."""
        focus = (cell.case, cell.engine)
        if cell.form.quantized and self._focus != focus:
            for name in [name for name in self._runs if not name.endswith(("-original", "-scripted"))]:
                del self._runs[name]
            self.builder.forget()
            self._focus = focus

    def runnable(self, cell: Cell) -> Runnable:
        """Return the variant as its users load it; loaded once per worker."""
        from vitgate.run import runtimes

        self._attend(cell)
        name = cell.evidence_name
        if name not in self._runs:
            if cell.variant == "original":
                self._runs[name] = runtimes.eager(self.model(cell.case))
            else:
                path = self.artifact(cell).demand().values["path"]
                self._runs[name] = runtimes.load(cell.form.runtime, path)
            self._warm[name] = 0
        return self._runs[name]

    def _outputs(self, cell: Cell) -> Evidence:
        import torch

        from vitgate.build.stages import engine_set

        pictures = self.pictures(cell.case).arrays
        with engine_set(cell.engine):
            run = self.runnable(cell)

            def each(x: Any) -> Any:
                return np.concatenate([run(torch.from_numpy(x[i : i + 1])).numpy() for i in range(len(x))])

            arrays = {"logits": each(pictures["x"])}
            arrays["again"] = each(pictures["x"][:1])
            if "heldout_x" in pictures:
                arrays["heldout_logits"] = each(pictures["heldout_x"])
        self._warm[cell.evidence_name] += len(pictures["x"]) + 1
        return Evidence(arrays=arrays)

    def _readback(self, cell: Cell) -> Evidence:
        from torch import nn

        from vitgate.build.stages import engine_set, stage
        from vitgate.run.readback import read_back

        model = self.model(cell.case)
        linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
        path = Path(self.artifact(cell).demand().values["path"])
        with engine_set(cell.engine), stage("read_weights"):
            form = cell.form
            found = read_back(path, model.state_dict(), linears, frozen=form.frozen, quantized=form.quantized)
        return Evidence(asdict(found))

    def _lite_info(self, cell: Cell) -> Evidence:
        from vitgate.build.stages import stage
        from vitgate.run.lite_info import lite_info

        path = Path(self.artifact(cell).demand().values["path"])
        with stage("load"):
            return Evidence(asdict(lite_info(path)))

    def _latency(self, case: str, engine: Engine, bounds: dict[str, Bound]) -> Evidence:
        import torch

        from vitgate.build.stages import engine_set
        from vitgate.run.latency import profiled_ms, sample

        x = torch.from_numpy(self.pictures(case).arrays["x"][:1])
        with engine_set(engine):
            runs = {}
            for variant in VARIANTS:
                try:
                    runs[variant] = self.runnable(Cell(case, engine, variant))
                except ClaimFailed:
                    continue  # its own build or load claim says so; the latency claim finds no samples
            warm = {variant: self._warm[Cell(case, engine, variant).evidence_name] for variant in runs}
            samples = sample(runs, x, bounds, warm)
            profiled = {variant: profiled_ms(run, x) for variant, run in runs.items()}
        values: dict[str, Any] = {variant: {**vars(rows), "profiled_ms": profiled[variant]} for variant, rows in samples.items()}
        return Evidence(values)

