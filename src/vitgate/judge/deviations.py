"""Declared deviations: what is known to differ, stated exactly, so that everything else is news.

A deviation is a strict expected failure. Where it applies, the outcome must be the declared one, to the word; a pass,
another failure or an expired review date turns the run red and names the line to change.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pydantic import model_validator

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder, known, line_of, read_model, Strict, unique
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.engines import Engine
from vitgate.spec.outcome import Outcome
from vitgate.spec.variants import STAGES, VariantName
from vitgate.spec.versions import VersionRange, within


class ExpectedNumber(Strict):
    """The one number that is out of its tolerance, and the window in which the deviation expects it."""

    statistic: str
    lower: float
    upper: float

    @model_validator(mode="after")
    def _is_window(self) -> ExpectedNumber:
        if self.lower > self.upper:
            raise ValueError("lower is above upper")
        return self


@dataclass(frozen=True)
class Place:
    """Where a claim was checked: what a deviation's condition is about.

    `subject` is the exact id of the test's parameters, or the test's name; `cell` is None where the claim is about
    something else. `maker` is the torch that made a file from the field, empty where that is unknown.
    """

    claim: str
    subject: str
    cell: CellId | None
    torch: str
    machine: str
    maker: str = ""


class Deviation(Strict):
    """One known difference. Selectors that are left out mean all; `torch` is a version specifier such as `>=2.13`.

    `makers` is one too, for claims about files from the field: the torch that made the file.

    `outcome` is the exact expected outcome: `failed`, `failed at STAGE`. For a stage, `error` is the exception's type
    name and `message` a part of its first line, both required; for `failed`, `number` is the statistic that is out, or
    `error` and `message` say what was raised.
    """

    id: str
    claims: tuple[str, ...]
    subjects: tuple[str, ...] | None = None
    cases: tuple[str, ...] | None = None
    engines: tuple[Engine, ...] | None = None
    variants: tuple[VariantName, ...] | None = None
    machines: tuple[str, ...] | None = None
    torch: VersionRange
    makers: VersionRange | None = None
    outcome: str
    error: str = ""
    message: str = ""
    number: ExpectedNumber | None = None
    reason: str
    link: str
    advice: str
    review: dt.date

    @model_validator(mode="after")
    def _is_exact(self) -> Deviation:
        if self.outcome not in ("failed", *(f"failed at {stage}" for stage in STAGES)):
            raise ValueError(f"outcome {self.outcome!r} is neither 'failed' nor 'failed at' a stage")
        if not (self.error and self.message) and (self.outcome != "failed" or self.number is None):
            raise ValueError("it names no exact outcome: state error and message, or the number that is out")
        return self

    def applies(self, place: Place) -> bool:
        """Whether the deviation is about what was checked there."""
        if place.claim not in self.claims or not within(self.torch, place.torch):
            return False
        if self.makers is not None and not (place.maker and within(self.makers, place.maker)):
            return False
        cell = place.cell
        pairs: list[tuple[tuple[str, ...] | None, str | None]] = [
            (self.subjects, place.subject),
            (self.machines, place.machine),
            (self.cases, cell.case if cell else None),
            (self.engines, cell.engine if cell else None),
            (self.variants, cell.variant if cell else None),
        ]
        return all(allowed is None or value in allowed for allowed, value in pairs)

    def reaches(self, claim: Claim) -> bool:
        """Whether the claim is made about any cell that the selectors admit; claims about no cell are not checked."""
        if not claim.is_about_cells:
            return True
        return any(self._selects(cell) for cell in claim.cells())

    def _selects(self, cell: CellId) -> bool:
        pairs = ((self.cases, cell.case), (self.engines, cell.engine), (self.variants, cell.variant))
        return all(allowed is None or value in allowed for allowed, value in pairs)

    def expects(self, outcome: Outcome) -> bool:
        """Whether the outcome is the declared one: the same words, the same error, the same number out of bounds."""
        if (str(outcome), outcome.error) != (self.outcome, self.error):
            return False
        return self.message in outcome.message and self._expects_numbers(outcome)

    def _expects_numbers(self, outcome: Outcome) -> bool:
        out = [finding for finding in outcome.findings if not finding.ok]
        if self.number is None:
            return not out
        inside = [self.number.lower <= finding.value <= self.number.upper for finding in out]
        return bool(out) and all(inside) and {finding.statistic for finding in out} == {self.number.statistic}

    def expected(self) -> str:
        """Say the expected outcome in words."""
        error = f" with {self.error}" if self.error else ""
        message = f" ({self.message})" if self.message else ""
        if self.number is None:
            return f"{self.outcome}{error}{message}"
        window = f"[{self.number.lower:g}, {self.number.upper:g}]"
        return f"{self.outcome}{error}{message} with {self.number.statistic} in {window}"


class DeviationFile(Strict):
    """The whole of `deviations.toml`."""

    deviation: list[Deviation]


@dataclass(frozen=True)
class Settled:
    """The last word about one check: passed, declared (an expected failure), or failed with what to do."""

    status: str
    deviation: str = ""
    message: str = ""


class Deviations:
    """The rows of one file, and the rules by which they settle an outcome."""

    def __init__(self, rows: list[Deviation], where: Path, today: dt.date) -> None:
        """Keep the rows; `today` decides which review dates are past."""
        unique([row.id for row in rows], where=where)
        self.rows, self.where, self._today = rows, where, today

    def settle(self, place: Place, outcome: Outcome) -> Settled:
        """Judge an outcome against the deviations that apply at `place`."""
        rows = self._applying(place, outcome)
        if len(rows) > 1:
            return self._red(rows[0], f"{', '.join(row.id for row in rows)} apply at once: narrow all but one")
        if not rows:
            return Settled("passed") if outcome.kind == "passed" else Settled("failed", message=outcome.message)
        return self._settle_declared(rows[0], outcome)

    def _applying(self, place: Place, outcome: Outcome) -> list[Deviation]:
        unbuilt = _unbuilt(place.cell, outcome) if place.cell else None
        if unbuilt is not None:  # whatever was claimed, only the deviation of that build covers it
            place = replace(place, claim="build", subject=str(unbuilt), cell=unbuilt)
        elif outcome.kind == "blocked by":
            return []
        return [row for row in self.rows if row.applies(place)]

    def _settle_declared(self, row: Deviation, outcome: Outcome) -> Settled:
        if row.review < self._today:
            return self._red(row, f"its review date {row.review} is past: confirm it and set a new date, or delete it")
        if outcome.kind == "passed":
            problem = f"it expects '{row.expected()}', but the claim holds: narrow its condition or delete it"
            return self._red(row, problem)
        blocked = outcome.kind == "blocked by" and row.message in outcome.message  # which ends in the ancestor's own
        if blocked or row.expects(outcome):
            return Settled("declared", row.id, f"{outcome}: {row.reason} {row.advice} ({row.link})")
        got = f"{outcome}{' with ' + outcome.error if outcome.error else ''}: {outcome.message}"
        return self._red(row, f"it expects '{row.expected()}', but got: {got}")

    def _red(self, row: Deviation, problem: str) -> Settled:
        return Settled("failed", row.id, f"deviation {row.id} ({self.where.name}:{self.line_of(row)}): {problem}")

    def line_of(self, row: Deviation) -> int:
        """Return the line on which the deviation's id stands in its file, counted from 1."""
        return line_of(self.where, "deviation", row.id)


def _unbuilt(cell: CellId, outcome: Outcome) -> CellId | None:
    """Return the cell or the nearest ancestor whose build the outcome says failed; None where it says nothing of it."""
    family = [member for member in reversed(list(cell.lineage())) if member.form.file is not None]
    if outcome.kind == "blocked by":
        return next((member for member in family if member.variant == outcome.at), None)
    if outcome.kind == "failed at":
        return next((member for member in family if outcome.at in member.stages), None)
    return None


@cache
def read_deviations(path: Path | None = None, today: dt.date | None = None) -> Deviations:
    """Return the declared deviations; UsageError for one about a claim, case or cell that does not exist."""
    path = path or fixtures_folder() / "deviations.toml"
    rows = read_model(DeviationFile, path).deviation
    for row in rows:
        known(row.claims, read_claims(), f"deviation {row.id}: claim", where=path)
        known(row.cases, read_cases(), f"deviation {row.id}: case", where=path)
        for name in row.claims:
            if not row.reaches(read_claims()[name]):
                what = f"deviation {row.id} selects no cell about which {name!r} is claimed"
                raise UsageError(what, where=path, do="mend its selectors or delete it")
    return Deviations(rows, path, today or dt.date.today())
