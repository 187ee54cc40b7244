"""Two records, one verdict: claim by claim, whether what held under one PyTorch still holds under another.

Records meet here only as data. What a deviation declares for the new version is a regression all the same: that it is
known helps nobody whose pipeline breaks, unless somebody accepts it by name (see `vitgate.compare.acceptance`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.causes import Cause, Causes, Key
from vitgate.compare.changes import Changes, changes, check_judged_alike, moved
from vitgate.compare.inputs import check_inputs, input_changes, with_inputs
from vitgate.compare.pairing import (
    judge_latency,
    judge_matrix,
    Judged,
    JudgedLatency,
    JudgedMatrixRow,
    MatrixRow,
    names_of,
    paired,
    PairedLatency,
    VerdictRow,
)
from vitgate.files.errors import UsageError
from vitgate.files.schemas import Strict
from vitgate.files.text import some
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Record
from vitgate.records.rows import InputRow
from vitgate.spec.claims import claims_of_time, unchecked
from vitgate.spec.engines import ENGINES, NO_ENGINE
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.variants import portable_successors
from vitgate.spec.versions import titled

_HELD = ("same", "fixed")
_ROOM = 120  # characters of names, so that the answer has at most three lines of a terminal
MAY_UPGRADE, REGRESSED, ENVIRONMENT = 0, 1, 6


@dataclass(frozen=True)
class Conclusion:
    """What a comparison came to, ready to be put into words."""

    old: Record
    new: Record
    rows: Sequence[VerdictRow]
    items: Sequence[Judged]
    causes: Sequence[Cause]
    accepted: Sequence[Acceptance]
    problems: Sequence[str]

    def exit_status(self) -> int:
        """Return 6 where the environment stood in the way of an answer, 1 where something is red, otherwise 0."""
        if any(item.word == "environment error" for item in self.items):
            return ENVIRONMENT
        sound = self._compared() and not self.problems and not any(item.red for item in self.items)
        return MAY_UPGRADE if sound else REGRESSED

    def answer(self) -> str:
        """Return the sentence that ends every report, in one line."""
        status = self.exit_status()
        text = self._unanswered() if status == ENVIRONMENT else self._red() if status == REGRESSED else self._green()
        return " ".join(f"{text}{self._scope()}".split())

    def _compared(self) -> bool:
        """Whether any claim was compared at all; a verdict about nothing does not pass."""
        return any(row.word in ("same", "regressed", "fixed", "broken in both") for row in self.rows)

    def _versions(self) -> tuple[str, str]:
        return names_of(self.old, self.new)

    def _unanswered(self) -> str:
        old, new = self._versions()
        cause = next(cause for cause in self.causes if cause.kind == "environment error")
        count = _count(len(cause.rows), "claim")
        return f"No answer for {titled(old)} → {new}: the environment stood in the way of {count}: {_ended(cause.says)}"

    def _red(self) -> str:
        old, new = self._versions()
        red = [cause for cause in self.causes if cause.red]
        names = some(map(_named, red), _ROOM)
        advice = " The report says what to do instead." if any(cause.advice for cause in red) else ""
        mend = f" Mend the acceptances: {some(self.problems, _ROOM)}." if self.problems else ""
        if not self._compared():
            return f"No answer for {titled(old)} → {new}: no claim could be compared.{mend}"
        if not red:
            return f"Do not upgrade from {titled(old)} to {new} yet: nothing breaks unaccepted, but:{mend}"
        verb = "break" if any(cause.regressed for cause in red) else "stand in the way"
        verb = verb if len(red) > 1 else verb.replace("break", "breaks").replace("stand ", "stands ")
        things = _count(len(red), "thing")
        return f"Do not upgrade from {titled(old)} to {new}: {things} {verb}: {names}.{advice}{mend}"

    def _green(self) -> str:
        old, new = self._versions()
        words = [row.word for row in self.rows if not row.note]
        kept = "every claim holds as before"
        if self.accepted:
            kept = f"what breaks is accepted ({some(map(_answerable, self.accepted), _ROOM)})"
        if count := words.count("fixed"):
            kept += f", and {_count(count, 'claim')} that did not hold before {'is' if count == 1 else 'are'} fixed"
        if count := sum(row.word == "fixed" for row in self.rows if row.note):
            kept += f", and {_count(count, 'claim')} {'holds' if count == 1 else 'hold'} better than before"
        if count := words.count("broken in both"):
            kept += f", apart from {_count(count, 'claim')} broken in both, as declared{self._declared()}"
        return f"{titled(old)} → {new}: may upgrade; {kept}."

    def _declared(self) -> str:
        rows = [row.new for row in self.rows if row.word == "broken in both" and row.new]
        names = sorted({side.deviation for side in rows if side.deviation})
        return f" ({some(names, _ROOM // 2)})" if names else ""

    def notes(self) -> Iterator[str]:
        """Yield what was not compared, and why: an engine or tools are missing, or one side's options left it out."""
        rows = [row for row in self.rows if row.word == "not comparable"]
        if self.old.environment.machine != self.new.environment.machine:
            yield "Latency is not compared: the records are of two machines."
        claims = [row.claim for row in rows if row.new and row.new.error == NO_TOOLS]
        others = [row for row in rows if row.claim not in claims_of_time()]
        engines = {row.engine for row in others if not (row.new and row.new.error == NO_TOOLS)}
        names = [name for name in ENGINES if name in engines]
        if names:
            yield f"Not compared, as both builds lack the engine: {', '.join(names)}."
        yield from unchecked(claims)
        yield from self._left_out()
        if any(item.red for item in self.items) and (holding := self._holding()):
            yield f"Successors that hold on both sides, and load what the other made: {', '.join(holding)}."

    def _left_out(self) -> Iterator[str]:
        for name, own, other in (("old", self.old, self.new), ("new", self.new, self.old)):
            there = {each for row in other.claims for each in (row.claim, row.variant)}
            if names := sorted(({*own.left_out} - {*other.left_out}) & there):
                yield f"Not compared, as the {name} run's options left it out: {', '.join(names)}."

    def _holding(self) -> list[str]:
        """Return the successors about which every row passed on both sides, and every crossing that was tried."""
        own = [row for row in self.rows if row.engine == NO_ENGINE]
        lost = {row.variant for row in own if row.word not in _HELD or row.new is None or row.new.status != "passed"}
        crossed = [item for item in self.items if isinstance(item, JudgedMatrixRow)]
        lost |= {item.row.variant for item in crossed if item.word not in (*_HELD, "not comparable")}
        portable = portable_successors(self.new.ships_to)
        return [name for name in portable if name in {row.variant for row in own} - lost]

    def _scope(self) -> str:
        narrow = [name for name, record in (("old", self.old), ("new", self.new)) if not record.complete]
        if not narrow:
            return ""
        which = "Neither record is" if len(narrow) == 2 else f"The {narrow[0]} record is not"
        return f" {which} of a whole run: this is about the claims that were checked."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _named(cause: Cause) -> str:
    rows = cause.rows[0] if len(cause.rows) == 1 else _count(len(cause.rows), "row")
    return f"{cause.id} ({rows})"


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _answerable(entry: Acceptance) -> str:
    owner = f" by {entry.owner}" if entry.owner else ""
    until = f" until {entry.expires}" if entry.expires else ""
    return f"{entry.id}{owner}{until}"


