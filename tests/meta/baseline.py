"""The gate under test, in one process: the real observer and the real conformance tests, on the small case by default.

A `Baseline` is a clean run whose evidence stays on disk. Latency samples are made up: no busy neighbour may decide a
test of the gate. Memory is made up too, since fresh processes take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vitgate.inputs.picture_folder import LabelledFolder
from vitgate.inputs.run_options import make_run_config
from vitgate.judge.table import render
from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.inputs import labelled, pictures
from vitgate.observe.layers import expected_logits, few_outputs, layers
from vitgate.observe.memory import memory
from vitgate.observe.observer import LocalObserver, Observer
from vitgate.observe.outputs import outputs
from vitgate.observe.predictions import images, predict
from vitgate.observe.store import Store
from vitgate.observe.timing import latency
from vitgate.plugin import tables
from vitgate.plugin.fixtures import Check
from vitgate.records.rows import ClaimRow
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import Engine
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import Evidence
from vitgate.spec.processors import Processor
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import VARIANTS
from vitgate.spec.versions import machine

from .conformance_tests import CASE, claim_tests, judge

FULL_SIZE = "deit_base"
OWN_CASE = "shapes"  # of examples/own_model, where its file is named
RATIOS = {CASE: 1.0, FULL_SIZE: 0.5, OWN_CASE: 1.0}  # made-up latencies as ratios to the original's, in every window
Rows = dict[str, ClaimRow]


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
    plan = plan_of(case, engine, folder)
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


def plan_of(case: str, engine: Engine, folder: Path) -> RunConfig:
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
