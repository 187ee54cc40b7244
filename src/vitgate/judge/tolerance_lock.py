"""The bounds as they were last explained: `fixtures/tolerances.lock.json`, so that none is loosened in passing.

A reason is written for a bound. Where the bound grows wider, what was written no longer speaks of it: the row needs
other words before `scripts/lock_tolerances.py` locks it again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vitgate.files.schemas import fixtures_folder
from vitgate.judge.tolerances import Tolerance


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
    fields = row.model_dump(mode="json", exclude={"lower", "upper", "reason", "measured"}, exclude_none=True)
    return json.dumps(fields, sort_keys=True)


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
