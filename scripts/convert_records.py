"""Convert records of schema 1 into the schema of today, in place.

    python scripts/convert_records.py RECORD...

Schema 1 wrote an outcome as a sentence (`failed at optimize_for_mobile`) and numbers with all their digits. A file that
was edited by hand is refused, as everywhere: its seal is not of what it holds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from vitgate.files.errors import status_of, UsageError
from vitgate.files.schemas import read_json, validate
from vitgate.records.consistency import check_consistent
from vitgate.records.record import Record, seal_of
from vitgate.records.rows import finding_row, rounded
from vitgate.spec.outcome import Finding

FROM, TO = 1, 2
_KINDS = ("failed at", "blocked by")


def outcome_of(text: str) -> dict[str, Any]:
    """Return the fields of an outcome, or of a cell's, that schema 1 wrote as this text."""
    if text.startswith("FAILED: "):
        return {"outcome": "failed", "failed": text.removeprefix("FAILED: ").split(", ")}
    kind = next((kind for kind in _KINDS if text.startswith(f"{kind} ")), text)
    return {"outcome": kind, "at": text.removeprefix(kind).strip()}


def converted(data: dict[str, Any], where: Path) -> Record:
    """Return the record of today's schema that the plain values of a record of schema 1 are.

    Raises:
        UsageError: It is of another schema, was edited, or contradicts itself.
    """
    if not isinstance(data, dict) or data.get("schema_version") != FROM:
        raise UsageError(f"not a record of schema {FROM}", where=where, do="name records of that schema")
    if data.get("seal") != seal_of(data):
        raise UsageError("the record was edited by hand", where=where, do="make the record again")
    rows = {"cells": [_cell(row) for row in data["cells"]], "claims": [_claim(row) for row in data["claims"]]}
    rest = {name: value for name, value in data.items() if name not in ("seal", "schema_version")}
    record = validate(Record, {**rest, **rows, "schema_version": TO}, where=where)
    check_consistent(record, where=where)
    return record


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    findings = [_finding(finding) for finding in row["findings"]]
    return {**row, **outcome_of(row["outcome"]), "findings": findings}


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    if row["value"] is None:
        return row
    return finding_row(Finding(**row)).model_dump()


def _cell(row: dict[str, Any]) -> dict[str, Any]:
    short = {name: rounded(value) if isinstance(value, float) else value for name, value in row.items()}
    spread = [rounded(value) for value in row["latency_spread_ms"]]
    return {**short, **outcome_of(row["outcome"]), "latency_spread_ms": spread}


def main() -> None:
    """Convert the files that are named."""
    for name in sys.argv[1:]:
        path = Path(name)
        converted(read_json(path, "record", "make it again"), path).write(path)
        print(f"{path}: schema {TO}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(status_of(main))
