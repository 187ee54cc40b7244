"""The bounds of `fixtures/tolerances.toml`: every number that is judged finds exactly one row, or the run stops."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from vitgate.cases import Cell, read_cases
from vitgate.data import fixtures_folder, known, read_model, Strict, unique
from vitgate.engines import Engine
from vitgate.errors import UsageError
from vitgate.judge.claims import read_claims
from vitgate.outcome import Finding
from vitgate.variants import VariantName


class Tolerance(Strict):
    """Bounds for one statistic of one claim, with the reason for them and where they were measured.

    A selector that is left out means all. `against` says what the statistic compares with.
    """

    id: str
    claim: str
    statistic: str
    unit: str
    against: str = ""
    cases: tuple[str, ...] | None = None
    engines: tuple[Engine, ...] | None = None
    variants: tuple[VariantName, ...] | None = None
    weights: tuple[str, ...] | None = None
    machines: tuple[str, ...] | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str
    measured: str

    def selects(self, cell: Cell | None, weights: str, machine: str) -> bool:
        """Whether the row is about this cell under these weights (`standin`, `pretrained`, …) on this machine."""
        pairs: tuple[tuple[tuple[str, ...] | None, str | None], ...] = (
            (self.cases, cell.case if cell else None),
            (self.engines, cell.engine if cell else None),
            (self.variants, cell.variant if cell else None),
            (self.weights, weights),
            (self.machines, machine),
        )
        return all(allowed is None or value in allowed for allowed, value in pairs)


class ToleranceFile(Strict):
    """The whole of `tolerances.toml`."""

    tolerance: list[Tolerance]


class Tolerances:
    """The rows, with the rule that exactly one decides about a number."""

    def __init__(self, rows: list[Tolerance], where: object) -> None:
        """Keep the rows; UsageError for a duplicate name or a row without reason, measurement or bound."""
        unique([row.id for row in rows], where=where)
        for row in rows:
            if not (row.reason.strip() and row.measured.strip()):
                raise UsageError(f"tolerance {row.id} has no reason or measurement", where=where, do="state both")
            if row.lower is None and row.upper is None:
                raise UsageError(f"tolerance {row.id} bounds nothing", where=where, do="give it lower, upper or both")
            if row.lower is not None and row.upper is not None and row.lower > row.upper:
                raise UsageError(f"tolerance {row.id} has lower above upper", where=where, do="swap them")
        self._rows, self._where = rows, where

    def find(self, claim: str, finding: Finding, cell: Cell | None, weights: str, machine: str) -> Tolerance:
        """Return the one row for this statistic; UsageError where there is none or more than one."""
        wanted = (claim, finding.statistic, finding.against, finding.unit)
        rows = [row for row in self._rows if (row.claim, row.statistic, row.against, row.unit) == wanted]
        rows = [row for row in rows if row.selects(cell, weights, machine)]
        if len(rows) != 1:
            names = ", ".join(row.id for row in rows) or "none"
            what = f"{claim}: {finding.statistic} [{finding.unit}] against {finding.against or 'nothing'} of {cell}"
            raise UsageError(
                f"{what} needs exactly one tolerance, found: {names}", where=self._where, do="add or narrow a row"
            )
        return rows[0]

    def bounded(self, claim: str, finding: Finding, cell: Cell | None, weights: str, machine: str) -> Finding:
        """Return the finding with the bounds of its row; one that is only shown, or has bounds already, as it is."""
        if not finding.judged or finding.tolerance:
            return finding
        row = self.find(claim, finding, cell, weights, machine)
        return replace(finding, lower=row.lower, upper=row.upper, tolerance=row.id)

    def rows(self) -> list[Tolerance]:
        """Return all rows, for the checks of the file itself."""
        return list(self._rows)


@cache
def read_tolerances(path: Path | None = None) -> Tolerances:
    """Return the committed tolerances; UsageError for a row about a claim or a case that does not exist."""
    path = path or fixtures_folder() / "tolerances.toml"
    rows = read_model(ToleranceFile, path).tolerance
    for row in rows:
        known([row.claim], read_claims(), f"tolerance {row.id}: claim", where=path)
        known(row.cases, read_cases(), f"tolerance {row.id}: case", where=path)
    return Tolerances(rows, path)
