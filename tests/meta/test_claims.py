"""The data files hold together: sentences, claims, tests, tolerances, deviations and tables cover one another."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed
from vitgate.judge.deviations import Deviation, read_deviations
from vitgate.judge.picture_accuracy import CONFIDENCE, LABEL, TOP
from vitgate.judge.table import render
from vitgate.judge.tolerances import lock_of, loosened, read_lock, read_tolerances, Tolerance
from vitgate.observe import memory
from vitgate.observe.observer import Observation, Observer, P
from vitgate.observe.store import Store
from vitgate.observe.timing import latency_of
from vitgate.plugin import expected_failures, tables
from vitgate.plugin.fixtures import Check
from vitgate.spec.cases import default_cases, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims, read_sentences
from vitgate.spec.engines import Engine, ENGINES, EVERY_ENGINE, NO_ENGINE
from vitgate.spec.outcome import Evidence
from vitgate.spec.processors import HOST, LOWEST, Processor, VALGRIND
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import FORMS
from vitgate.spec.versions import machine

from . import conformance_tests
from .baseline import samples, sound_memory
from .conformance_tests import claim_tests, CONFORMANCE, judge
from .declared import holds_where_declared, too_wide
from .processes import run_pytest

# The last patch release of each minor one, as PyPI has them.
RELEASES = (
    "1.13.1", "2.0.1", "2.1.2", "2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0",
    "2.11.0", "2.12.1", "2.13.0", "2.14.0", "2.15.0",
)  # fmt: skip
LONGEST_REVIEW = dt.timedelta(days=550)  # 18 months

DEVIATIONS = read_deviations().rows
TOLERANCES = read_tolerances().rows()


# Sentences, claims, tests


def test_every_sentence_has_a_claim() -> None:
    said = {sentence for claim in read_claims().values() for sentence in claim.sentences}
    assert set(read_sentences()) - said == set()


def test_every_claim_has_a_source() -> None:
    assert [claim.id for claim in read_claims().values() if not (claim.sentences or claim.link)] == []


def test_every_claim_has_a_test() -> None:
    assert set(read_claims()) - {test.claim.id for test in claim_tests()} == set()


def test_every_conformance_test_has_a_claim() -> None:
    functions = [name for path in CONFORMANCE.glob("test_*.py") for name in conformance_tests.test_functions(path)]
    assert sorted(functions) == sorted(test.function.__name__ for test in claim_tests())
    assert sorted(functions) == sorted(
        f"test_{claim}" for claim in read_claims()
    )  # by which scheduling finds the claim


def test_ids_are_exact_and_unique(tmp_path: Path) -> None:
    done = run_pytest("tests/conformance", "--collect-only", "-q", "-n", "0", folder=tmp_path)
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    found = Counter(line.rpartition("/")[2] for line in collected)
    assert [name for name, times in found.items() if times > 1] == []
    assert set(found) == set(_expected_ids())


def _expected_ids() -> Iterator[str]:
    for test in claim_tests():
        name = f"{test.file}::{test.function.__name__}"
        if test.claim.option:
            continue  # made where that option is given
        if test.claim.per in ("cell", "engine", "case"):
            places = [place for case in default_cases() for engine in ENGINES for place in test.at(engine, case)]
            yield from (f"{name}[{subject}]" for subject, _ in places if _is_made(test, subject))
        elif test.claim.per == "file":
            files = committed() if test.claim.id == "field" else []
            yield from (f"{name}[{item.row.id}]" for item in files if item.row.engine in ENGINES)
        else:
            yield from ([f"{name}[{subject}]" for subject in test.subjects] or [name])


def _is_made(test: conformance_tests.ClaimTest, subject: str) -> bool:
    groups = {str(group) for group in test.claim.groups()}
    return test.claim.per != "engine" or subject in groups


# Deviations


@pytest.mark.parametrize("row", DEVIATIONS, ids=lambda row: row.id)
def test_deviation_is_bounded_explained_and_reviewed(row: Deviation) -> None:
    versions = SpecifierSet(row.torch)
    assert [name for name in RELEASES if Version(name) in versions], "it is about no known release"
    assert not (Version("0.1") in versions and Version("999") in versions), "it is about every release ever"
    assert all(text.strip() for text in (row.reason, row.advice))
    assert row.link.startswith("https://")
    assert dt.timedelta(0) < row.review - dt.date.today() <= LONGEST_REVIEW


@pytest.mark.parametrize("row", DEVIATIONS, ids=lambda row: row.id)
def test_deviation_is_no_wider_than_what_it_explains(row: Deviation) -> None:
    assert holds_where_declared(row) == []
    assert not too_wide(row)


@pytest.mark.parametrize("row", DEVIATIONS, ids=lambda row: row.id)
def test_deviation_is_about_cells_that_exist(row: Deviation) -> None:
    assert [name for name in row.claims if not row.reaches(read_claims()[name])] == []
    subjects = {subject for test in claim_tests() for engine in ENGINES for subject, _ in test.at(engine)}
    subjects |= {subject for test in claim_tests() for subject in test.subjects}
    assert set(row.subjects or ()) - subjects == set()


# Tolerances


def test_bounds_are_few_enough_to_be_read() -> None:
    assert len(TOLERANCES) <= 90, "statistics that share a bound and its reason share a row"


@pytest.mark.parametrize("row", TOLERANCES, ids=lambda row: row.id)
def test_tolerance_is_explained_and_tight(row: Tolerance) -> None:
    assert row.reason.strip()
    assert row.measured.strip()
    bounds = [bound for bound in (row.lower, row.upper) if bound is not None]
    assert bounds and max(abs(bound) for bound in bounds) < 1e10, "a bound that nothing reaches bounds nothing"


def test_no_tolerance_was_loosened_without_a_reason() -> None:
    rows = lock_of(TOLERANCES)
    assert loosened(rows, read_lock()) == []
    assert rows == read_lock(), "run scripts/lock_tolerances.py"


WEIGHTS = {"standin", "pretrained", "file"}


def _places() -> Iterator[tuple[str, Engine, str]]:
    for case in read_cases().values():
        for kind in sorted({"trained", "file"} if case.trained else WEIGHTS):
            yield from ((case.id, engine, kind) for engine in EVERY_ENGINE)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("case", "engine", "kind"), list(_places()), ids=lambda part: str(part))
def test_every_number_finds_exactly_one_tolerance(
    case: str, engine: Engine, kind: str, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance_tests, "machine", lambda: machine)
    for module in (expected_failures, tables):
        monkeypatch.setattr(module, "packages", lambda: {"torch": RELEASES[-1]})  # looking them up takes its time
    monkeypatch.setattr(memory, "private", lambda: 0)  # so does adding up what this process has
    rows = []
    for observer in (MadeUp(tmp_path, kind, quantized=quantized) for quantized in (True, False)):
        if engine != NO_ENGINE:
            accept_own_table(observer, CellId(case, engine, "original"), tmp_path, monkeypatch)
        tests = [test for test in claim_tests() if test.claim.per != "call"]
        rows += [judge(test, subject, cell, observer) for test in tests for subject, cell in test.at(engine, case)]
    assert {row.name: row.message for row in rows if row.status == "environment error"} == {}
    assert {row.name: row.message for row in rows if row.error} == {}
    judged_by_numbers = {claim for row in TOLERANCES for claim in row.claim}
    assert [row.name for row in rows if row.claim in judged_by_numbers and not row.findings] == []


class InMemory:
    """Evidence that needs no files."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Evidence] = {}

    def get(self, kind: str, name: str, make: Callable[[], Evidence]) -> Evidence:
        """Return the evidence, made where it is not there."""
        if (kind, name) not in self._kept:
            self._kept[kind, name] = make()
        return self._kept[kind, name]

    def find(self, kind: str, name: str) -> Evidence | None:
        """Return the evidence if somebody made it."""
        return self._kept.get((kind, name))