__all__ = ["SCHEMA", "Accepted", "MatrixRow", "PairedLatency", "RunSummary", "Verdict", "compare", "json_schema"]

SCHEMA = 1


class RunSummary(Strict):
    """Which run one side of the comparison is."""

    torch: str
    commit: str | None
    vitgate: str
    created: str
    complete: bool
    cases: tuple[str, ...]
    engines: tuple[str, ...]
    packages: dict[str, str]
    python: str
    platform: str
    machine: str
    cpu: str
    cpu_capability: str
    processor: str
    cores: int
    xnnpack: bool
    inputs: tuple[InputRow, ...]


class Accepted(Strict):
    """An acceptance and what it covered."""

    id: str
    where: str
    reason: str = ""
    owner: str = ""
    expires: dt.date | None = None
    causes: tuple[str, ...]
    rows: tuple[str, ...]


class Verdict(Strict):
    """The whole comparison. `exit_status`: 0 may upgrade, 1 regressed, 6 the environment stood in the way.

    `problems` are acceptances that have expired or cover nothing; `answer` ends every report, in at most three
    sentences; `notes` stand before it.
    """

    schema_version: int = Field(default=SCHEMA, ge=1)
    old: RunSummary
    new: RunSummary
    rows: tuple[VerdictRow, ...]
    matrix: tuple[JudgedMatrixRow, ...] = ()
    latency: tuple[JudgedLatency, ...] = ()
    causes: tuple[Cause, ...] = ()
    changes: Changes
    accepted: tuple[Accepted, ...] = ()
    problems: tuple[str, ...] = ()
    exit_status: int
    notes: tuple[str, ...] = ()
    answer: str


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a verdict."""
    return Verdict.model_json_schema()


def compare(
    old: Record,
    new: Record,
    *,
    matrix: Sequence[MatrixRow] = (),
    latency: Sequence[PairedLatency] = (),
    accepted: Acceptances | None = None,
) -> Verdict:
    """Compare two records.

    Args:
        old: The old version's.
        new: The new version's.
        matrix: What each version made of the other's files.
        latency: Latencies that were taken in pairs of processes.
        accepted: What somebody answers for; by default nothing.

    Raises:
        UsageError: They are not of one suite, about the same cases, engines and inputs, or judged by the same bounds.
    """
    _check_comparable(old, new)
    check_judged_alike(old, new)
    acceptances = accepted or Acceptances()
    causes = Causes(new.claims, read_deviations().rows, new.environment.torch)
    judged = _judged(old, new, matrix, latency)
    keys = {item.name: causes.key(item) for item in judged if item.red}
    items = [_settled(item, keys.get(item.name), acceptances) for item in judged]
    rows, grouped = _of_type(items, VerdictRow), causes.grouped(items, keys)
    used = tuple(entry for entry in acceptances.valid() if any(item.accepted == entry.id for item in items))
    problems = acceptances.problems({entry.id for entry in used})
    conclusion = Conclusion(old, new, rows, items, grouped, used, problems)
    return Verdict(
        old=_summary(old),
        new=_summary(new),
        rows=rows,
        matrix=_of_type(items, JudgedMatrixRow),
        latency=_of_type(items, JudgedLatency),
        causes=grouped,
        changes=changes(old, new, rows),
        accepted=tuple(_covered(entry, items) for entry in used),
        problems=problems,
        exit_status=conclusion.exit_status(),
        notes=tuple(conclusion.notes()),
        answer=conclusion.answer(),
    )


def _judged(old: Record, new: Record, matrix: Sequence[MatrixRow], latency: Sequence[PairedLatency]) -> list[Judged]:
    claims = with_inputs(moved(paired(old, new), old, new), input_changes(old, new))
    return [*claims, *judge_matrix(old, new, matrix), *judge_latency(latency)]


Row = TypeVar("Row", bound=Judged)


def _of_type(items: Sequence[Judged], kind: type[Row]) -> tuple[Row, ...]:
    return tuple(item for item in items if isinstance(item, kind))


def _settled(item: Judged, key: Key | None, acceptances: Acceptances) -> Judged:
    """Give a red row its cause, and take its red away where that, or the row itself, is accepted.

    Only a deviation is accepted as a whole; what nobody declared, row by row; an environment error, never.
    """
    if key is None:
        return item
    kind, cause = key
    names = (item.name, cause) if kind == "deviation" else (item.name,)
    entry = None if kind == "environment error" else acceptances.covering(*names)
    update = {"cause": cause} if entry is None else {"cause": cause, "red": False, "accepted": entry.id}
    return item.model_copy(update=update)


def _covered(entry: Acceptance, items: Sequence[Judged]) -> Accepted:
    own = [item for item in items if item.accepted == entry.id]
    causes = tuple(dict.fromkeys(item.cause for item in own))
    return Accepted(**vars(entry), causes=causes, rows=tuple(item.name for item in own))


def _summary(record: Record) -> RunSummary:
    environment = record.environment.model_dump(exclude={"configuration", "configuration_digest", "engines", "kernels"})
    own = {name: getattr(record, name) for name in ("vitgate", "created", "complete", "cases", "engines")}
    inputs = tuple(row.model_copy(update={"preprocessed": ()}) for row in record.inputs)  # the changes say what differs
    return RunSummary(**environment, **own, inputs=inputs)


def _check_comparable(old: Record, new: Record) -> None:
    """UsageError that names what differs; a comparison of what both happen to have would hide the rest."""
    where = f"{old.environment.torch} of {old.created} and {new.environment.torch} of {new.created}"
    if old.vitgate != new.vitgate:
        text = f"the records are of different versions of vitgate: {old.vitgate} and {new.vitgate}"
        raise UsageError(text, where=where, do="run both with the same vitgate")
    for what in ("cases", "engines"):
        before, after = getattr(old, what), getattr(new, what)
        if set(before) != set(after):
            text = f"the records are about different {what}: {', '.join(before)}, and {', '.join(after)}"
            raise UsageError(text, where=where, do=f"run both with the same --{what.removesuffix('s')}")
    check_inputs(old, new, where)
