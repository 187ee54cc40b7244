"""The plain sentence at the end: can this PyTorch carry the pipeline, and if not, what breaks and what to do instead."""

from __future__ import annotations

from vitgate.judge.deviations import Deviation, read_deviations
from vitgate.judge.record import ClaimRow, Record


def answer(record: Record) -> str:
    """Return the answer as a few sentences."""
    subject = f"PyTorch {record.environment.torch}"
    failed = [row for row in record.claims if row.status in ("failed", "environment error")]
    if failed:
        return f"{subject} does not carry the pipeline as declared: {_count(failed)}. {_examples(failed)}"
    if record.missing:
        return f"No answer for {subject}: {len(record.missing)} claims were not checked, {record.missing[0]} among them."
    breaking = _breaking(record)
    scope = "" if record.complete else " (of the claims that this narrowed run checked)"
    if breaking:
        what = "; ".join(f"{row.reason} Instead: {row.advice} ({row.link})" for row in breaking)
        return f"{subject} cannot carry the whole pipeline{scope}: {what}"
    return f"{subject} can carry the whole pipeline{scope}: every claim holds{_declared(record)}."


def _count(rows: list[ClaimRow]) -> str:
    return "1 claim failed" if len(rows) == 1 else f"{len(rows)} claims failed"


def _examples(rows: list[ClaimRow]) -> str:
    shown = "; ".join(row.name for row in rows[:5])
    return f"{shown}{' and more' if len(rows) > 5 else ''}: see the failures above and the record."


def _breaking(record: Record) -> list[Deviation]:
    """Return the declared deviations because of which a stage of the pipeline fails."""
    broken = {row.deviation for row in record.claims if row.status == "declared" and row.outcome != "failed"}
    return [row for row in read_deviations().rows if row.id in broken]


def _declared(record: Record) -> str:
    known = sorted({row.deviation for row in record.claims if row.status == "declared"})
    return f", apart from what is declared ({', '.join(known)})" if known else ""
