"""Print the table of docs/serving.md from records: what each variant does with a batch and several callers.

pytest tests/conformance --case digits --claim batch --claim concurrent --record 2.12.1.json
python scripts/serving_table.py 2.12.1.json successors.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vitgate.files.errors import status_of, UsageError
from vitgate.files.text import short
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.versions import public

HEAD = "| torch | engine | variant | against the original, dB | against alone, dB | four callers |"


def main() -> None:
    """Print one table of all records."""
    parser = argparse.ArgumentParser(description="print the table of docs/serving.md from records")
    parser.add_argument("records", nargs="+", type=Path)
    found = [line for path in parser.parse_args().records for line in lines(read_record(path), path)]
    print("\n".join([HEAD, "|---|---|---|---|---|---|", *found]))


def lines(record: Record, path: Path) -> list[str]:
    """Return a line for each variant of the record; UsageError where there is none.

    Variants of one engine that say the same share a line.
    """
    batch = {row.name: row for row in record.claims if row.claim == "batch"}
    if not batch:
        raise UsageError("the record has no row of `batch`", where=path, do="make it with --claim batch")
    concurrent = {row.subject: row for row in record.claims if row.claim == "concurrent"}
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in batch.values():
        said = (row.engine, *_batch(row), _concurrent(concurrent.get(row.subject)))
        alike.setdefault(said, []).append(f"`{row.variant}`")
    torch = public(record.environment.torch)
    return [
        f"| {torch} | {engine} | {', '.join(names)} | {' | '.join(rest)} |" for (engine, *rest), names in alike.items()
    ]


def _batch(row: ClaimRow) -> tuple[str, str]:
    numbers = {each.statistic: each for each in row.findings}
    if "sqnr" not in numbers:
        known = f"{row.outcome_text}: declared, `{row.deviation}`"
        return (known if row.deviation else f"{row.outcome_text}: {short(row.message, 90)}", "")
    alone = numbers["sqnr"].note.split("; ")[-1].removesuffix(" dB")
    return (numbers["sqnr_change"].note if "sqnr_change" in numbers else "float", alone)


def _concurrent(row: ClaimRow | None) -> str:
    if row is None:
        return "not claimed"
    found = next((each for each in row.findings if each.statistic == "changed_answers"), None)
    return row.outcome if found is None else f"{found.value:.0f} {found.note} changed"


if __name__ == "__main__":
    sys.exit(status_of(main))
