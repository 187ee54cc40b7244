"""Print `docs/successor-releases.md`: which successor works on which release of PyTorch, with the packages of its time.

python -m pytest tests/conformance --case digits --engine none --no-latency --record fixtures/successors/2.9.1.json
python scripts/successors_table.py fixtures/successors/*.json > docs/successor-releases.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vitgate.files.errors import status_of
from vitgate.files.text import markdown
from vitgate.records.record import read_record, Record
from vitgate.report.formats import decibels
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.variants import SUCCESSORS
from vitgate.spec.versions import age, public

PACKAGES = ("torchao", "executorch", "onnx", "onnxscript", "onnxruntime")
HEAD = """# Successors by release

Made by `scripts/successors_table.py` from the records in `fixtures/successors/`: the small case, without latencies, on
{cpu}. Each column is one environment. A float file works if every claim about it holds; of an int8 file that works the
SQNR against the float model is shown, measured of expected. "-" is what the environment lacks, or what the release has
not ([successors.md](successors.md)).
"""


def lines(records: Sequence[Record]) -> Iterator[str]:
    """Yield the lines of the page: the packages, the successors, and the files of other releases."""
    yield HEAD.format(cpu=", ".join(sorted({markdown(record.environment.cpu) for record in records})))
    yield _line("torch", (public(record.environment.torch) for record in records))
    yield _line("---", ["---"] * len(records))
    for name in PACKAGES:
        yield _line(name, (record.environment.packages.get(name, "-") for record in records))
    run = {row.variant for record in records for row in record.cells}
    for name in (name for name in SUCCESSORS if name in run):
        yield _line(f"`{name}`", (outcome(record, name) for record in records))
    yield _line("files of other releases", (_files(record) for record in records))


def _line(head: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join([head, *cells])} |"


def outcome(record: Record, variant: str) -> str:
    """Return what became of a successor: its SQNR, `works`, where it fails, or a hyphen where it could not be tried."""
    found = [row for row in record.cells if (row.engine, row.variant) == (NO_ENGINE, variant)]
    built = [row for row in record.claims if (row.claim, row.engine, row.variant) == ("build", NO_ENGINE, variant)]
    if not found or any(row.status == "unsupported" for row in built):
        return "-"
    (row,) = found
    if row.outcome_text != "passed":
        return f"**{markdown(row.outcome_text)}**"
    shown = decibels(row.sqnr_db, expected=row.expected_sqnr_db)
    return shown if row.expected_sqnr_db is not None else "works"


def _files(record: Record) -> str:
    rows = [row.status for row in record.claims if row.claim == "field" and row.status != "unsupported"]
    return f"{rows.count('passed')} of {len(rows)} run"


def main() -> None:
    """Print the page of the records on the command line, the oldest PyTorch first."""
    parser = argparse.ArgumentParser(description="print which successor works on which release")
    parser.add_argument("records", nargs="+", type=Path)
    records = [read_record(path) for path in parser.parse_args().records]
    print("\n".join(lines(sorted(records, key=lambda record: age(record.environment.torch)))))


if __name__ == "__main__":
    sys.exit(status_of(main))
