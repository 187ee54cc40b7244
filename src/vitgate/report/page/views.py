"""What the page of a run shows, before it takes a form: words, numbers and reasons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args, Literal

from vitgate.files.text import clean, short
from vitgate.judge.deviations import Deviation, read_deviations
from vitgate.judge.tolerances import read_tolerances, Tolerance
from vitgate.records.history import history
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow, InputRow, Status
from vitgate.report.answer import answer_of, AnswerKind
from vitgate.report.formats import decibels, interval, megabytes, shown
from vitgate.spec.claims import Claim, read_claims, read_sentences, Sentence
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import FORMS
from vitgate.spec.versions import age, public

Kind = Literal["good", "known", "bad", "unknown"]
STATUSES: tuple[Status, ...] = get_args(Status)
RED: tuple[Status, ...] = ("failed", "environment error")
ABSENT = "–"
_HEADLINES: dict[AnswerKind, tuple[str, Kind]] = {
    "works": ("The pipeline works", "good"),
    "broken as declared": ("The pipeline does not work as a whole", "known"),
    "failed": ("Claims failed", "bad"),
}
_WEIGHTS = {"standin": "stand-in weights", "pretrained": "published weights", "file": "weights of the user's"}


@dataclass(frozen=True)
class Value:
    """One place of a table: what it says, and the number by which it is sorted, if it is one."""

    text: str
    key: float | None = None


def value(number: float | None, form: str) -> Value:
    """Return a number as it is shown; a dash where there is none."""
    return Value(shown(number, form, ABSENT), number)


@dataclass(frozen=True)
class NumberLine:
    """One number of a claim, the bounds that decided, the one that it would have needed, and why they are so."""

    finding: FindingRow
    value: str
    expected: str
    needed: str
    reason: str
    measured: str


@dataclass(frozen=True)
class Explained:
    """One row of the record with all that is known of it; `anchor` is its id in the page."""

    anchor: str
    row: ClaimRow
    claim: Claim | None
    sentences: tuple[Sentence, ...]
    deviation: Deviation | None
    numbers: tuple[NumberLine, ...]

    @property
    def red(self) -> bool:
        """Whether nothing declares it."""
        return self.row.status in RED

    @property
    def judged(self) -> list[NumberLine]:
        """The numbers that decided, those out of their bounds first."""
        return sorted((line for line in self.numbers if line.finding.judged), key=lambda line: not line.needed)

    @property
    def shown(self) -> list[NumberLine]:
        """The numbers that decided nothing."""
        return [line for line in self.numbers if not line.finding.judged]

    @property
    def outcome(self) -> str:
        """What became of it, with the error's name."""
        return f"{self.row.outcome_text} with {self.row.error}" if self.row.error else self.row.outcome_text

    @cached_property
    def history(self) -> str:
        """What the recorded releases say of it."""
        return history(self.row.name)


@dataclass(frozen=True)
class Group:
    """Rows that one deviation declares; `known` is None where the record names one that is no longer declared."""

    id: str
    known: Deviation | None
    rows: tuple[Explained, ...]


@dataclass(frozen=True)
class CellLine:
    """One line of the table of variants: `trouble` are the rows about it that did not simply pass."""

    cell: CellRow
    size: Value
    reduction: Value
    latency: Value
    ratio: Value
    interval: str
    sqnr: Value
    label: Value
    kind: Kind
    trouble: tuple[Explained, ...]


class View:
    """What is said of one record; `others` are those of older PyTorch versions, oldest first."""

    def __init__(self, record: Record, others: Sequence[Record] = ()) -> None:
        """Explain each row that did not simply pass."""
        self.record, self.others = record, tuple(others)
        self.sweep = (*self.others, record)
        self.torch = clean(public(record.environment.torch))
        found = answer_of(record)
        self.answer, self.notes = found.text, found.notes
        self.headline, self.kind = _HEADLINES.get(found.kind, ("No answer", "unknown"))
        known = Known.read()
        rows = [row for row in record.claims if row.status != "passed"]
        self._explained = [known.explain(f"claim-{number}", row) for number, row in enumerate(rows, 1)]

    @cached_property
    def counts(self) -> dict[Status, int]:
        """How many rows have each status, in the statuses' order."""
        found = Counter(row.status for row in self.record.claims)
        return {status: found[status] for status in STATUSES}

    @cached_property
    def red(self) -> list[Explained]:
        """The rows that failed, or that the environment stood in the way of."""
        return [item for item in self._explained if item.red]

    @cached_property
    def unsupported(self) -> list[Explained]:
        """The rows about which nothing is said."""
        return [item for item in self._explained if item.row.status == "unsupported"]

    @cached_property
    def declared(self) -> list[Group]:
        """The deviations that were met, in the order of the record."""
        found: dict[str, list[Explained]] = {}
        for item in self._explained:
            if item.row.status == "declared":
                found.setdefault(item.row.deviation, []).append(item)
        return [Group(name, rows[0].deviation, tuple(rows)) for name, rows in found.items()]

    def lines(self, case: str) -> list[CellLine]:
        """Return the table of one case, engine by engine."""
        cells = [cell for cell in self.record.cells if cell.case == case]
        scripted = {cell.engine: cell.size_bytes for cell in cells if cell.variant == "scripted"}
        return [self._line(cell, scripted.get(cell.engine)) for cell in cells]

    def _line(self, cell: CellRow, scripted: int | None) -> CellLine:
        size, low, high = cell.size_bytes, cell.latency_ratio_low, cell.latency_ratio_high
        place = (cell.case, cell.engine, cell.variant)
        return CellLine(
            cell=cell,
            size=Value(megabytes(size, absent=ABSENT), size and size / 1e6),
            reduction=value(1 - size / scripted if size and scripted else None, "{:.0%}"),
            latency=value(cell.latency_ms, "{:.2f} ms"),
            ratio=value(cell.latency_ratio, "{:.3f}"),
            interval=interval(low, high, ABSENT),
            sqnr=Value(decibels(cell.sqnr_db, ABSENT, cell.expected_sqnr_db), cell.sqnr_db),
            label=value(cell.label, "{}"),
            kind=_cell_kind(cell),
            trouble=tuple(e for e in self._explained if (e.row.case, e.row.engine, e.row.variant) == place),
        )

    def weights(self, case: str) -> str:
        """Say with which weights a case was tested."""
        return next((weights_of(row) for row in self.record.inputs if row.case == case), "weights not recorded")

    @cached_property
    def claims(self) -> list[ClaimLine]:
        """The claims in their order, each with all its rows."""
        known = read_claims()
        names = sorted({row.claim for row in self.record.claims}, key=lambda name: (name not in known, name))
        ordered = [name for name in known if name in names] + [name for name in names if name not in known]
        return [ClaimLine.of(name, known.get(name), self.record.claims) for name in ordered]

    def finding_line(self, row: FindingRow) -> str:
        """Say one number of a claim in one line."""
        return short(_finding(row).line())


