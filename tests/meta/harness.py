"""The gate under test, in one process: the real observer and the real conformance tests, on the small case by default.

A `Baseline` is a clean run whose evidence stays on disk. A `Scene` starts from a copy of that evidence, so that a fault
costs only what it changes. Judging calls the functions of `tests/conformance` themselves and the plugin's own settling.
Latency samples are made up: no busy neighbour may decide a test of the gate. In a scene the C++ program's logits are
made up too, as those that Python got: libtorch is the same, and so is what ails it. `Scene.native` runs the program.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed, FieldItem, given
from vitgate.inputs.picture_folder import LabelledFolder
from vitgate.inputs.run_options import make_run_config
from vitgate.judge.findings import NATIVE_PICTURES
from vitgate.judge.table import parse, render
from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.artifacts import artifact, builder_of, model_of, variant_of
from vitgate.observe.diagnosis import blocks, diagnosis
from vitgate.observe.inputs import labelled, pictures
from vitgate.observe.layers import expected_logits, few_outputs, kernels, layers
from vitgate.observe.memory import memory
from vitgate.observe.observer import LocalObserver, Observation, Observer, P
from vitgate.observe.outputs import anchor, outputs
from vitgate.observe.predictions import images, predict
from vitgate.observe.programs import native, native_concurrent, program
from vitgate.observe.saved_weights import lite_info, parameters, readback, scripted_arithmetic
from vitgate.observe.serving import batches, concurrent
from vitgate.observe.store import Store
from vitgate.observe.threads import threads
from vitgate.observe.timing import latency
from vitgate.pipeline.graph import Builder, file_name
from vitgate.plugin import expected_failures, tables
from vitgate.plugin.fixtures import CHECK, Check, FieldCheck
from vitgate.records.rows import ClaimRow
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId, SchemeName
from vitgate.spec.claims import Claim, IMAGES, read_claims
from vitgate.spec.engines import Engine
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import ClaimFailed, Evidence
from vitgate.spec.processors import HOST, lower_than, Processor
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import VariantName, VARIANTS, variants_of
from vitgate.spec.versions import machine

CASE = "digits"  # the smallest case
FULL_SIZE = "deit_base"
OWN_CASE = "shapes"  # of examples/own_model, where its file is named
RATIOS = {CASE: 1.0, FULL_SIZE: 0.5, OWN_CASE: 1.0}  # made-up latencies as ratios to the original's, in every window
GIVEN = (str(fixtures_folder() / "field" / "2.12.1"),)  # stands for a folder that a user names with --field
CONFORMANCE = Path(__file__).parents[1] / "conformance"
STOPPED = ("failed at", "blocked by", "unsupported")
Rows = dict[str, ClaimRow]


# The conformance tests, found by their marker


@dataclass(frozen=True)
class ClaimTest:
    """One function of `tests/conformance`: its claim, and the values of its own parameter beside the cell, if any."""

    function: Callable[..., None]
    claim: Claim
    file: str
    subjects: tuple[str, ...] = ()

    def at(self, engine: Engine, case: str = CASE) -> Iterator[tuple[str, CellId | None]]:
        """Yield the subjects for one case and engine, with their cells."""
        if self.claim.id == IMAGES:
            yield from (
                (str(cell), cell) for cell in (CellId(case, engine, variant) for variant in variants_of(engine))
            )
        elif self.claim.per == "cell":
            yield from ((str(cell), cell) for cell in self.claim.cells() if (cell.case, cell.engine) == (case, engine))
        elif self.claim.per == "engine":
            if (group := GroupId(case, engine)) in self.claim.groups():
                yield str(group), group.original
        elif self.claim.per == "case":
            yield from ((case, CellId(case, engine, "original")) for case in [case] if case in self.claim.case_ids())
        elif self.claim.per == "file":
            yield from ((item.row.id, item.cell) for item in self._items() if item.row.engine == engine)
        else:
            yield from ((subject, None) for subject in self.subjects or (self.function.__name__,))

    def _items(self) -> list[FieldItem]:
        return committed() if self.claim.id == "field" else given(GIVEN)


@cache
def claim_tests() -> tuple[ClaimTest, ...]:
    """Return every test function of the conformance suite that has a claim's marker."""
    return tuple(test for path in sorted(CONFORMANCE.glob("test_*.py")) for test in _tests_of(path))


