"""The accepted tables of `fixtures/tables/`, kept by syrupy, compared by tolerance, readable in a diff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from syrupy.data import SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from vitgate.judge.deviations import Place, read_deviations
from vitgate.judge.table import DECLARED, judged, parse, read_table, Table
from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check
from vitgate.records.assemble import cell_row
from vitgate.records.frames import table_of
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Outcome
from vitgate.spec.variants import VARIANTS
from vitgate.spec.versions import packages, public


class TableExtension(SingleFileSnapshotExtension):  # type: ignore[misc]  # syrupy 4 is untyped
    """One text file a case and engine; two tables match when every column lies within its tolerance."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"
    _file_extension = "txt"  # its name before syrupy 5

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        """Return the folder of the accepted tables; newer syrupys ask about every collected test, of a table or not."""
        params = getattr(getattr(test_location.item, "callspec", None), "params", {})
        cell = params.get("cell")  # no cell either where a test has no parameters to run with
        return str(folder_of(cell)) if isinstance(cell, CellId) else ""

    @classmethod
    def get_snapshot_name(
        cls,
        *,
        test_location: Any,
        index: Any = 0,  # noqa: ARG003  # by this name syrupy gives it
    ) -> str:
        """Return the test's exact id, `case-engine`."""
        return str(test_location.item.callspec.id)

    def discover_snapshots(self, **_: Any) -> SnapshotCollections:
        """Report no table as unused: a run of one engine must not delete the others' (a meta test finds strays)."""
        return SnapshotCollections()

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Whether every difference lies within its tolerance."""
        findings = judged(parse(serialized_data), parse(snapshot_data), read_tolerances())
        return all(finding.ok for finding in findings)


def accepted_table(cell: CellId) -> Table:
    """Return the accepted table of the cell's case and engine; ClaimFailed where there is none."""
    path = folder_of(cell) / f"{cell.group}.txt"
    if not path.exists():
        message = f"no accepted table {path.name}: look at this run's and accept it with --snapshot-update"
        raise ClaimFailed(Outcome("failed", message=message))
    return read_table(path)


def folder_of(cell: CellId) -> Path:
    """Return where the accepted tables of the cell's case lie."""
    case = read_cases()[cell.case]
    assert case.tables is not None
    return case.folder / case.tables


def own_table(check: Check) -> Table:
    """Return the table of this run; every line's evidence is there, or its outcome says why not."""
    observer, cell = check.observer, check.cell
    cells = [cell.at(variant) for variant in VARIANTS]
    outcome_of = {each.variant: _outcome(check, each) for each in cells}
    for scheme in {each.scheme for each in cells if each.scheme is not None}:
        observer.get(expected_logits, cell.case, scheme)
    rows = [cell_row(each, observer.store, []) for each in cells]
    about_machine = observer.get(environment).values
    about = {
        "case": cell.case,
        "engine": cell.engine,
        "weights": str(observer.get(weights, cell.case).values["kind"]),
        "pictures": str(observer.get(pictures, cell.case).values["source"]),
        "torch": public(about_machine["torch"]),
        "machine": about_machine["machine"],
        "cpu": about_machine["cpu"],
    }
    return table_of(rows, about, outcome_of)


def _outcome(check: Check, cell: CellId) -> str:
    outcome = check.observer.get(outputs, cell).outcome or Outcome("passed")
    return str(outcome) + _declaration(check, cell, outcome)


def _declaration(check: Check, cell: CellId, outcome: Outcome) -> str:
    place = Place("build", str(cell), cell, packages()["torch"], check.machine)
    settled = read_deviations().settle(place, outcome)
    return f"{DECLARED}{settled.deviation}" if settled.status == "declared" else ""