@dataclass(frozen=True)
class ClaimLine:
    """One claim: what it says, how many of its rows have each status, and the rows."""

    id: str
    says: str
    counts: Mapping[Status, int]
    rows: tuple[ClaimRow, ...]

    @classmethod
    def of(cls, name: str, claim: Claim | None, rows: Iterable[ClaimRow]) -> ClaimLine:
        """Collect the rows of one claim.

        Args:
            name: Its id.
            claim: None where the record names one that the data files do not have.
            rows: Of all claims.
        """
        own = tuple(row for row in rows if row.claim == name)
        return cls(name, claim.says if claim else "", Counter(row.status for row in own), own)


@dataclass(frozen=True)
class Known:
    """What the data files say, by id."""

    claims: Mapping[str, Claim]
    sentences: Mapping[str, Sentence]
    deviations: Mapping[str, Deviation]
    tolerances: Mapping[str, Tolerance]

    @classmethod
    def read(cls) -> Known:
        """Read the data files."""
        deviations = {row.id: row for row in read_deviations().rows}
        tolerances = {row.id: row for row in read_tolerances().rows()}
        return cls(read_claims(), read_sentences(), deviations, tolerances)

    def explain(self, anchor: str, row: ClaimRow) -> Explained:
        """Find what is known of a row; a record may name what the files do not have."""
        claim = self.claims.get(row.claim)
        sentences = tuple(self.sentences[name] for name in claim.sentences) if claim else ()
        numbers = tuple(_number_line(finding, self.tolerances.get(finding.tolerance)) for finding in row.findings)
        return Explained(anchor, row, claim, sentences, self.deviations.get(row.deviation), numbers)


def _number_line(row: FindingRow, tolerance: Tolerance | None) -> NumberLine:
    finding = _finding(row)
    shown = "not a number" if row.value is None else f"{row.value:.6g} {row.unit}".removesuffix(" 1")
    return NumberLine(
        finding=row,
        value=shown,
        expected=finding.bounds(),
        needed="" if finding.ok else finding.needed(),
        reason=tolerance.reason if tolerance else "",
        measured=tolerance.measured if tolerance else "",
    )


def _finding(row: FindingRow) -> Finding:
    return Finding(**{**dict(row), "value": math.nan if row.value is None else row.value})


def _cell_kind(cell: CellRow) -> Kind:
    if cell.outcome in ("not checked", "unsupported"):
        return "unknown"
    if cell.outcome == "failed":
        return "bad"
    return "known" if cell.deviation else "good" if cell.outcome == "passed" else "bad"


def weights_of(row: InputRow) -> str:
    """Say which kind of weights a case had; those that were really trained, and come with the suite, are its own."""
    return _WEIGHTS.get(row.weights, f"{row.weights} weights")


def machine(record: Record) -> str:
    """Describe the machine of a run."""
    found = record.environment
    return f"{found.cpu}, {found.cores} {'core' if found.cores == 1 else 'cores'}, {found.cpu_capability}"


def engines_in(names: Iterable[str]) -> list[str]:
    """Return these engines in the order in which tables show them, unknown ones last."""
    order = {name: number for number, name in enumerate(EVERY_ENGINE)}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))  # type: ignore[call-overload]


def variants_in(names: Iterable[str]) -> list[str]:
    """Return these variants in the order in which one is made of the other, unknown ones last."""
    order: dict[str, int] = {name: number for number, name in enumerate(FORMS)}
    return sorted(set(names), key=lambda name: (order.get(name, len(order)), name))


def by_age(records: Iterable[Record]) -> list[Record]:
    """Return the records, that of the oldest PyTorch first."""
    return sorted(records, key=lambda record: age(public(record.environment.torch)))
