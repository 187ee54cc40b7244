"""The way out, in words: which successors of TorchScript passed on this very run, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vitgate.judge.findings import TUTORIAL_INT8
from vitgate.records.record import Record
from vitgate.records.rows import CellRow
from vitgate.report.formats import decibels, megabytes
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.variants import portable_successors, SUCCESSORS

Plain = Callable[[str], str]

TRY_THEM = "Run with --successors to check the TorchScript replacements."


def ways_out(record: Record, plain: Plain) -> str:
    """Return a sentence for each case about its successors that passed, int8 and the fastest first.

    Where none was tried it says how to, and where none of those passed that.
    """
    if NO_ENGINE not in record.engines:
        return TRY_THEM
    return " ".join(_of_case(record, case, plain) for case in record.cases)


def _of_case(record: Record, case: str, plain: Plain) -> str:
    rows = [row for row in record.cells if (row.case, row.engine, row.outcome) == (case, NO_ENGINE, "passed")]
    rows = [row for row in rows if row.variant in portable_successors(record.ships_to)]  # a record may be anybody's
    if not rows:
        return f"No successor of TorchScript passed for {plain(case)}."
    int8 = {name for name, form in SUCCESSORS.items() if form.computes_int8}
    rows.sort(key=lambda row: (row.variant not in int8, row.latency_ratio or float("inf")))
    others = ", ".join(row.variant for row in rows[1:])
    return f"On this run {_costs(record, rows[0])} passed for {plain(case)}{f', as did {others}' if others else ''}."


def _costs(record: Record, row: CellRow) -> str:
    """Return name and numbers of one successor, as far as they were measured."""
    parts = [
        row.size_bytes and f"{megabytes(row.size_bytes, 1)}{_against_int8(record, row, 'size')}",
        row.latency_ratio and f"{row.latency_ratio:.2f} of the original's time{_against_int8(record, row, 'latency')}",
        row.sqnr_db and f"SQNR {decibels(row.sqnr_db, expected=row.expected_sqnr_db)}",
    ]
    return f"{row.variant} ({', '.join(part for part in parts if part)})"


def _against_int8(record: Record, row: CellRow, claim: str) -> str:
    found = next(_ratios(record, row, claim), None)
    return "" if found is None else f", {found:.2f} of the tutorial's int8 file's"


def _ratios(record: Record, row: CellRow, claim: str) -> Iterator[float]:
    for each in record.claims:
        if (each.claim, each.subject) == (claim, row.name):
            yield from (f.value for f in each.findings if f.against == TUTORIAL_INT8 and f.value is not None)
