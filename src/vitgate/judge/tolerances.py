"""The bounds of `fixtures/tolerances/`, a file a claim: every number that is judged finds exactly one row of them.

A bound that several claims or statistics share, for one reason, is one row; of several claims, in `shared.toml`.

`fixtures/tolerances.lock.json` holds the bounds as they were last explained, so that none is loosened in passing: a
bound that grows wider needs another reason before `scripts/lock_tolerances.py` locks it again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder, known, read_model, Strict, unique, validate
from vitgate.spec.cases import own_files, OwnCases, read_cases, read_own
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import Engine
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import VariantName

SHOWN: Mapping[str, Sequence[tuple[str, str]]] = {
    "size": (("size", ""), ("size_ratio", "parent"), ("reduction", "scripted"), ("size_per_number", "")),
    "logits_original": (("cosine", "original"),),
    "logits_parent": (("cosine", "parent"),),
    "accuracy": (("cosine", "original"),),
    "label": (("cosine", "original"),),
    "weights": (("levels", ""),),
}
"""Statistics of a claim, and against what, that a user's row may judge where the suite only shows them."""


SHARED = "shared"  # the file of rows that several claims share
OWN_CASES = "own cases"  # among a row's cases: those of the user's own files; no case can have this id
_OWN_WEIGHTS = "own"  # the kind of weights of such cases


def _several(names: object) -> object:
    return (names,) if isinstance(names, str) else names


Names = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
"""A name, or a list of names."""


class Tolerance(Strict):
    """Bounds for a statistic of a claim, or for several that share them, with the reason and where they were measured.

    A selector that is left out means all. `against` says what the statistic compares with: of each claim the same, or
    by claim, where one that is not named compares with nothing.
    """

    id: str
    claim: Names
    statistic: Names
    unit: str
    against: str | dict[str, str] = ""
    cases: tuple[str, ...] | None = None
    engines: tuple[Engine, ...] | None = None
    variants: tuple[VariantName, ...] | None = None
    weights: tuple[str, ...] | None = None
    machines: tuple[str, ...] | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str
    measured: str

    def pairs(self, claim: str) -> list[tuple[str, str]]:
        """Return the statistics of that claim that the row bounds, each with what it is compared with."""
        against = self.against if isinstance(self.against, str) else self.against.get(claim, "")
        return [(statistic, against) for statistic in self.statistic] if claim in self.claim else []

    def is_about(self, claims: Sequence[str], finding: Finding) -> bool:
        """Whether the row bounds such a number of one of these claims, somewhere."""
        pair = (finding.statistic, finding.against)
        return finding.unit == self.unit and any(pair in self.pairs(claim) for claim in claims)

    def selects(self, cell: CellId | None, weights: str, machine: str) -> bool:
        """Whether the row is about this place.

        Args:
            cell: None where the claim is about something else: only a row without selectors of cells is about that.
            weights: Their kind: `standin`, `pretrained`, …
            machine: Its type, such as `x86_64`.
        """
        case = cell.case if cell else None
        if cell and weights == _OWN_WEIGHTS and OWN_CASES in (self.cases or ()):
            case = OWN_CASES
        pairs: tuple[tuple[tuple[str, ...] | None, str | None], ...] = (
            (self.cases, case),
            (self.engines, cell.engine if cell else None),
            (self.variants, cell.variant if cell else None),
            (self.weights, weights),
            (self.machines, machine),
        )
        return all(allowed is None or value in allowed for allowed, value in pairs)


class ToleranceFile(Strict):
    """The whole of a file of tolerances."""

    tolerance: list[Tolerance]


