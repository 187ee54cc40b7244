"""The conformance tests as functions, found by their marker, and one of them judged as the plugin does it.

Judging calls the functions of `tests/conformance` themselves and the plugin's own settling, all in this process.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed, FieldItem, given
from vitgate.judge.table import render
from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.observer import Observer
from vitgate.plugin import expected_failures, tables
from vitgate.plugin.fixtures import CHECK, Check, FieldCheck
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import Claim, IMAGES, read_claims
from vitgate.spec.engines import Engine
from vitgate.spec.variants import variants_of
from vitgate.spec.versions import machine

CASE = "digits"  # the smallest case
GIVEN = (str(fixtures_folder() / "field" / "2.12.1"),)  # stands for a folder that a user names with --field
CONFORMANCE = Path(__file__).parents[1] / "conformance"


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
