"""The rows of two records side by side, and the word that says what a pair of them comes to.

Beside the claims stand the rows that only two releases together have: files of one that the other runs, and latencies
taken in pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, model_validator

from vitgate.compare.latency_statistics import PairWord
from vitgate.files.errors import UsageError
from vitgate.files.schemas import Strict, unique
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, Status, WithOutcome
from vitgate.spec.cells import cell_name, RowName
from vitgate.spec.claims import claims_of_time
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.versions import public, release_names

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

    `red` means that it blocks an upgrade, `cause` why; `accepted` is the id of the acceptance because of
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
    left_out = {CROSSING, *old.left_out, *new.left_out}
    claims = [*old.claims, *new.claims]
    names = [row.name for row in claims if not {row.claim, row.variant} & left_out or row.name in both]
    rows = [_row(name, before.get(name), after.get(name)) for name in dict.fromkeys(names)]
    if old.environment.machine != new.environment.machine:
        rows = [row.model_copy(update=_NO_TIME) if row.claim in claims_of_time() else row for row in rows]
    return [*rows, *_named_missing(old, new, {row.name for row in rows})]


_NO_TIME: dict[str, object] = {"word": "not comparable", "red": False}  # one machine cannot tell what another takes


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
    """Whether it blocks the upgrade: also a failure that nobody declared, whatever the old record says of it.

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
    error: str = ""
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


def names_of(old: Record, new: Record) -> tuple[str, str]:
    """Return what the two sides are called: PyTorch's versions, or what else tells them apart."""
    return release_names(old.environment, new.environment)


def judge_matrix(old: Record, new: Record, matrix: Sequence[MatrixRow]) -> list[JudgedMatrixRow]:
    """Judge each crossing against its maker's own run of the same cell, and put the diagonals before them.

    Args:
        old: The old version's record.
        new: The new version's.
        matrix: What each version made of the other's files.

    Raises:
        UsageError: A crossing stands twice, or is about another version.
    """
    unique([row.name for row in matrix], where="the matrix")
    names = names_of(old, new)
    versions = [public(name) for name in names]
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
    return [*(own for cell in cells for own in _diagonals(old, new, names, cell)), *rows]


def _judge(row: MatrixRow, own: ClaimRow | None) -> JudgedMatrixRow:
    """Compare a crossing with what the maker's own run of the cell came to; without one there is no baseline."""
    crossed = _as_claim(row)
    found = word(own, crossed) if own else "missing"
    if row.status == "environment error":
        found = "environment error"
    elif _is_unchecked(crossed):
        return JudgedMatrixRow(name=row.name, word="not comparable", row=row)
    red = found in ("regressed", "environment error") or row.status == "failed"
    return JudgedMatrixRow(name=row.name, word=found, red=red or (own is None and row.status != "passed"), row=row)


def _as_claim(row: MatrixRow) -> ClaimRow:
    kept = row.model_dump(include={"status", "outcome", "error"})
    return ClaimRow(claim=CROSSING, subject=row.name, test="", **kept)


def _own(record: Record, row: MatrixRow) -> ClaimRow | None:
    """Return the worst of the claims by which the record says whether its version carries the cell."""
    place = (row.case, row.engine, row.variant)
    rows = [each for each in record.claims if each.claim in OWN and (each.case, each.engine, each.variant) == place]
    return max(rows, key=lambda each: (each.status == "environment error", rank(each)), default=None)


def _diagonals(
    old: Record, new: Record, versions: Sequence[str], cell: tuple[str, str, str]
) -> Iterable[JudgedMatrixRow]:
    """Yield what each version made of its own file; what is wrong there is red in the rows, not once more here."""
    case, engine, variant = cell
    baseline: ClaimRow | None = None
    for record, version in zip((old, new), versions, strict=True):
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
