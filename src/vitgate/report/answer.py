"""The plain sentence at the end: can this PyTorch carry the pipeline; if not, what breaks and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vitgate.files.text import clean
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.report.successors import ways_out
from vitgate.spec.claims import unchecked
from vitgate.spec.engines import ENGINES, NO_ENGINE
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.variants import SUCCESSORS, VARIANTS

Plain = Callable[[str], str]

_ABOUT_FILES = ("field", "artifacts")


AnswerKind = Literal["works", "broken as declared", "failed", "none"]


@dataclass(frozen=True)
class Answer:
    """What a run came to: a kind, from which colour and headline follow, and a few sentences."""

    kind: AnswerKind
    text: str


def answer(record: Record, plain: Plain = clean) -> str:
    """Return the answer as a few sentences; `plain` makes harmless what the record says, which may be anybody's."""
    return answer_of(record, plain).text


def answer_of(record: Record, plain: Plain = clean) -> Answer:
    """Return the answer of a run, as `answer`, with its kind."""
    subject = f"PyTorch {plain(record.environment.torch)}"
    failed = [row for row in record.claims if row.status in ("failed", "environment error")]
    if failed:
        out = f" {ways_out(record, plain)}" if any(row.variant in VARIANTS for row in failed) else ""
        what = f"does not carry the pipeline as declared: {_count(failed)}. {_examples(failed, plain)}{out}"
        return Answer("failed", f"{subject} {what}")
    if record.missing:
        count = "1 claim was" if len(record.missing) == 1 else f"{len(record.missing)} claims were"
        what = f"{count} not checked, {plain(record.missing[0])} among them."
        return Answer("none", f"No answer for {subject}: {what}")
    if not any(row.status in ("passed", "declared") for row in record.claims):
        return Answer("none", f"No answer for {subject}: no claim was checked.{_lacking(record)}")
    breaking = _breaking(record, plain)
    scope = "" if record.complete else " (of the claims that this narrowed run checked)"
    rest = f"{_files(record, plain)}{_lacking(record)}"
    if breaking:
        what = f"cannot carry the whole pipeline{scope}: {'; '.join(breaking)} {ways_out(record, plain)}{rest}"
        return Answer("broken as declared", f"{subject} {what}")
    whole = "the successors of the pipeline" if record.engines == (NO_ENGINE,) else "the whole pipeline"
    what = f"can carry {whole}{scope}: every claim holds{_declared(record, plain)}.{rest}"
    return Answer("works", f"{subject} {what}")


def _count(rows: list[ClaimRow]) -> str:
    return "1 claim failed" if len(rows) == 1 else f"{len(rows)} claims failed"


def _examples(rows: list[ClaimRow], plain: Plain) -> str:
    shown = "; ".join(plain(row.name) for row in rows[:5])
    return f"{shown}{' and more' if len(rows) > 5 else ''}: see the failures and the record."


def _breaking(record: Record, plain: Plain) -> list[str]:
    """Return, for each declared deviation because of which a stage fails, why and what to do instead.

    A record may name one that is no longer declared; it then speaks for itself.
    """
    rows = [row for row in _stopped(record) if row.claim not in _ABOUT_FILES]
    known = {row.id: f"{row.reason} Instead: {row.advice} ({row.link})" for row in read_deviations().rows}
    return list({row.deviation: known.get(row.deviation) or plain(row.message) for row in rows}.values())


def _stopped(record: Record) -> list[ClaimRow]:
    return [row for row in record.claims if row.status == "declared" and row.outcome != "failed"]


def _files(record: Record, plain: Plain) -> str:
    """Say which files of other releases it cannot run: that is about devices in the field, not about this pipeline."""
    rows = [row for row in _stopped(record) if row.claim in _ABOUT_FILES]
    count = "one file" if len(rows) == 1 else f"{len(rows)} files"
    known = plain(", ".join(dict.fromkeys(row.deviation for row in rows)))
    return f" Of the files that other releases made it cannot run {count} ({known})." if rows else ""


def _lacking(record: Record) -> str:
    """Name the engines about which nothing is said because this build lacks them, and claims whose tools lack."""
    rows = [row for row in record.claims if row.status == "unsupported"]
    unsupported = {row.engine for row in rows if row.error != NO_TOOLS}
    lacking = [name for name in ENGINES if name in unsupported]
    engines = f" Not checked, as this build lacks the engine: {', '.join(lacking)}." if lacking else ""
    named = [name for name in SUCCESSORS if name in {row.variant for row in rows if row.engine == NO_ENGINE}]
    out = f" Successors not checked, as what they need is not there: {', '.join(named)}." if named else ""
    return f"{engines}{unchecked(row.claim for row in rows if row.error == NO_TOOLS)}{out}"


def _declared(record: Record, plain: Plain) -> str:
    rows = [row for row in record.claims if row.status == "declared" and row.claim not in _ABOUT_FILES]
    known = sorted({row.deviation for row in rows})
    return f", apart from what is declared ({plain(', '.join(known))})" if known else ""