class Tolerances:
    """The rows, with the rule that exactly one decides about a number."""

    def __init__(self, rows: list[Tolerance], where: object, own: Sequence[Tolerance] = ()) -> None:
        """Keep the rows; UsageError for a duplicate name or a row without reason, measurement or bound.

        Where one of the `own` rows is about a number, it decides.
        """
        unique([row.id for row in (*rows, *own)], where=where)
        for row in (*rows, *own):
            if not (row.reason.strip() and row.measured.strip()):
                raise UsageError(f"tolerance {row.id} has no reason or measurement", where=where, do="state both")
            if row.lower is None and row.upper is None:
                raise UsageError(f"tolerance {row.id} bounds nothing", where=where, do="give it lower, upper or both")
            if row.lower is not None and row.upper is not None and row.lower > row.upper:
                raise UsageError(f"tolerance {row.id} has lower above upper", where=where, do="swap them")
        self._rows, self._where, self._own = rows, where, own

    def find(self, claim: str, finding: Finding, cell: CellId | None, weights: str, machine: str) -> Tolerance:
        """Return the one row for a statistic; the user's own rows come first.

        Args:
            claim: The claim's id.
            finding: The number, with statistic, unit and what it is compared with.
            cell: None where the claim is about something else.
            weights: Their kind: `standin`, `pretrained`, …
            machine: Its type, such as `x86_64`.

        Raises:
            UsageError: There is none, or more than one.
        """
        place, named = (cell, weights, machine), read_claims().get(claim)
        judged_as = (named.judged_as if named else ()) or (claim,)
        rows = self._fitting(self._own, (claim,), finding, *place)
        rows = rows or self._fitting(self._rows, judged_as, finding, *place)
        if len(rows) != 1:
            names = ", ".join(row.id for row in rows) or "none"
            what = f"{claim}: {finding.statistic} [{finding.unit}] against {finding.against or 'nothing'} of {cell}"
            raise UsageError(
                f"{what} needs exactly one tolerance, found: {names}", where=self._where, do="add or narrow a row"
            )
        return rows[0]

    @staticmethod
    def _fitting(
        rows: Sequence[Tolerance],
        claims: Sequence[str],
        finding: Finding,
        cell: CellId | None,
        weights: str,
        machine: str,
    ) -> list[Tolerance]:
        return [row for row in rows if row.is_about(claims, finding) and row.selects(cell, weights, machine)]

    def bounded(self, claim: str, finding: Finding, cell: CellId | None, weights: str, machine: str) -> Finding:
        """Return the finding with the bounds of its row; one that has bounds already as it is.

        Args:
            claim: The claim's id.
            finding: The number; one that is only shown is judged where a row of the user's is about it.
            cell: None where the claim is about something else.
            weights: Their kind: `standin`, `pretrained`, …
            machine: Its type, such as `x86_64`.

        Raises:
            UsageError: No single row is about it.
        """
        if finding.tolerance or not (
            finding.judged or self._fitting(self._own, (claim,), finding, cell, weights, machine)
        ):
            return finding
        row = self.find(claim, finding, cell, weights, machine)
        return replace(finding, lower=row.lower, upper=row.upper, tolerance=row.id, judged=True)

    def rows(self) -> list[Tolerance]:
        """Return all rows, for the checks of the file itself."""
        return list(self._rows)


def read_tolerances(path: Path | None = None) -> Tolerances:
    """Return the committed tolerances, and the user's own; UsageError for a row about what does not exist."""
    return _read(path or fixtures_folder() / "tolerances", own_files())


@cache
def _read(path: Path, own: tuple[Path, ...]) -> Tolerances:
    files = _files(path) if path.is_dir() or path.suffix != ".toml" else [path]
    rows = [row for file in files for row in _rows(file)]
    return Tolerances(rows, path, [row for file in own for row in _own_rows(file, rows)])


def _files(folder: Path) -> list[Path]:
    """Return the files of the folder in the order of the claims; UsageError for one that belongs to no claim."""
    if (old := folder.with_suffix(".toml")).exists():
        do = f"move its rows into {folder.name}/<claim>.toml"
        raise UsageError("bounds stand in a file for each claim now", where=old, do=do)
    names = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    known(names, [SHARED, *read_claims()], "a file of tolerances: claim", where=folder)
    if not names:
        raise UsageError("no file of tolerances", where=folder, do="copy all of fixtures/")
    return [names[claim] for claim in (SHARED, *read_claims()) if claim in names]


