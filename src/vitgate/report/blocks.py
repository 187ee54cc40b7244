"""What a record has of the int8 model's distance from the original after each block."""

from __future__ import annotations

from vitgate.judge.findings import AT_BLOCK
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow


def sqnr_by_block(record: Record, case: str) -> dict[str, dict[str, float | None]]:
    """Return by engine the SQNR in dB after each place, in the order of the computation; None stands for NaN."""
    return {row.engine: found for row in record.claims if row.case == case and (found := _of_row(row))}


def _of_row(row: ClaimRow) -> dict[str, float | None]:
    return {
        each.statistic.removeprefix(AT_BLOCK): each.value
        for each in row.findings
        if each.statistic.startswith(AT_BLOCK)
    }
