"""What differs between two records beside the claims' outcomes: packages, calls, warnings, operators, sizes, numbers.

None of it is red by itself; it is what a reader looks at to see where a regression comes from, or where one is near.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vitgate.compare.pairing import VerdictRow
from vitgate.files.schemas import Strict
from vitgate.records.record import Record
from vitgate.records.rows import CellRow


class Change(Strict):
    """One thing in words, before and after; empty where there was or is nothing."""

    what: str
    old: str
    new: str


class SizeChange(Strict):
    """One file's size, before and after."""

    cell: str
    old_bytes: int
    new_bytes: int
    change_percent: float


class Drift(Strict):
    """How near logits are to what they are compared with, before and after; a negative change is more noise."""

    cell: str
    against: str
    old_sqnr_db: float
    new_sqnr_db: float
    change_db: float


class Changes(Strict):
    """All that differs, by kind."""

    environment: tuple[Change, ...] = ()
    calls: tuple[Change, ...] = ()
    warnings: tuple[Change, ...] = ()
    operators: tuple[Change, ...] = ()
    bytecode: tuple[Change, ...] = ()
    sizes: tuple[SizeChange, ...] = ()
    drift: tuple[Drift, ...] = ()


_ENVIRONMENT = (
    "torch",
    "commit",
    "configuration_digest",
    "xnnpack",
    "engines",
    "python",
    "platform",
    "machine",
    "cpu",
    "cpu_capability",
    "cores",
)


def changes(old: Record, new: Record, rows: Iterable[VerdictRow]) -> Changes:
    """Return what differs between the records; `rows` are their claims in pairs."""
    pairs = list(rows)
    return Changes(
        environment=_differences(_environment(old), _environment(new)),
        calls=_outcomes(pairs, "calls"),
        warnings=(*_outcomes(pairs, "warnings"), *_listed(old.warnings, new.warnings, "warning")),
        operators=(*_outcomes(pairs, "lite_operators"), *_listed(old.new_operators, new.new_operators, "operators")),
        bytecode=tuple(
            change for change in _differences(_bytecodes(old), _bytecodes(new)) if change.old and change.new
        ),
        sizes=tuple(_sizes(old, new)),
        drift=tuple(_drift(old, new)),
    )


def _environment(record: Record) -> dict[str, str]:
    """Return what is known of the packages and the machine, in words."""
    values = {name: getattr(record.environment, name) for name in _ENVIRONMENT}
    words = {name: ", ".join(value) if isinstance(value, tuple) else str(value) for name, value in values.items()}
    versions = {f"package {name}": version for name, version in record.environment.packages.items()}
    return {**words, **versions, "vitgate": record.vitgate}


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    pairs = [Change(what=name, old=old.get(name, ""), new=new.get(name, "")) for name in dict.fromkeys((*old, *new))]
    return tuple(change for change in pairs if change.old != change.new)


def _outcomes(rows: list[VerdictRow], claim: str) -> tuple[Change, ...]:
    """Return the rows of a claim whose outcome or message is another one than before."""
    own = [row for row in rows if row.claim == claim and _has_both(row)]
    return _differences(
        {row.name: _in_words(row, old=True) for row in own}, {row.name: _in_words(row, old=False) for row in own}
    )


def _has_both(row: VerdictRow) -> bool:
    """Whether there was something to look at on both sides: a file that was never made has no operators."""
    sides = [side for side in (row.old, row.new) if side is not None]
    return len(sides) == 2 and not any(side.stopped for side in sides)


def _in_words(row: VerdictRow, *, old: bool) -> str:
    side = row.old if old else row.new
    if side is None:
        return ""
    error = f" with {side.error}" if side.error else ""
    message = side.message.removeprefix(f"{side.outcome_text}: ")
    return f"{side.outcome_text}{error}" + (f": {message}" if message else "")


def _listed(old: tuple[str, ...], new: tuple[str, ...], what: str) -> tuple[Change, ...]:
    before, after = set(old), set(new)
    gone = [Change(what=what, old=text, new="") for text in old if text not in after]
    return (*gone, *(Change(what=what, old="", new=text) for text in new if text not in before))


def _bytecodes(record: Record) -> dict[str, str]:
    return {
        row.subject: f"{finding.value:g}"
        for row in record.claims
        for finding in row.findings
        if row.claim == "lite_bytecode" and finding.statistic == "bytecode_version" and finding.value is not None
    }


def _by_cell(record: Record, value: Callable[[CellRow], float | None]) -> dict[str, float]:
    found = {row.name: value(row) for row in record.cells}
    return {name: number for name, number in found.items() if number is not None}


def _sizes(old: Record, new: Record) -> Iterable[SizeChange]:
    before, after = (_by_cell(record, lambda row: row.size_bytes) for record in (old, new))
    for cell, size in before.items():
        if size > 0 and after.get(cell, size) != size:
            percent = 100.0 * (after[cell] / size - 1.0)
            yield SizeChange(cell=cell, old_bytes=int(size), new_bytes=int(after[cell]), change_percent=percent)


def _sqnr(record: Record) -> dict[tuple[str, str], float]:
    """Return every SQNR by subject and what it compares with: the cells' own, and those that claims judged."""
    own = {(name, "original"): value for name, value in _by_cell(record, lambda row: row.sqnr_db).items()}
    judged = {
        (row.subject, finding.against): finding.value
        for row in record.claims
        for finding in row.findings
        if finding.statistic == "sqnr" and finding.value is not None
    }
    return {**judged, **own}


def _drift(old: Record, new: Record) -> Iterable[Drift]:
    before, after = _sqnr(old), _sqnr(new)
    for (cell, against), value in before.items():
        now = after.get((cell, against), value)
        if now != value:
            yield Drift(cell=cell, against=against, old_sqnr_db=value, new_sqnr_db=now, change_db=now - value)