def test_functions(path: Path) -> dict[str, Callable[..., None]]:
    """Return the functions of one file that pytest would collect."""
    spec = importlib.util.spec_from_file_location(f"conformance_under_test_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}


test_functions.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test's where it is imported


def _tests_of(path: Path) -> Iterator[ClaimTest]:
    for function in test_functions(path).values():
        marks = {mark.name: mark for mark in getattr(function, "pytestmark", ())}
        if "claim" in marks:
            values = tuple(marks["parametrize"].args[1]) if "parametrize" in marks else ()
            yield ClaimTest(function, read_claims()[marks["claim"].args[0]], path.name, values)


class OneProcess(LocalObserver):
    """The real observer, but that files on lower processors give just what int8 should: this process cannot be held."""

    def held_to(self, processor: Processor) -> Observer:
        """Return an observer of what that processor gives; its evidence stands beside that of this one."""
        made_up = {few_outputs.kind: lambda _, cell: self._as_expected(cell), layers.kind: _sound_layer}
        held = LocalObserver(self.plan, made_up)
        held.store = Store(self.store.folder / processor)
        return held

    def _as_expected(self, cell: CellId) -> Evidence:
        assert cell.scheme is not None
        return Evidence(arrays={"logits": self.get(expected_logits, cell.case, cell.scheme).demand().arrays["logits"]})


def _sound_layer(*_: object) -> Evidence:
    return Evidence({"layers": [{"name": "head", "quantized": True, "exact": 130.0, "below_noise": 60.0}]})


def observer_of(plan: RunConfig) -> LocalObserver:
    """Return the real observer; for the folder of a user's pictures stand the case's own, in memory.

    A file that runs keeps no memory: what a fresh process says takes seconds each, and faults start their own.
    """
    return OneProcess(plan, {labelled.kind: _labelled, images.kind: _images, memory.kind: _memory})


def sound_memory() -> dict[str, Any]:
    """Make up what a fresh process says of a file that leaks nothing."""
    imports, held = 300_000_000, 301_000_000
    told = {"loaded": held, "called": held, "peak": held, "again": held, "again_called": held}
    return {"every": 10, "imports": imports, **told, "samples": [held] * 40}


def _memory(observer: LocalObserver, cell: CellId) -> Evidence:
    observer.get(outputs, cell).demand()
    return Evidence(sound_memory())


def _own_pictures(observer: LocalObserver) -> tuple[Any, Any]:
    arrays = observer.get(pictures, observer.plan.cases[0]).arrays
    names = ("heldout_x", "heldout_labels") if "heldout_x" in arrays else ("x", "labels")
    return arrays[names[0]], arrays[names[1]]


def _labelled(observer: LocalObserver) -> Evidence:
    _x, labels = _own_pictures(observer)
    names = tuple(f"{label}/{number:03}.png" for number, label in enumerate(labels))
    classes = tuple(sorted({str(label) for label in labels}))
    return LabelledFolder(Path("own"), names, labels, classes, True, 0).to_evidence("made up")


def _images(observer: LocalObserver, cell: CellId) -> Evidence:
    return predict(observer, cell, _own_pictures(observer)[0])


# One claim, judged as the plugin does it


def judge(test: ClaimTest, subject: str, cell: CellId | None, observer: Observer) -> ClaimRow:
    """Run one conformance test and settle it; the row is the one that a record would hold."""
    file = _committed_files(fixtures_folder()).get(subject) if test.claim.per == "file" else None
    kind = Check if file is None else partial(FieldCheck, file=file)
    check = kind(test.claim, cell, observer, read_tolerances(), machine())
    about = {"item": file} if file else {"cell": cell} if cell else {"call": subject}
    item = _Item(subject, f"{test.file}::{test.function.__name__}[{subject}]", test.function.__name__, about)
    cast(pytest.Item, item).stash[CHECK] = check
    arguments = {
        "check": check,
        "session_check": check,
        "field_check": check,
        "observer": observer,
        "call": subject,
        "snapshot": _Snapshot(check),
        "request": SimpleNamespace(config=SimpleNamespace(getoption=lambda name: False)),
    }
    wanted = {name: arguments[name] for name in inspect.signature(test.function).parameters}
    call = pytest.CallInfo.from_call(lambda: test.function(**wanted), when="call")
    report = cast(pytest.TestReport, SimpleNamespace(nodeid=item.nodeid))
    return expected_failures.settle(cast(pytest.Item, item), call, report, test.claim)


@cache
def _committed_files(folder: Path) -> dict[str, FieldItem]:
    """Return the files of the folder of data files, read once: there are more rows than files."""
    return {item.row.id: item for item in committed()}


class _Item:
    """As much of a pytest item as settling looks at."""

    def __init__(self, subject: str, nodeid: str, name: str, params: Mapping[str, object]) -> None:
        self.nodeid, self.name, self.stash = nodeid, name, pytest.Stash()
        self.callspec = SimpleNamespace(id=subject, params=params)


class _Snapshot:
    """As much of syrupy's fixture as the table's test uses, with the real comparison behind it."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def use_extension(self, extension: type[tables.TableExtension]) -> _Snapshot:
        return self

    def __eq__(self, own: object) -> bool:
        accepted = render(tables.accepted_table(self._check.cell))
        return bool(tables.TableExtension.matches(cast(Any, None), serialized_data=own, snapshot_data=accepted))

    __hash__ = None  # type: ignore[assignment]  # nothing is kept by it


# A clean run


@dataclass(frozen=True)
class Baseline:
    """A run with nothing injected: its plan, the rows of all claims, and the table that it measured."""

    plan: RunConfig
    case: str
    engine: Engine
    rows: Rows
    table: str

    @property
    def evidence(self) -> Path:
        """The folder of its evidence."""
        return Path(self.plan.session) / "evidence"


def clean_run(engine: Engine, folder: Path, case: str = CASE) -> Baseline:
    """Build and judge everything about a case under one engine; its own table is the accepted one."""
    forget_classes()
    plan = _plan(case, engine, folder)
    observer = observer_of(plan)
    runs = [variant for variant in VARIANTS if observer.get(outputs, CellId(case, engine, variant)).outcome is None]
    made_up = {name: samples(RATIOS.get(case, 1.0)) for name in runs} | {"original": samples(1.0)}
    group = GroupId(case, engine)
    observer.store.get(latency.kind, latency.name(group.original), lambda: Evidence(made_up))
    table_check = Check(
        read_claims()["table"], CellId(case, engine, "original"), observer, read_tolerances(), machine()
    )
    table = render(tables.own_table(table_check))
    with pytest.MonkeyPatch.context() as patch:
        accept(table, case, engine, folder, patch)
        return Baseline(plan, case, engine, judge_all(observer, case, engine), table)


def forget_classes() -> None:
    """Forget the classes that TorchScript has made here: it numbers the names of later ones, and files grow by them."""
    import torch

    torch._C._jit_clear_class_registry()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    torch.jit._state._clear_class_state()


def _plan(case: str, engine: Engine, folder: Path) -> RunConfig:
    cache, weights = str(folder / "cache"), "standin" if read_cases()[case].standin else "auto"
    asked = RunRequest(case=(case,), engine=(engine,), weights=weights, artifact_cache=cache)
    return make_run_config(asked, folder)


def samples(ratio: float, *, asleep: float = 0.002, process: float = 1.0) -> dict[str, Any]:
    """Make up a variant's samples on a busy machine: CPU time as a ratio to the original's, the others per CPU time."""
    thread = [0.001 * ratio * (1.0 + 0.0005 * n) for n in range(8)]
    return {
        "thread": thread,
        "wall": [seconds * (3.5 + asleep) for seconds in thread],
        "waited": [seconds * 2.5 for seconds in thread],
        "process": [seconds * process for seconds in thread],
        "profiled_ms": 1.0 * ratio,
    }


def accept(table: str, case: str, engine: Engine, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make this the accepted table of the case under that engine."""
    path = folder / "tables" / f"{case}-{engine}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table, encoding="utf-8")
    patch.setattr(tables, "folder_of", lambda cell: folder / "tables")


def judge_all(observer: LocalObserver, case: str, engine: Engine) -> Rows:
    """Judge every claim about the case under that engine, and every claim about no cell."""
    rows = [judge(test, subject, cell, observer) for test in claim_tests() for subject, cell in test.at(engine, case)]
    return {row.name: row for row in rows}


# A run with something injected


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
        self.observer = observer_of(_plan(self.case, self.clean.engine, self.folder))
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
