"""What differs between two records beside the claims' outcomes: inputs, packages, calls, operators, sizes, numbers.

Most of it is not red; it shows where a regression comes from, or where one is near. What is judged is growth: a larger
file, a larger error, a bytecode version that old runtimes cannot read. Each record alone may lie within its bounds,
which are wide enough for every release. The bounds of these steps are the rows of `fixtures/tolerances/` against "old".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vitgate.compare.inputs import input_changes
from vitgate.compare.pairing import VerdictRow
from vitgate.files.errors import UsageError
from vitgate.files.schemas import Strict
from vitgate.judge.tolerances import read_tolerances
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, ClaimRow
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import read_successors


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

    inputs: tuple[Change, ...] = ()
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
    "processor",
    "cores",
)


def changes(old: Record, new: Record, rows: Iterable[VerdictRow]) -> Changes:
    """Return what differs between the records.

    Args:
        old: The old version's record.
        new: The new version's.
        rows: Their claims in pairs.
    """
    pairs = list(rows)
    return Changes(
        inputs=tuple(Change(what=each.case, old="", new=each.note) for each in input_changes(old, new)),
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


def _more(old: float, new: float) -> float:
    return new - old


def _times_beyond_runtime(old: float, new: float) -> float:
    return (max(new, 0.0) + RUNTIME_BYTES) / (max(old, 0.0) + RUNTIME_BYTES)


RUNTIME_BYTES = 16e6
"""What a runtime takes for itself in its first call, about (docs/memory.md): a small file's peak says nothing else."""

_STEPS = {
    "size": (_Step("size", "", "growth", "1", _times),),
    "memory": (
        _Step("growth", "", "growth_change", "bytes", _more),
        _Step("peak", "", "peak_growth", "1", _times_beyond_runtime),
    ),
    "logits_original": (_Step("sqnr_change", "expected", "sqnr_change", "dB", _more),),
    "label": (_Step("right_labels", "", "label_change", "1", _more),),
    "coverage": (_Step("operators_left", "", "left_change", "1", _more),),
    "lite_bytecode": (_Step("bytecode_version", "", "bytecode_change", "1", _more),),
}


def moved(rows: Iterable[VerdictRow], old: Record, new: Record) -> list[VerdictRow]:
    """Return the rows; one whose outcome is as before, but whose number is not, gets another word, and a note.

    What got worse has regressed; what got better by as much is fixed, so that the way back says the opposite.

    Args:
        rows: The records' claims in pairs.
        old: The old version's record.
        new: The new version's.
    """
    before, after = ({row.name: row for row in record.claims} for record in (old, new))
    return [_moved(row, before.get(row.name), after.get(row.name)) for row in rows]


def _moved(row: VerdictRow, old: ClaimRow | None, new: ClaimRow | None) -> VerdictRow:
    if old is None or new is None or row.word not in ("same", "broken in both"):
        return row
    steps = _STEPS.get(new.claim, ())
    there = [found for step in steps if (found := _finding(step, old, new)) is not None]
    back = [found for step in steps if (found := _finding(step, new, old)) is not None]
    if worse := [each.line() for each in there if not each.ok]:
        return row.model_copy(update={"word": "regressed", "red": True, "note": "; ".join(worse)})
    if better := [each.line() for each, reverse in zip(there, back, strict=True) if not reverse.ok]:
        return row.model_copy(update={"word": "fixed", "note": "; ".join(better)})
    return row


def _finding(step: _Step, old: ClaimRow, new: ClaimRow) -> Finding | None:
    values = [_value(row, step) for row in (old, new)]
    if None in values:
        return None
    change = step.change(*(float(value) for value in values if value is not None))
    name = "compiled_growth" if step.name == "growth" and _is_compiled(new.variant) else step.name
    return read_tolerances().bounded(new.claim, Finding(name, change, step.unit, against="old"), None, "", "")


def _is_compiled(variant: str) -> bool:
    """Whether the variant's file is a compiled package: of a small model, it is code more than tensors."""
    return any(name == variant and row.compiler for name, row in read_successors().items())


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
