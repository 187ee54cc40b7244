"""Whether two records are about the same inputs, and whether their pictures became the same tensors.

A changed preprocessing moves every number of a model. Most of a record's numbers compare forms of one model on the same
tensors, and stay as they were when all of these are other ones. So what became of the pictures is compared by itself,
whether or not a case has golden inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vitgate.compare.pairing import Side, VerdictRow
from vitgate.files.errors import UsageError
from vitgate.judge.input_tensors import distance, first_step, of_projections, Pictures, step
from vitgate.judge.tolerances import read_tolerances
from vitgate.records.record import Record
from vitgate.records.rows import InputRow, PreprocessedRow
from vitgate.spec.cells import RowName
from vitgate.spec.outcome import Finding

CLAIM = "inputs"
Pair = tuple[PreprocessedRow, PreprocessedRow]


@dataclass(frozen=True)
class InputChange:
    """A case whose preprocessed pictures are other ones in the new record: how far, and a note that says so."""

    case: str
    finding: Finding
    note: str


_SOURCES = (
    ("weights", "weights", "weights_digest", "--weights"),
    ("pictures", "pictures", "pictures_sha256", "--assets"),
    ("folders of pictures", "images_note", "images_digest", "--images"),
)


def check_inputs(old: Record, new: Record, where: str) -> None:
    """Look whether both runs were given the same of each case that both are about.

    Args:
        old: The old version's record.
        new: The new version's.
        where: What the two are called.

    Raises:
        UsageError: They are about different weights or pictures.
    """
    before = {row.case: row for row in old.inputs}
    for row in new.inputs:
        if row.case in before:
            _check_sources(before[row.case], row, where)
            _check_files(before[row.case], row, where)


def _check_sources(old: InputRow, new: InputRow, where: str) -> None:
    for what, source, field, option in _SOURCES:
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            names = [(getattr(row, source), getattr(row, field)[:12]) for row in (old, new)]
            pair = " and ".join(" ".join(filter(None, name)) or "none" for name in names)
            text = f"the records are about different {what} of {new.case}: {pair}"
            raise UsageError(text, where=where, do=f"run both with the same {option}")


def _check_files(old: InputRow, new: InputRow, where: str) -> None:
    for before, after in _paired(old, new):
        if before.file != after.file:
            text = f"the records are about different pictures of {new.case}: the file of {after.name} has changed"
            raise UsageError(text, where=where, do="run both with the same pictures")


def input_changes(old: Record, new: Record) -> list[InputChange]:
    """Return the cases whose pictures became other tensors; a record that says nothing of them has none."""
    before = {row.case: row for row in old.inputs}
    pairs = [(before[row.case], row) for row in new.inputs if row.case in before]
    found = [_change(*pair) for pair in pairs if pair[0].preprocessed]
    return [change for change in found if change is not None]


def with_inputs(rows: Iterable[VerdictRow], changes: Sequence[InputChange]) -> list[VerdictRow]:
    """Return the rows of a verdict with one for each case whose inputs have changed by more than the bound.

    Where the case has golden inputs that is their row, which may hold on both sides, or be red for this already.
    """
    found, red = list(rows), {str(RowName(CLAIM, change.case)): change for change in changes if not change.finding.ok}
    marked = [_marked(row, red[row.name]) if row.name in red else row for row in found]
    there = {row.name for row in found}
    return [*marked, *(_row(name, change) for name, change in red.items() if name not in there)]


def _marked(row: VerdictRow, change: InputChange) -> VerdictRow:
    if row.word not in ("same", "broken in both"):
        return row
    return row.model_copy(update={"word": "regressed", "red": True, "note": change.note})


def _row(name: str, change: InputChange) -> VerdictRow:
    side = Side(status="passed", outcome="passed")
    row = VerdictRow(name=name, word="same", claim=CLAIM, subject=change.case, case=change.case, old=side, new=side)
    return _marked(row, change)


def _change(old: InputRow, new: InputRow) -> InputChange | None:
    pairs = _paired(old, new)
    if pairs and all(before.digest == after.digest for before, after in pairs):
        return None
    one = _step(old.preprocessed)
    far = [_distance(before, after, one) for before, after in pairs]
    value = max(far, key=lambda each: math.inf if math.isnan(each) else each) if far else math.nan
    finding = Finding("distance", value, "steps", against="old")
    bounded = read_tolerances().bounded(CLAIM, finding, None, "", "")
    return InputChange(new.case, bounded, f"preprocessed inputs of {new.case} changed: {_words(pairs, far, bounded)}")


def _paired(old: InputRow, new: InputRow) -> list[Pair]:
    """Return the pictures that both have; one alone may have lacked a picture that is downloaded."""
    after = {row.name: row for row in new.preprocessed}
    names = [[row.name for row in each.preprocessed] for each in (old, new)]
    if names[0] == names[1]:
        return list(zip(old.preprocessed, new.preprocessed, strict=True))
    return [(row, after[row.name]) for row in old.preprocessed if row.name in after]


def _step(rows: Sequence[PreprocessedRow]) -> float:
    edges = [edge for row in rows for edge in (row.low, row.high) if edge is not None]
    return step(min(edges), max(edges)) if edges else math.nan


def _distance(old: PreprocessedRow, new: PreprocessedRow, one: float) -> float:
    if old.digest == new.digest:
        return 0.0
    return distance(old.projections, new.projections, one) if old.shape == new.shape else math.nan


def _words(pairs: Sequence[Pair], far: Sequence[float], finding: Finding) -> str:
    if not pairs:
        return "the new record says nothing of them"
    place = next((place for place, value in enumerate(far) if math.isnan(value)), far.index(max(far)))
    changed = sum(old.digest != new.digest for old, new in pairs)
    text = f"{changed} of {len(pairs)} pictures, {pairs[place][0].name} the most, {finding.line()}"
    return f"{text}; first step that differs: {_first(pairs)}"


def _first(pairs: Sequence[Pair]) -> str:
    old, new = ([pair[side] for pair in pairs] for side in (0, 1))
    if len({row.shape for row in (*old, *new)}) > 1:
        return "the shape of a tensor"
    if not all(row.projections for row in (*old, *new)):
        return "a tensor holds NaN or infinity"
    return first_step(_pictures(old), _pictures(new), _step(old))


def _pictures(rows: Sequence[PreprocessedRow]) -> Pictures:
    files = [{"decoded": row.decoded, "mean": row.mean} for row in rows]
    return of_projections([row.projections for row in rows], rows[0].shape, [row.detail or 0.0 for row in rows], files)
