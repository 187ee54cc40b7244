"""What two records show only together: a file that grew, an error that grew, a bytecode that old runtimes cannot read.

Each record alone may lie within its bounds, which are wide enough for every release; from one release to the next far
less is ordinary. The bounds of these steps are the rows of `fixtures/tolerances/` against "old".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vitgate.compare.pairing import VerdictRow
from vitgate.files.errors import UsageError
from vitgate.judge.metrics import ROUNDING_DB
from vitgate.judge.tolerances import read_tolerances
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.outcome import Finding


@dataclass(frozen=True)
class _Step:
    """A number that a claim has in both records, and what its two values say: a statistic of its own, with its unit."""

    statistic: str
    against: str
    name: str
    unit: str
    change: Callable[[float, float], float]


def _times(old: float, new: float) -> float:
    return new / old if old > 0 else math.nan


def _decibels(old: float, new: float) -> float:
    return min(new, ROUNDING_DB) - min(old, ROUNDING_DB)


_STEPS = {
    "size": _Step("size", "", "growth", "1", _times),
    "logits_original": _Step("sqnr", "original", "sqnr_change", "dB", _decibels),
    "lite_bytecode": _Step("bytecode_version", "", "bytecode_change", "1", lambda old, new: new - old),
}


def moved(rows: Iterable[VerdictRow], old: Record, new: Record) -> list[VerdictRow]:
    """Return the rows; one whose outcome is as before, but whose number is not, gets another word, and a note.

    What got worse has regressed; what got better by as much is fixed, so that the way back says the opposite.
    """
    before, after = ({row.name: row for row in record.claims} for record in (old, new))
    return [_moved(row, before.get(row.name), after.get(row.name)) for row in rows]


def _moved(row: VerdictRow, old: ClaimRow | None, new: ClaimRow | None) -> VerdictRow:
    if old is None or new is None or row.word not in ("same", "broken in both"):
        return row
    there, back = _finding(old, new), _finding(new, old)
    if there is not None and not there.ok:
        return row.model_copy(update={"word": "regressed", "red": True, "note": there.line()})
    if there is not None and back is not None and not back.ok:
        return row.model_copy(update={"word": "fixed", "note": there.line()})
    return row


def _finding(old: ClaimRow, new: ClaimRow) -> Finding | None:
    step = _STEPS.get(new.claim)
    values = [_value(row, step) for row in (old, new)] if step else []
    if step is None or None in values:
        return None
    change = step.change(*(float(value) for value in values if value is not None))
    return read_tolerances().bounded(new.claim, Finding(step.name, change, step.unit, against="old"), None, "", "")


def _value(row: ClaimRow, step: _Step) -> float | None:
    found = [each.value for each in row.findings if (each.statistic, each.against) == (step.statistic, step.against)]
    return found[0] if found else None


def check_judged_alike(old: Record, new: Record) -> None:
    """UsageError, naming the first row, where a number of both records has other bounds, or another unit, in each."""
    before = {row.name: row for row in old.claims}
    for row in new.claims:
        bounds = [_bounds(each) for each in (before[row.name], row)] if row.name in before else [{}, {}]
        for key in bounds[0].keys() & bounds[1].keys():
            if bounds[0][key] != bounds[1][key]:
                was, now = (_text(*each[key]) for each in bounds)
                what = f"the records were judged by different bounds: {row.name} {key} by {was}, and by {now}"
                raise UsageError(what, where=f"{old.created} and {new.created}", do="make both with the same suite")


Bounds = tuple[str, float | None, float | None]


def _bounds(row: ClaimRow) -> dict[str, Bounds]:
    return {each.tolerance: (each.unit, each.lower, each.upper) for each in row.findings if each.tolerance}


def _text(unit: str, lower: float | None, upper: float | None) -> str:
    return f"{'-inf' if lower is None else lower} to {'inf' if upper is None else upper} {unit}"
