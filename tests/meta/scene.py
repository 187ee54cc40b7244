"""A run of the gate with something injected.

A `Scene` starts from a copy of a clean run's evidence, so that a fault costs only what it changes. In it the C++
program's logits are made up, as those that Python got: libtorch is the same, and so is what ails it. `Scene.native`
runs the program.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from vitgate.judge.findings import NATIVE_PICTURES
from vitgate.judge.table import parse, render
from vitgate.observe.artifacts import artifact, builder_of, model_of, variant_of
from vitgate.observe.diagnosis import blocks, diagnosis
from vitgate.observe.layers import expected_logits, few_outputs, kernels, layers
from vitgate.observe.memory import memory
from vitgate.observe.observer import LocalObserver, Observation, P
from vitgate.observe.outputs import anchor, outputs
from vitgate.observe.programs import native, native_concurrent, program
from vitgate.observe.saved_weights import lite_info, parameters, readback, scripted_arithmetic
from vitgate.observe.serving import batches, concurrent
from vitgate.observe.threads import threads
from vitgate.observe.timing import latency
from vitgate.pipeline.graph import Builder, file_name
from vitgate.spec.cells import CellId, SchemeName
from vitgate.spec.outcome import ClaimFailed, Evidence
from vitgate.spec.processors import HOST, lower_than, Processor
from vitgate.spec.variants import VariantName, VARIANTS

from .baseline import accept, Baseline, forget_classes, observer_of, plan_of, Rows
from .conformance_tests import claim_tests, judge

STOPPED = ("failed at", "blocked by", "unsupported")


def _as_python(observer: LocalObserver, cell: CellId) -> Evidence:
    return Evidence(arrays={"logits": observer.get(outputs, cell).demand().arrays["logits"][:NATIVE_PICTURES]})


@dataclass
class Scene:
    """Where a fault is injected: a copy of the clean run's evidence, and the means to change what comes of it."""

    clean: Baseline
    folder: Path
    patch: pytest.MonkeyPatch
    tests: dict[str, Callable[..., None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Copy the evidence, and accept the clean run's table."""
        forget_classes()
        shutil.copytree(self.clean.evidence, self.folder / "evidence", ignore=shutil.ignore_patterns("*.lock"))
        self.observer = observer_of(plan_of(self.case, self.clean.engine, self.folder))
        shutil.rmtree(
            self.folder / "evidence" / memory.kind, ignore_errors=True
        )  # says what becomes of the scene's files
        self.observer.instead[diagnosis.kind] = lambda *_: Evidence({"text": ""})  # seconds each, and judges nothing
        if self.observer.get(program).outcome is None:
            shutil.rmtree(self.folder / "evidence" / native.kind)
            self.observer.instead[native.kind] = _as_python
        self.accept(self.clean.table)

    @property
    def case(self) -> str:
        """The case that the scene is about."""
        return self.clean.case

    def cell(self, variant: VariantName) -> CellId:
        """Return the cell of this scene at that variant."""
        return CellId(self.case, self.clean.engine, variant)

    @property
    def builder(self) -> Builder:
        """What builds the files of this scene."""
        return builder_of(self.observer)

    def native(self, *variants: VariantName) -> None:
        """Let the program run those variants' files."""

        def make(observer: LocalObserver, cell: CellId) -> Evidence:
            return native.make(observer, cell) if cell.variant in variants else _as_python(observer, cell)

        self.observer.instead[native.kind] = make

    def native_concurrent(self, *variants: VariantName) -> None:
        """Let the program's threads call those variants' files anew."""
        for variant in variants:
            self.forget(native_concurrent, self.cell(variant))

    def accept(self, table: str) -> None:
        """Make this the accepted table."""
        accept(table, self.case, self.clean.engine, self.folder, self.patch)

    def forget(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> None:
        """Drop one piece of evidence, so that it is made anew."""
        for suffix in (".json", ".npz"):
            name = what.name(*arguments, **named)
            (self.folder / "evidence" / what.kind / f"{name}{suffix}").unlink(missing_ok=True)

    def rebuild(self, variant: VariantName) -> None:
        """Drop all evidence of a variant and of everything made from it, apart from latency, `images` and serving.

        The folder that stands for the user's holds the pictures of `accuracy`, which shows the same: the faults of
        `images` alter that evidence themselves, and only a variant that does not run at all is seen there too. What a
        server does, `batch`, `concurrent` and `threads`, is asked about variants whose single answers other claims
        judge: its own faults change how a variant is called, by `serving`.
        """
        if variant == "original":
            self.forget(parameters, self.case)
            self.forget(kernels, self.case)
            for form in ("modules", "frozen"):
                self.forget(scripted_arithmetic, self.case, form)
            for scheme in get_args(SchemeName):
                self.forget(expected_logits, self.case, scheme)
            for processor in lower_than(HOST):
                shutil.rmtree(self.folder / "evidence" / processor, ignore_errors=True)
        for name in [name for name in VARIANTS if self.cell(variant) in self.cell(name).lineage()]:
            for what in (artifact, outputs, anchor, readback, layers, lite_info, blocks):
                self.forget(what, self.cell(name))

    def after(self, stage: str, variant: VariantName, change: Callable[[Any], Any]) -> None:
        """Change what a stage of that variant gives; the variant and everything made from it is built anew."""
        real = self.builder.steps[stage]

        def step(module: Any, cell: CellId) -> Any:
            made = real(module, cell)
            return change(made) if cell.variant == variant else made

        self.builder.steps[stage] = step
        self.rebuild(variant)

    def original(self, change: Callable[[Any], Any]) -> None:
        """Change the eager model, from which all variants are made anew."""
        pool = self.observer.pool
        pool.models[self.case] = change(copy.deepcopy(model_of(self.observer, self.case)))
        pool.uncalled[self.case] = copy.deepcopy(pool.models[self.case])
        self.rebuild("original")

    def raising(self, stage: str, variant: VariantName) -> None:
        """Let a stage of that variant raise before it does anything."""
        real = self.builder.steps[stage]

        def step(module: Any, cell: CellId) -> Any:
            if cell.variant == variant:
                raise RuntimeError(f"{stage} is gone")
            return real(module, cell)

        self.builder.steps[stage] = step
        self.rebuild(variant)

    def saved(self, variant: VariantName, change: Callable[[Path], None]) -> None:
        """Change the file of that variant as soon as it is written."""
        cell = self.cell(variant)
        real = self.builder.savers[cell.stages[-1]]

        def save(module: Any, path: Path) -> None:
            real(module, path)
            if path.name == file_name(cell):
                change(path)

        self.saving(cell.stages[-1], variant, save)

    def saving(self, stage: str, variant: VariantName, save: Callable[[Any, Path], None]) -> None:
        """Let that function write the files of a stage; the variant and everything made from it is built anew."""
        self.builder.savers[stage] = save
        self.rebuild(variant)

    def running(self, variant: VariantName, wrap: Callable[[Any], Any]) -> None:
        """Wrap the call of that variant, if it loads: `wrap(run)` gives the function that runs instead."""
        cell = self.cell(variant)
        with suppress(ClaimFailed):
            self.observer.pool.variants[cell.evidence_name] = wrap(variant_of(self.observer, cell))
        self.forget(outputs, cell)

    def serving(self, variant: VariantName, wrap: Callable[[Any], Any]) -> None:
        """Wrap the call of that variant as `running` does, also where it is called as a server calls it."""
        self.running(variant, wrap)
        for what in (batches, concurrent, threads):
            self.forget(what, self.cell(variant))

    def alter(
        self,
        what: Observation[P],
        change: Callable[[Evidence], Evidence],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> None:
        """Change one piece of evidence of the clean run."""
        name = what.name(*arguments, **named)
        found = self.observer.store.find(what.kind, name)
        assert found is not None, f"no evidence {what.kind}/{name} to alter"
        altered = change(found)
        self.forget(what, *arguments, **named)
        self.observer.store.get(what.kind, name, lambda: altered)

    def on(self, processor: Processor, variant: VariantName, evidence: Evidence) -> None:
        """Let the file of that variant give this on a lower processor: evidence of `few_outputs`, or of `layers`."""
        held, cell = self.observer.held_to(processor), self.cell(variant)
        what = few_outputs if evidence.arrays else layers
        path = held.store.folder / what.kind / f"{what.name(cell)}.json"
        path.unlink(missing_ok=True)
        held.store.get(what.kind, what.name(cell), lambda: evidence)

    def values(
        self, what: Observation[P], changes: Mapping[str, object], *arguments: P.args, **named: P.kwargs
    ) -> None:
        """Change some values of one piece of evidence."""
        self.alter(what, lambda found: replace(found, values={**found.values, **changes}), *arguments, **named)

    def latency(self, variant: VariantName, rows: Mapping[str, Any]) -> None:
        """Give a variant other samples."""
        self.values(latency, {variant: dict(rows)}, self.cell(variant))

    def row(self, variant: VariantName, column: str, text: str) -> None:
        """Change one entry of the accepted table."""
        table = parse(self.clean.table)
        line = {**table.lines[variant], column: text}
        self.accept(render(replace(table, lines={**table.lines, variant: line})))

    def test_instead(self, claim: str, function: Callable[..., None]) -> None:
        """Let that function stand in the place of the claim's test."""
        self.tests[claim] = function

    def rows(self) -> Rows:
        """Judge every claim."""
        rows = []
        for test in claim_tests():
            own = replace(test, function=self.tests.get(test.claim.id, test.function))
            rows += [judge(own, subject, cell, self.observer) for subject, cell in own.at(self.clean.engine, self.case)]
        return {row.name: row for row in rows}


def red(rows: Rows) -> set[str]:
    """Return the names of the claims that are neither passed nor declared, nor lack the tools to check them."""
    return {name for name, row in rows.items() if row.status not in ("passed", "declared", "unsupported")}


def stopped(rows: Rows) -> set[str]:
    """Return the names of the claims that a stage's failure decides, or that lack the tools to check them."""
    return {name for name, row in rows.items() if row.outcome in STOPPED}