def _rows(path: Path) -> list[Tolerance]:
    rows = read_model(ToleranceFile, path).tolerance
    _check(rows, [OWN_CASES, *read_cases()], path)
    for row in rows if path.parent.name == "tolerances" else ():
        if (place := row.claim[0] if len(row.claim) == 1 else SHARED) != path.stem:
            raise UsageError(f"tolerance {row.id} stands in the wrong file", where=path, do=f"move it to {place}.toml")
    return rows


def _check(rows: Iterable[Tolerance], cases: Iterable[str], path: Path) -> None:
    for row in rows:
        known(row.claim, read_claims(), f"tolerance {row.id}: claim", where=path)
        if not isinstance(row.against, str):
            known(row.against, row.claim, f"tolerance {row.id}: against by claim", where=path)
        known(row.cases, cases, f"tolerance {row.id}: case", where=path)


def _own_rows(file: Path, committed: Sequence[Tolerance]) -> list[Tolerance]:
    """Return the tolerances of a user's file; UsageError for a statistic that its claim has not."""
    rows = own_tolerances(read_own(file), file)
    for row in rows:
        for claim in row.claim:
            pairs = [*(pair for each in committed for pair in each.pairs(claim)), *SHOWN.get(claim, ())]
            known(row.statistic, dict(pairs), f"tolerance {row.id}: statistic", where=file)
            for statistic, against in row.pairs(claim):
                bases = dict.fromkeys(base for name, base in pairs if name == statistic)
                known([against], bases, f"tolerance {row.id}: against", where=file)
    return rows


def own_tolerances(found: OwnCases, path: Path) -> list[Tolerance]:
    """Return the tolerances of a user's file, which are about its own cases alone; UsageError for any other."""
    rows = validate(ToleranceFile, {"tolerance": found.tolerance}, where=path).tolerance
    own = tuple(case.id for case in found.case)
    _check(rows, own, path)
    return [row.model_copy(update={"cases": row.cases or own}) for row in rows]


@dataclass(frozen=True)
class Locked:
    """One row's bounds and what it selects, and the digest of the words that explain them."""

    lower: float | None
    upper: float | None
    selects: str
    words: str


def lock_of(rows: Sequence[Tolerance]) -> dict[str, Locked]:
    """Return what would be locked of these rows, by id."""
    return {row.id: Locked(row.lower, row.upper, _selects(row), _digest(row.reason + row.measured)) for row in rows}


def _selects(row: Tolerance) -> str:
    fields = row.model_dump(exclude={"lower", "upper", "reason", "measured"}, exclude_none=True)
    lists = {name: sorted(value) for name, value in fields.items() if isinstance(value, tuple)}
    return json.dumps({**fields, **lists}, sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lock_path() -> Path:
    """Return where the lock is kept."""
    return fixtures_folder() / "tolerances.lock.json"


def read_lock() -> dict[str, Locked]:
    """Return the committed lock."""
    rows = json.loads(lock_path().read_text(encoding="utf-8"))
    return {name: Locked(**row) for name, row in rows.items()}


def write_lock(rows: Mapping[str, Locked]) -> None:
    """Keep this lock."""
    text = json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1)
    lock_path().write_text(text + "\n", encoding="utf-8")


def loosened(rows: Mapping[str, Locked], locked: Mapping[str, Locked]) -> list[str]:
    """Return the ids of the rows that admit more than when they were locked, or are about others, in the same words."""
    pairs = {name: (row, locked[name]) for name, row in rows.items() if name in locked}
    return [name for name, (row, before) in pairs.items() if row.words == before.words and _is_looser(row, before)]


def _is_looser(row: Locked, before: Locked) -> bool:
    low, high = _edges(row)
    low_before, high_before = _edges(before)
    return row.selects != before.selects or low < low_before or high > high_before


def _edges(row: Locked) -> tuple[float, float]:
    return (-math.inf if row.lower is None else row.lower, math.inf if row.upper is None else row.upper)
