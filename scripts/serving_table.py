"""Print the table of docs/serving.md from records: what each variant does with a batch, several callers and all cores.

pytest tests/conformance --case digits --record 2.12.1.json
python scripts/serving_table.py 2.12.1.json successors.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vitgate.files.errors import status_of, UsageError
from vitgate.files.text import short
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.versions import public

HEAD = (
    "| torch | engine | variant | against the original, dB | against alone, dB | four callers | in C++ |"
    " all cores against one | time in a batch | times as fast on all cores |"
)


def main() -> None:
    """Print one table of all records."""
    parser = argparse.ArgumentParser(description="print the table of docs/serving.md from records")
    parser.add_argument("records", nargs="+", type=Path)
    found = [line for path in parser.parse_args().records for line in lines(read_record(path), path)]
    print("\n".join([HEAD, "|---" * HEAD.count(" |") + "|", *found]))


def lines(record: Record, path: Path) -> list[str]:
    """Return a line for each variant of the record; UsageError where there is none.

    Variants of one engine that say the same share a line, and their times are those from the least to the largest.
    """
    batch, *callers, threads = (
        _rows(record, claim) for claim in ("batch", "concurrent", "native_concurrent", "threads")
    )
    if not batch:
        raise UsageError("the record has no row of `batch`", where=path, do="make it with --claim batch")
    alike: dict[tuple[str, ...], list[ClaimRow]] = {}
    for subject, row in batch.items():
        answers = (_concurrent(rows.get(subject)) for rows in callers)
        said = (row.engine, *_batch(row), *answers, _threads(threads.get(subject)))
        alike.setdefault(said, []).append(row)
    torch = public(record.environment.torch)
    found = []
    for (engine, *rest), rows in alike.items():
        names = ", ".join(f"`{row.variant}`" for row in rows)
        split = [threads[row.subject] for row in rows if row.subject in threads]
        times = (_between(rows, "time_per_picture"), _between(split, "speedup"))
        found.append(f"| {' | '.join((torch, engine, names, *rest, *times))} |")
    return found


def _rows(record: Record, claim: str) -> dict[str, ClaimRow]:
    return {row.subject: row for row in record.claims if row.claim == claim}


def _between(rows: Sequence[ClaimRow], statistic: str) -> str:
    """Return the least and the largest value of that statistic, to two digits; nothing where there is none."""
    found = [each.value for row in rows for each in row.findings if each.statistic == statistic]
    values = sorted({f"{value:.2f}" for value in found if value is not None}, key=float)
    return " to ".join(dict.fromkeys((values[0], values[-1]))) if values else ""


def _batch(row: ClaimRow) -> tuple[str, str]:
    numbers = {each.statistic: each for each in row.findings}
    if "sqnr" not in numbers:
        known = f"{row.outcome_text}: declared, `{row.deviation}`"
        return (known if row.deviation else f"{row.outcome_text}: {short(row.message, 90)}", "")
    alone = numbers["sqnr"].note.split("; ")[-1].removesuffix(" dB")
    return (numbers["sqnr_change"].note if "sqnr_change" in numbers else "float", alone)


def _threads(row: ClaimRow | None) -> str:
    if row is None:
        return "not checked"
    found = next((each for each in row.findings if each.statistic == "sqnr"), None)
    if found is None or found.value is None:
        return row.outcome_text
    return found.note or f"{found.value:.1f} dB"


def _concurrent(row: ClaimRow | None) -> str:
    if row is None:
        return "not claimed"
    found = next((each for each in row.findings if each.statistic == "changed_answers"), None)
    return row.outcome if found is None else f"{found.value:.0f} {found.note} changed"


if __name__ == "__main__":
    sys.exit(status_of(main))
