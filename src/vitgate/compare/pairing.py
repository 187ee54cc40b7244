"""The rows of two records side by side, and the one word that says what a pair of them comes to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from vitgate.files.schemas import Strict
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, WithOutcome
from vitgate.spec.cells import RowName
from vitgate.spec.outcome import NO_TOOLS

Word = Literal["same", "regressed", "fixed", "broken in both", "environment error", "not comparable", "missing"]
WORDS: tuple[Word, ...] = (
    "regressed",
    "environment error",
    "missing",
    "broken in both",
    "not comparable",
    "fixed",
    "same",
)
"""The words in the order in which a reader wants to see their rows."""

CROSSING = "artifacts"
"""The claim that holds cross-loading results: handed in as a matrix, and compared where both records have it."""


class Side(WithOutcome):
    """What became of a claim in one of the two records."""

    status: str
    error: str = ""
    deviation: str = ""
    message: str = ""


class Judged(Strict):
    """Something that a verdict is made of, under the name by which it can be accepted.

    `red` means that it stands in the way of an upgrade, `cause` why; `accepted` is the id of the acceptance because of
    which it does not.
    """

    name: str
    word: Word
    red: bool = False
    cause: str = ""
    accepted: str = ""


class VerdictRow(Judged):
    """One claim about one subject in both records; `note` says what only the two together show."""

    claim: str
    subject: str
    case: str = ""
    engine: str = ""
    variant: str = ""
    old: Side | None
    new: Side | None
    note: str = ""


def rank(row: ClaimRow) -> int:
    """Return how bad it is: 0 passed; 1 a declared number out; 2 the same undeclared; 3 no artifact; 4 undeclared."""
    if row.status == "passed":
        return 0
    if row.status == "unsupported":
        return 3  # no engine, no artifact
    return (3 if row.stopped else 1) + (row.status != "declared")


def word(old: ClaimRow, new: ClaimRow) -> Word:
    """Return the verdict about one claim that both records have."""
    if "environment error" in (old.status, new.status):
        return "environment error"
    if old.status == new.status == "unsupported":
        return "not comparable"
    if _is_unchecked(old) or (_is_unchecked(new) and old.status == "passed"):
        return "missing"
    if _is_unchecked(new):
        return "not comparable"
    if rank(old) != rank(new):
        return "regressed" if rank(new) > rank(old) else "fixed"
    return "same" if rank(new) == 0 else "broken in both"


def _is_unchecked(row: ClaimRow) -> bool:
    """Whether it was not checked for lack of tools, which say nothing of PyTorch; an engine that lacks does."""
    return row.status == "unsupported" and row.error == NO_TOOLS


def paired(old: Record, new: Record) -> list[VerdictRow]:
    """Return a row for every claim of either record, in the old record's order, then what only the new one has."""
    before, after = {row.name: row for row in old.claims}, {row.name: row for row in new.claims}
    both = before.keys() & after.keys()
    names = [row.name for row in (*old.claims, *new.claims) if row.claim != CROSSING or row.name in both]
    rows = [_row(name, before.get(name), after.get(name)) for name in dict.fromkeys(names)]
    return [*rows, *_named_missing(old, new, {row.name for row in rows})]


def _row(name: str, old: ClaimRow | None, new: ClaimRow | None) -> VerdictRow:
    some = new or old
    assert some is not None
    found: Word = word(old, new) if old and new else "missing"
    if some.status == "environment error":
        found = "environment error"
    return VerdictRow(
        name=name,
        word=found,
        red=_is_red(found, new),
        claim=some.claim,
        subject=some.subject,
        case=some.case,
        engine=some.engine,
        variant=some.variant,
        old=_side(old),
        new=_side(new),
    )


def _is_red(found: Word, new: ClaimRow | None) -> bool:
    """Whether it stands in the way: also a failure that nobody declared, whatever the old record says of it.

    What does not hold and was not checked before may have held: then a declared failure does too.
    """
    if found in ("regressed", "environment error") or new is None:
        return True
    return new.status == "failed" or (found == "missing" and new.status != "passed")


def _side(row: ClaimRow | None) -> Side | None:
    if row is None:
        return None
    fields = ("status", "outcome", "at", "error", "deviation", "message")
    return Side(**{field: getattr(row, field) for field in fields})


def _named_missing(old: Record, new: Record, present: set[str]) -> Iterable[VerdictRow]:
    """Yield rows for what a record itself names as missing: `label[digits-x86-lite]`, or the id of a claim."""
    for name in dict.fromkeys((*old.missing, *new.missing)):
        row = RowName.parse(name)
        if name not in present and row.claim != CROSSING:
            yield VerdictRow(
                name=name,
                word="missing",
                red=name in new.missing,
                claim=row.claim,
                subject=row.subject,
                old=None,
                new=None,
            )
