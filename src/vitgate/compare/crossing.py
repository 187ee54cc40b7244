"""What only two PyTorch versions together can show: files of one that the other runs, and latencies taken in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field, model_validator

from vitgate.compare.latency_statistics import PairWord
from vitgate.compare.pairing import CROSSING, Judged, rank, word
from vitgate.files.errors import UsageError
from vitgate.files.schemas import Strict, unique
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, Status, WithOutcome
from vitgate.spec.cells import cell_name, RowName
from vitgate.spec.versions import public

OWN = ("build", "label", "logits_original", "logits_parent", "repeatable")
"""The claims that say whether a version carries its own file of a cell."""

LATENCY = "paired_latency"


class MatrixRow(WithOutcome):
    """A file that PyTorch `maker` wrote and PyTorch `runner` loaded and ran.

    `sqnr_db` is how near the runner's logits are to those that the maker had of the same file.
    """

    maker: str
    runner: str
    case: str
    engine: str
    variant: str
    status: Status
    deviation: str = ""
    message: str = ""
    sqnr_db: float | None = None
    size_bytes: int | None = Field(default=None, ge=0)

    @property
    def cell(self) -> str:
        """The id of the cell."""
        return cell_name(self.case, self.engine, self.variant)

    @property
    def name(self) -> str:
        """The row's identity, by which it can be accepted."""
        return str(RowName(CROSSING, f"{self.cell}, {self.maker} on {self.runner}"))


class PairedLatency(Strict):
    """Latency of one cell under both versions, taken in turns; `ratio` is new over old, `low` to `high` about it.

    What could not be measured has no numbers; `note` says why, or what a reader should know besides. `load` and `first`
    are new over old, too, of the CPU time of loading the file and of the first calls.
    """

    case: str
    engine: str
    variant: str
    verdict: PairWord
    ratio: float | None = Field(default=None, gt=0)
    low: float | None = None
    high: float | None = None
    old_ms: float | None = None
    new_ms: float | None = None
    load: float | None = None
    first: float | None = None
    pairs: int = Field(ge=0)
    note: str = ""

    @model_validator(mode="after")
    def _has_its_numbers(self) -> PairedLatency:
        numbers = (self.ratio, self.low, self.high, self.old_ms, self.new_ms)
        judged = self.verdict in ("same", "regressed", "fixed")
        if judged and (None in numbers or self.pairs == 0):
            raise ValueError(f"{self.verdict} without the numbers that say so")
        return self

    @property
    def cell(self) -> str:
        """The id of the cell."""
        return cell_name(self.case, self.engine, self.variant)

    @property
    def name(self) -> str:
        """The row's identity, by which it can be accepted."""
        return str(RowName(LATENCY, self.cell))


class JudgedMatrixRow(Judged):
    """A cell of the matrix maker × runner with its word; the diagonal comes from the records themselves."""

    row: MatrixRow


class JudgedLatency(Judged):
    """A paired latency with its word."""

    row: PairedLatency


def judge_matrix(old: Record, new: Record, matrix: Sequence[MatrixRow]) -> list[JudgedMatrixRow]:
    """Judge each crossing against its maker's own run of the same cell, and put the diagonals before them."""
    unique([row.name for row in matrix], where="the matrix")
    versions = [public(record.environment.torch) for record in (old, new)]
    rows = []
    for row in matrix:
        pair = [public(row.maker), public(row.runner)]
        if pair not in (versions, versions[::-1]):
            what = f"{row.name} is about other versions than {' and '.join(versions)}"
            raise UsageError(what, where="the matrix", do="hand in the crossings of these two")
        rows.append(_judge(row, _own(old if pair == versions else new, row)))
    cells = dict.fromkeys((row.case, row.engine, row.variant) for row in matrix)
    if versions[0] == versions[1]:  # a version against itself: the crossings are the diagonal
        return rows
    return [*(own for cell in cells for own in _diagonals(old, new, cell)), *rows]


def _judge(row: MatrixRow, own: ClaimRow | None) -> JudgedMatrixRow:
    """Compare a crossing with what the maker's own run of the cell came to; without one there is no baseline."""
    found = word(own, _as_claim(row)) if own else "missing"
    if row.status == "environment error":
        found = "environment error"
    red = found in ("regressed", "environment error") or row.status == "failed"
    return JudgedMatrixRow(name=row.name, word=found, red=red or (own is None and row.status != "passed"), row=row)


def _as_claim(row: MatrixRow) -> ClaimRow:
    return ClaimRow(claim=CROSSING, subject=row.name, status=row.status, outcome=row.outcome, at=row.at, test="")


def _own(record: Record, row: MatrixRow) -> ClaimRow | None:
    """Return the worst of the claims by which the record says whether its version carries the cell."""
    place = (row.case, row.engine, row.variant)
    rows = [each for each in record.claims if each.claim in OWN and (each.case, each.engine, each.variant) == place]
    return max(rows, key=lambda each: (each.status == "environment error", rank(each)), default=None)


def _diagonals(old: Record, new: Record, cell: tuple[str, str, str]) -> Iterable[JudgedMatrixRow]:
    """Yield what each version made of its own file; what is wrong there is red in the rows, not once more here."""
    case, engine, variant = cell
    baseline: ClaimRow | None = None
    for record in (old, new):
        version = record.environment.torch
        empty = MatrixRow(
            maker=version, runner=version, case=case, engine=engine, variant=variant, status="passed", outcome="passed"
        )
        own = _own(record, empty)
        if own is None:
            continue
        kept = own.model_dump(include={"status", "outcome", "at", "deviation", "message"})
        lines = [line for line in record.cells if (line.case, line.engine, line.variant) == cell]
        size = lines[0].size_bytes if lines else None
        row = empty.model_copy(update={**kept, "size_bytes": size})
        baseline = baseline or own
        yield JudgedMatrixRow(name=row.name, word=word(baseline, own), row=row)


def judge_latency(latency: Sequence[PairedLatency]) -> list[JudgedLatency]:
    """Put each paired latency beside the rows of the verdict; one that could not be taken is no answer."""
    unique([row.name for row in latency], where="the paired latencies")
    red = ("regressed", "environment error")
    return [JudgedLatency(name=row.name, word=row.verdict, red=row.verdict in red, row=row) for row in latency]
