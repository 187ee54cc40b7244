"""Declared deviations: what is known to differ, stated exactly, so that everything else is news.

A deviation is a strict expected failure. Where it applies, the outcome must be the declared one, to the word; a pass,
another failure or an expired review date turns the run red and names the line to change.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pydantic import field_validator

from vitgate.cases import Cell
from vitgate.data import fixtures_folder, read_model, Strict, unique
from vitgate.outcome import Outcome


class ExpectedNumber(Strict):
    """The one number that is out of its tolerance, and the window in which the deviation expects it."""

    statistic: str
    lower: float
    upper: float


class Deviation(Strict):
    """One known difference. Selectors that are left out mean all; `torch` is a version specifier such as `>=2.13`.

    `outcome` is the exact expected outcome: `failed`, `failed at STAGE`. For a stage, `error` is the exception's type
    name and `message` a part of its first line; for `failed`, `number` is the statistic that is out.
    """

    id: str
    claims: tuple[str, ...]
    subjects: tuple[str, ...] | None = None
    cases: tuple[str, ...] | None = None
    engines: tuple[str, ...] | None = None
    variants: tuple[str, ...] | None = None
    machines: tuple[str, ...] | None = None
    torch: str
    outcome: str
    error: str = ""
    message: str = ""
    number: ExpectedNumber | None = None
    reason: str
    link: str
    advice: str
    review: dt.date

    @field_validator("torch")
    @classmethod
    def _is_specifier(cls, text: str) -> str:
        try:
            SpecifierSet(text)
        except InvalidSpecifier:
            raise ValueError(f"{text!r} is not a version specifier such as '>=2.13'") from None
        return text

    def applies(self, claim: str, subject: str, cell: Cell | None, torch: str, machine: str) -> bool:
        """Whether the deviation is about this claim, cell (or other subject), torch version and machine."""
        if claim not in self.claims or not SpecifierSet(self.torch).contains(release(torch), prereleases=True):
            return False
        pairs: list[tuple[tuple[str, ...] | None, str | None]] = [
            (self.subjects, subject),
            (self.machines, machine),
            (self.cases, cell and cell.case),
            (self.engines, cell and cell.engine),
            (self.variants, cell and cell.variant),
        ]
        return all(allowed is None or value in allowed for allowed, value in pairs)

    def expects(self, outcome: Outcome) -> bool:
        """Whether the outcome is the declared one: the same words, the same error, the same number out of bounds."""
        if str(outcome) != self.outcome or (self.error and outcome.error != self.error):
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
        number = f" with {self.number.statistic} in [{self.number.lower:g}, {self.number.upper:g}]" if self.number else ""
        return f"{self.outcome}{error}{number}"


class DeviationFile(Strict):
    """The whole of `deviations.toml`."""

    deviation: list[Deviation]


def release(version: str) -> Version:
    """Return the version without its local part and development suffix: 2.13.0.dev1+cpu counts as 2.13.0."""
    return Version(Version(version).base_version)


@dataclass(frozen=True)
class Place:
    """Where a claim was checked: what a deviation's condition is about."""

    claim: str
    subject: str
    cell: Cell | None
    torch: str
    machine: str


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
        cell, claim, subject = place.cell, place.claim, place.subject
        if outcome.kind == "blocked by" and cell is not None:  # the deviation of the parent's build covers it
            cell = next(ancestor for ancestor in cell.lineage() if ancestor.variant == outcome.at)
            claim, subject = "build", str(cell)
        return [row for row in self.rows if row.applies(claim, subject, cell, place.torch, place.machine)]

    def _settle_declared(self, row: Deviation, outcome: Outcome) -> Settled:
        if row.review < self._today:
            return self._red(row, f"its review date {row.review} is past: confirm it and set a new date, or delete it")
        if outcome.kind == "passed":
            return self._red(row, f"it expects '{row.expected()}', but the claim holds: narrow its condition or delete it")
        if outcome.kind == "blocked by" or row.expects(outcome):
            return Settled("declared", row.id, f"{outcome}: {row.reason} {row.advice} ({row.link})")
        got = f"{outcome}{' with ' + outcome.error if outcome.error else ''}: {outcome.message}"
        return self._red(row, f"it expects '{row.expected()}', but got: {got}")

    def _red(self, row: Deviation, problem: str) -> Settled:
        return Settled("failed", row.id, f"deviation {row.id} ({self.where.name}:{self.line_of(row)}): {problem}")

    def line_of(self, row: Deviation) -> int:
        """Return the line on which the deviation's id stands in its file, counted from 1."""
        lines = self.where.read_text(encoding="utf-8").splitlines()
        return next((n for n, line in enumerate(lines, 1) if line.strip() == f'id = "{row.id}"'), 1)


@lru_cache(maxsize=None)
def read_deviations(path: Path | None = None, today: dt.date | None = None) -> Deviations:
    """Return the declared deviations."""
    path = path or fixtures_folder() / "deviations.toml"
    return Deviations(read_model(DeviationFile, path).deviation, path, today or dt.date.today())
