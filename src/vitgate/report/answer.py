"""The plain sentence at the end: can this PyTorch carry the pipeline; if not, what breaks and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from vitgate.files.text import clean, some
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.report.successors import ways_out
from vitgate.spec.claims import unchecked
from vitgate.spec.engines import ENGINES, NO_ENGINE
from vitgate.spec.outcome import INPUTS, NO_TOOLS
from vitgate.spec.variants import SUCCESSORS, VARIANTS

Plain = Callable[[str], str]

_ABOUT_FILES = ("field", "artifacts")


AnswerKind = Literal["works", "broken as declared", "failed", "none"]


_ROOM = 100  # characters of names, so that the answer has at most three lines of a terminal


@dataclass(frozen=True)
class Answer:
    """What a run came to.

    `kind` decides colour and headline, `text` is at most three sentences, and `notes` are the reasons, the advice and
    what was not checked, a line each: they are shown before the text.
    """

    kind: AnswerKind
    text: str
    notes: tuple[str, ...] = ()


def answer(record: Record, plain: Plain = clean) -> str:
    """Return the text of the answer; `plain` makes harmless what the record says, which may be anybody's."""
    return answer_of(record, plain).text


def answer_of(record: Record, plain: Plain = clean) -> Answer:
    """Return the answer of a run, as `answer`, with its kind and its notes."""
    subject = f"PyTorch {plain(record.environment.torch)}"
    notes = tuple(_notes(record, plain))
    unusable = {row.case: row for row in record.claims if (row.outcome, row.at) == ("environment error", INPUTS)}
    if unusable:
        rest = answer_of(record.model_copy(update={"claims": _without(record, unusable)}), plain)
        cases = "case" if len(unusable) == 1 else "cases"
        what = f"No answer for {cases} {some([plain(name) for name in unusable], _ROOM)}: the inputs cannot be used."
        given = (f"case {plain(name)}: {plain(row.message)}" for name, row in unusable.items())
        return Answer("failed" if rest.kind == "failed" else "none", f"{what} {rest.text}", (*rest.notes, *given))
    failed = [row for row in record.claims if row.status in ("failed", "environment error")]
    if failed:
        out = f" {ways_out(record, plain)}" if any(row.variant in VARIANTS for row in failed) else ""
        names = some([plain(row.name) for row in failed], _ROOM)
        what = f"does not carry the pipeline as declared: {_count(failed)} failed: {names}.{out}"
        return Answer("failed", f"{subject} {what}", notes)
    if record.missing:
        count = "1 claim was" if len(record.missing) == 1 else f"{len(record.missing)} claims were"
        what = f"{count} not checked, {plain(record.missing[0])} among them."
        return Answer("none", f"No answer for {subject}: {what}", notes)
    if not any(row.status in ("passed", "declared") for row in record.claims):
        return Answer("none", f"No answer for {subject}: no claim was checked.", notes)
    scope = "" if record.complete else " (of the claims that this narrowed run checked)"
    if breaking := [row for row in _stopped(record) if row.claim not in _ABOUT_FILES]:
        known = some([plain(row.deviation) for row in breaking], _ROOM)
        what = f"cannot carry the whole pipeline{scope}: {known}. {ways_out(record, plain)}"
        return Answer("broken as declared", f"{subject} {what}", notes)
    whole = "the successors of the pipeline" if record.engines == (NO_ENGINE,) else "the whole pipeline"
    return Answer("works", f"{subject} can carry {whole}{scope}: every claim holds{_declared(record, plain)}.", notes)


def _without(record: Record, cases: Collection[str]) -> tuple[ClaimRow, ...]:
    return tuple(row for row in record.claims if row.case not in cases)


def _count(rows: list[ClaimRow]) -> str:
    return "1 claim" if len(rows) == 1 else f"{len(rows)} claims"


def _notes(record: Record, plain: Plain) -> Iterator[str]:
    """Yield why what is declared is so and what to do instead, then what was not checked."""
    of_cells = (name for row in record.cells for name in row.deviation.split(", ") if name)
    of_claims = (row.deviation for row in record.claims if row.status == "declared" and row.deviation)
    named = dict.fromkeys((*of_cells, *of_claims))
    known = {row.id: row for row in read_deviations().rows}
    for name in (name for name in named if name in known):
        yield f"declared {name}: {known[name].reason} Instead: {known[name].advice} ({known[name].link})"
    for row in {row.deviation: row for row in _stopped(record) if row.deviation not in known}.values():
        yield f"declared {plain(row.deviation)}: {plain(row.message)}"  # once: the record is of another release
    yield from _mislabelled(record, plain)
    yield from _files(record, plain)
    yield from _lacking(record, plain)


def _stopped(record: Record) -> list[ClaimRow]:
    return [row for row in record.claims if row.stops_pipeline]


def _mislabelled(record: Record, plain: Plain) -> Iterator[str]:
    """Name the pictures of a user's that the original itself gets wrong, by which no variant is judged."""
    for row in record.claims:
        wrong = [each.note for each in row.findings if each.statistic == "right_labels" and each.note]
        if wrong and row.status == "passed":
            do = "no variant is judged by these; correct the labels, or `transform`"
            yield f"{plain(row.name)}: the original itself gives other labels ({plain(wrong[0])}): {do}."


def _files(record: Record, plain: Plain) -> Iterator[str]:
    """Say which files of other releases it cannot run: that is about devices in the field, not about this pipeline."""
    rows = [row for row in _stopped(record) if row.claim in _ABOUT_FILES]
    count = "one file" if len(rows) == 1 else f"{len(rows)} files"
    known = plain(", ".join(dict.fromkeys(row.deviation for row in rows)))
    if rows:
        yield f"Of the files that other releases made it cannot run {count} ({known})."


def _lacking(record: Record, plain: Plain) -> Iterator[str]:
    """Name engines that this build lacks, claims that this machine or missing tools do not allow, and successors.

    What the build or the packages lack has no claim that was checked; one claim alone is what the machine lacks.
    """
    rows = [row for row in record.claims if row.status == "unsupported"]
    checked = {(row.engine, row.variant) for row in record.claims if row.status != "unsupported"}
    engines = {engine for engine, _ in checked}
    refused = [row for row in rows if row.error != NO_TOOLS]
    if lacking := [name for name in ENGINES if name in {row.engine for row in refused} - engines]:
        yield f"Not checked, as this build lacks the engine: {', '.join(lacking)}."
    here = {row.claim: plain(row.message) for row in refused if (row.engine, row.variant) in checked}
    yield from (f"Not checked here: {claim}: {message}." for claim, message in here.items())
    yield from unchecked(row.claim for row in rows if row.error == NO_TOOLS)
    absent = {row.variant for row in rows if row.engine == NO_ENGINE and (row.engine, row.variant) not in checked}
    if named := [name for name in SUCCESSORS if name in absent]:
        yield f"Successors not checked, as what they need is not there: {', '.join(named)}."


def _declared(record: Record, plain: Plain) -> str:
    rows = [row for row in record.claims if row.status == "declared" and row.claim not in _ABOUT_FILES]
    known = some(sorted({plain(row.deviation) for row in rows}), _ROOM)
    return f", apart from what is declared ({known})" if known else ""
