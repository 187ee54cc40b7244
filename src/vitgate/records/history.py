"""Since when: what the committed records of released versions say of one claim."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from packaging.version import Version

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record
from vitgate.spec.versions import public


def history(name: str) -> str:
    """Return in one line how the claim of that name (`label[digits-x86-lite]`) went on each recorded release."""
    outcomes = [(version, rows[name]) for version, rows in _records(fixtures_folder() / "records") if name in rows]
    if not outcomes:
        return "in none of the recorded releases"
    runs: list[tuple[str, list[str]]] = []
    for version, outcome in outcomes:
        if runs and runs[-1][0] == outcome:
            runs[-1][1].append(version)
        else:
            runs.append((outcome, [version]))
    return "; ".join(f"{outcome} on {', '.join(versions)}" for outcome, versions in runs)


@cache
def _records(folder: Path) -> list[tuple[str, dict[str, str]]]:
    """Return the outcomes by claim of each record, oldest release first."""
    found = []
    for path in folder.glob("*.json"):
        record = read_record(path)
        version = public(record.environment.torch)
        found.append((version, {row.name: row.outcome_text for row in record.claims}))
    return sorted(found, key=lambda pair: Version(pair[0]))
