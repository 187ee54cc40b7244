"""From judged rows to the exit status and the plain sentence: may I upgrade; if not, what breaks and what instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vitgate.compare.acceptance import Acceptance
from vitgate.compare.causes import Cause
from vitgate.compare.pairing import Judged, VerdictRow
from vitgate.files.text import some
from vitgate.records.record import Record
from vitgate.spec.claims import unchecked
from vitgate.spec.engines import ENGINES
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.versions import public

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
        red = any(item.red for item in self.items) or bool(self.problems) or not self._compared()
        return REGRESSED if red else MAY_UPGRADE

    def answer(self) -> str:
        """Return the sentence that ends every report, in one line."""
        status = self.exit_status()
        text = self._unanswered() if status == ENVIRONMENT else self._red() if status == REGRESSED else self._green()
        return " ".join(f"{text}{self._scope()}".split())

    def _compared(self) -> bool:
        """Whether any claim was compared at all; a verdict about nothing is no pass."""
        return any(row.word in ("same", "regressed", "fixed", "broken in both") for row in self.rows)

    def _versions(self) -> tuple[str, str]:
        """Return both versions, with their local parts where only those tell them apart."""
        full = self.old.environment.torch, self.new.environment.torch
        short = public(full[0]), public(full[1])
        return full if short[0] == short[1] and full[0] != full[1] else short

    def _unanswered(self) -> str:
        old, new = self._versions()
        cause = next(cause for cause in self.causes if cause.kind == "environment error")
        count = _count(len(cause.rows), "claim")
        return f"No answer for PyTorch {old} → {new}: the environment stood in the way of {count}: {_ended(cause.says)}"

    def _red(self) -> str:
        old, new = self._versions()
        red = [cause for cause in self.causes if cause.red]
        names = some(map(_named, red), _ROOM)
        advice = " The report says what to do instead." if any(cause.advice for cause in red) else ""
        mend = f" Mend the acceptances: {some(self.problems, _ROOM)}." if self.problems else ""
        if not self._compared():
            return f"No answer for PyTorch {old} → {new}: no claim could be compared.{mend}"
        if not red:
            return f"Do not upgrade from PyTorch {old} to {new} yet: nothing breaks unaccepted, but:{mend}"
        verb = "break" if any(cause.regressed for cause in red) else "stand in the way"
        verb = verb if len(red) > 1 else verb.replace("break", "breaks").replace("stand ", "stands ")
        things = _count(len(red), "thing")
        return f"Do not upgrade from PyTorch {old} to {new}: {things} {verb}: {names}.{advice}{mend}"

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
        return f"PyTorch {old} → {new}: may upgrade; {kept}."

    def _declared(self) -> str:
        rows = [row.new for row in self.rows if row.word == "broken in both" and row.new]
        names = sorted({side.deviation for side in rows if side.deviation})
        return f" ({some(names, _ROOM // 2)})" if names else ""

    def notes(self) -> Iterator[str]:
        """Yield what was not compared because an engine or tools are missing."""
        rows = [row for row in self.rows if row.word == "not comparable"]
        claims = [row.claim for row in rows if row.new and row.new.error == NO_TOOLS]
        engines = {row.engine for row in rows if not (row.new and row.new.error == NO_TOOLS)}
        names = [name for name in ENGINES if name in engines]
        if names:
            yield f"Not compared, as both builds lack the engine: {', '.join(names)}."
        yield from unchecked(claims)

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