class MadeUp(Observer):
    """Evidence with every number that can be judged, for any case: what the numbers are does not matter here."""

    def __init__(self, folder: Path, kind: str, *, quantized: bool) -> None:
        self.store = cast(Store, InMemory())
        options = {"images_accuracy": None, "processor": HOST, "processors": VALGRIND, "ships_to": LOWEST}
        self.plan = cast(RunConfig, SimpleNamespace(has_variant=lambda name: True, **options))
        self._folder, self._kind, self._quantized = folder, kind, quantized

    def get(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        made: Callable[[str], Evidence] = getattr(self, f"_{what.kind}")
        name = what.name(*arguments, **named)
        return self.store.get(what.kind, name, lambda: made(name))

    def _environment(self, name: str) -> Evidence:
        return Evidence({"torch": "2.12.1", "machine": machine(), "cpu": "made up", "engines": list(ENGINES)})

    def _weights(self, name: str) -> Evidence:
        return Evidence({"kind": self._kind, "digest": "", "path": "", "note": ""})

    def _pictures(self, name: str) -> Evidence:
        labels = np.arange(3)
        arrays = {"labels": labels, "heldout_labels": labels, "x": np.zeros((3, 1)), "heldout_x": np.zeros((3, 1))}
        return Evidence({"names": ["a", "b", "c"], "source": "embedded"}, arrays)

    def _outputs(self, name: str) -> Evidence:
        logits = np.random.default_rng(len(name)).normal(size=(3, 10)).astype(np.float32)
        return Evidence(arrays={"logits": logits, "again": logits[:1], "heldout_logits": logits})

    def _program(self, name: str) -> Evidence:
        return Evidence({"path": "", "version": "2.12.1", "libraries": ["libtorch_cpu.so"]})

    def _native(self, name: str) -> Evidence:
        return self._outputs(name)

    def _artifact(self, name: str) -> Evidence:
        path = self._folder / f"{name}.pt"
        path.write_bytes(b"made up")
        return Evidence({"path": str(path), "bytes": 7, "digest": "", "seconds": 0.0})

    def _anchor(self, name: str) -> Evidence:
        return Evidence(arrays={"logits": np.ones((2, 10), np.float32)})

    def _parameters(self, name: str) -> Evidence:
        return Evidence({"count": 5, "numbers": 5, "used": 5, "linear": 0, "modules": 5})

    def _expected_logits(self, name: str) -> Evidence:
        return self._outputs(name)

    def held_to(self, processor: Processor) -> Observer:
        """Return itself: no number differs by processor."""
        return self

    def _few_outputs(self, name: str) -> Evidence:
        return self._outputs(name)

    def _batches(self, name: str) -> Evidence:
        logits = self._outputs(name).arrays["logits"]
        arrays = {"alone": logits, "batch_1": logits, "batch_3": logits}
        return Evidence({"seconds": {"1": 0.002, "3": 0.001}}, arrays)

    def _expected_batches(self, name: str) -> Evidence:
        return self._batches(name)

    def _concurrent(self, name: str) -> Evidence:
        return Evidence({"answers": 80, "changed": 0, "worst_sqnr": 200.0})

    def _native_concurrent(self, name: str) -> Evidence:
        return self._concurrent(name)

    def _threads(self, name: str) -> Evidence:
        logits = self._outputs(name).arrays["logits"]
        values = {"allowed": 2, "pictures": 3, "took": [1, 2], "ran": [1, 2], "seconds": [0.002, 0.001]}
        return Evidence(values, {"one": logits, "all": logits})

    def _coverage(self, name: str) -> Evidence:
        product = {"name": "head", "int8": self._quantized, "linear": True, "delegated": True, "weight": ""}
        partitions = 3 if "executorch" in name else None
        return Evidence({"products": [product], "partitions": partitions, "left": {"aten::mul": 2}})

    def _memory(self, name: str) -> Evidence:
        return Evidence(sound_memory())

    def _layers(self, name: str) -> Evidence:
        layer = {"name": "head", "quantized": self._quantized, "exact": 130.0, "below_noise": 60.0}
        return Evidence({"layers": [layer]})

    def _kernels(self, name: str) -> Evidence:
        return Evidence({"kernels": [{"operator": "aten::addmm", "sqnr": 130.0, "calls": 1}]})

    def _scripted_arithmetic(self, name: str) -> Evidence:
        return Evidence({"arithmetic": {}})

    def _graph_operators(self, name: str) -> Evidence:
        return Evidence({"operators": ["aten::add.Tensor"]})

    def _readback(self, name: str) -> Evidence:
        layer = {
            "name": "head", "quantized": self._quantized, "scheme": "per_tensor_affine", "dtype": "qint8",
            "levels": 200, "max_error_steps": 0.5, "scale_ratio": 1.0, "bias_equal": True,
        }  # fmt: skip
        return Evidence(
            {
                "layers": [layer],
                "surplus_layers": 0,
                "unmatched": [],
                "out_of_order": [],
                "strays": [],
                "unreadable": [],
                "count": 1,
                "folded": 0,
                "arithmetic": {},
                "stored_bytes": 7,
                "int8_bytes": 5,
                "least_bytes": 7,
                "most_bytes": 7,
                "unknown_bytes": 0,
            }
        )

    def _lite_info(self, name: str) -> Evidence:
        return Evidence({"bytecode_version": 8, "operators": ["aten::add.Tensor"]})

    def _warmed(self, name: str) -> Evidence:
        return Evidence()

    def _latency(self, name: str) -> Evidence:
        return Evidence({variant: samples(1.0) for variant in FORMS})

    def _golden(self, name: str) -> Evidence:
        return Evidence({"steps": 0, "share": 0.0, "normalised": 0.0})

    def _image_processor(self, name: str) -> Evidence:
        kinds = ("slow", "fast")
        about = {"classes": dict.fromkeys(kinds, "made up"), "unread": {kind: [] for kind in kinds}}
        x = np.zeros((3, 1), np.float32)  # as `_pictures` has it
        return Evidence({"release": "5.24.0", **about}, dict.fromkeys(kinds, x))

    def _blocks(self, name: str) -> Evidence:
        return Evidence({"sqnr": {"patch_embed": 40.0, "blocks.0": 38.0, "head": 35.0}})

    def _diagnosis(self, name: str) -> Evidence:
        return Evidence({"text": "made up"})

    def _field(self, name: str) -> Evidence:
        return self._outputs(name)

    def _labelled(self, name: str) -> Evidence:
        return Evidence({"names": ["0/a.png", "1/b.png", "2/c.png"]}, {"labels": np.arange(3)})

    def _images(self, name: str) -> Evidence:
        columns = {TOP: np.arange(3), CONFIDENCE: np.full(3, 0.5), LABEL: np.full(3, -0.7)}
        arrays = {f"{key}-{variant}": column for key, column in columns.items() for variant in FORMS}
        return Evidence({"outcomes": {}}, arrays)


def accept_own_table(observer: Observer, cell: CellId, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make this observer's own table the accepted one."""
    check = Check(read_claims()["table"], cell, observer, read_tolerances(), machine())
    latency_of(observer, cell, {})
    path = folder / "tables" / f"{cell.case}-{cell.engine}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(render(tables.own_table(check)), encoding="utf-8")
    patch.setattr(tables, "folder_of", lambda cell: folder / "tables")


# Tables


def test_tables_are_those_of_the_cases_and_engines() -> None:
    names = {path.name for path in (fixtures_folder() / "tables").iterdir()}
    assert names == {f"{group}.txt" for group in read_claims()["table"].groups()}
