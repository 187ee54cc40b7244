"""Print the tables of docs/processors.md from records of the claim `processors`: what each int8 file loses where.

pytest -n auto tests/conformance --case digits --successors --claim processors --processors valgrind
python scripts/processors_table.py fixtures/processors/2.15.0.json fixtures/processors/2.12.1.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vitgate.files.errors import status_of, UsageError
from vitgate.judge.computed import ON_PROCESSOR
from vitgate.records.record import read_record, Record
from vitgate.spec.processors import HOST, LEVELS


def main() -> None:
    """Print one table for each record."""
    parser = argparse.ArgumentParser(description="print the tables of docs/processors.md from records")
    parser.add_argument("records", nargs="+", type=Path)
    for path in parser.parse_args().records:
        print("\n".join(_lines(read_record(path), path)))
        print()


def _lines(record: Record, path: Path) -> list[str]:
    rows = {
        (row.case, row.engine, row.variant): {
            each.statistic.removeprefix(ON_PROCESSOR): each.value for each in row.findings if each.value is not None
        }
        for row in record.claims
        if row.claim == "processors" and row.findings
    }
    if not rows:
        raise UsageError("the record has no number of `processors`", where=path, do="make it with --claim processors")
    names = [name for name in (HOST, *LEVELS) if any(name in own for own in rows.values())]
    where = record.environment
    return [
        f"torch {where.torch} on {where.cpu}, {', '.join(sorted({case for case, _, _ in rows}))}: SQNR in dB",
        "",
        f"| engine | variant | expected | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
        *(
            f"| {engine} | {variant} | {' | '.join(_cell(own, name) for name in ('expected_sqnr', *names))} |"
            for (_, engine, variant), own in rows.items()
        ),
    ]


def _cell(own: dict[str, float], name: str) -> str:
    return f"{own[name]:.1f}" if name in own else ""


if __name__ == "__main__":
    sys.exit(status_of(main))
