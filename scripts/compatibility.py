"""Print the compatibility page, `docs/compatibility.md`, from the records of real runs; or renew README's short table.

    python scripts/compatibility.py fixtures/records/*.json > docs/compatibility.md
    python scripts/compatibility.py fixtures/processors/*-aarch64.json > docs/compatibility-aarch64.md
    python scripts/compatibility.py --readme README.md fixtures/records/*.json

Unit tests hold all three against the records.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.version import Version

from vitgate.files.errors import status_of, UsageError
from vitgate.files.schemas import read_text
from vitgate.files.text import markdown
from vitgate.records.record import read_record, Record
from vitgate.report.compatibility import page
from vitgate.report.formats import decibels

ROOT = Path(__file__).parents[1]
_BETWEEN = re.compile(r"(<!-- made by scripts/compatibility.py -->\n).*?(<!-- end -->)", re.S)
_FORMS = ("scripted", "scripted_quantized", "optimized", "lite", "lite_frozen")
_SHOWN = ("deit_base", "fbgemm", "scripted_quantized")  # the cell whose numbers stand in the short table


def main() -> None:
    """Read the records, oldest release first, and print the page or renew the table."""
    parser = argparse.ArgumentParser(description="print the compatibility page, or renew README's short table")
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--readme", type=Path, metavar="FILE", help="renew the table between this file's markers")
    options = parser.parse_args()
    records = read_records(options.records)
    if options.readme:
        options.readme.write_text(renewed(_text(options.readme), records), encoding="utf-8")
    else:
        folders = dict.fromkeys(f"`{path.absolute().relative_to(ROOT).parent}/`" for path in options.records)
        maker = f"`scripts/compatibility.py` from the records in {', '.join(folders)}"
        print(page({release(record): record for record in records}, maker=maker), end="")


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read this file: {error}", where=path, do="name README.md") from None


def read_records(paths: Iterable[Path]) -> list[Record]:
    """Return the records, oldest release first."""
    return sorted((read_record(path) for path in paths), key=lambda record: Version(record.environment.torch))


def release(record: Record) -> str:
    """Return the release of PyTorch, without what it was built for."""
    return record.environment.torch.partition("+")[0]


def renewed(text: str, records: Iterable[Record]) -> str:
    """Return the text with the short table between its markers; UsageError where it has none."""
    if not _BETWEEN.search(text):
        raise UsageError("the two markers of the table are missing", where="--readme", do="name README.md")
    return _BETWEEN.sub(lambda found: f"{found[1]}\n{short_table(records)}\n\n{found[2]}", text)


def short_table(records: Iterable[Record]) -> str:
    """Return a table with a line for each release: which forms work on every engine, old files, the int8 numbers."""
    head = ["PyTorch", *(f"`{form}`" for form in _FORMS), "files of other releases", "DeiT-Base in int8"]
    lines = [head, ["---"] * len(head)]
    for record in records:
        forms = (_form(record, form) for form in _FORMS)
        lines.append([markdown(release(record)), *forms, _files(record), _numbers(record)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _form(record: Record, form: str) -> str:
    outcomes = {row.outcome_text for row in record.cells if row.variant == form}
    return "works" if outcomes == {"passed"} else "**fails**"


def _files(record: Record) -> str:
    rows = [row.status == "passed" for row in record.claims if row.claim == "field"]
    return f"{sum(rows)} of {len(rows)} run"


def _numbers(record: Record) -> str:
    row = next((row for row in record.cells if (row.case, row.engine, row.variant) == _SHOWN), None)
    if row is None:
        raise UsageError(f"no row of {'-'.join(_SHOWN)}", where=release(record), do="name records of whole runs")
    size, ratio = (row.size_bytes or 0) / 1e6, row.latency_ratio
    return f"{size:.0f} MB, {ratio:.2f} × the time, {decibels(row.sqnr_db, expected=row.expected_sqnr_db)} expected"


if __name__ == "__main__":
    sys.exit(status_of(main))
