"""The rows of a record: what became of each claim, and what each variant measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from vitgate.files.schemas import Strict
from vitgate.spec.cells import cell_name, RowName
from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import Finding, Kind, Outcome

CellKind = Literal["passed", "failed", "failed at", "blocked by", "unsupported", "not checked"]
Status = Literal["passed", "declared", "failed", "unsupported", "environment error"]

_DIGITS = 6  # of a number that was measured
_MOST = 1e100  # of any number: what is larger is no measurement, and what is computed of it may be no number
Number = Annotated[float, Field(ge=-_MOST, le=_MOST)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Names = Annotated[tuple[str, ...], FailFast()]  # a long list that is wrong throughout is wrong in one place


class FindingRow(Strict):
    """One judged number. A value of None stands for NaN, which no bound admits."""

    statistic: str
    value: Number | None
    unit: str
    lower: Number | None = None
    upper: Number | None = None
    against: str = ""
    tolerance: str = ""
    judged: bool = True
    note: str = ""


class WithOutcome(Strict):
    """A row that holds an outcome as `vitgate.spec.outcome.Outcome` does: its kind, and where it stopped."""

    outcome: Kind
    at: str = ""

    @property
    def stopped(self) -> bool:
        """Whether a stage failed, so that there was nothing to judge."""
        return self.outcome in ("failed at", "blocked by")

    @property
    def outcome_text(self) -> str:
        """The outcome in words: `failed at optimize_for_mobile`."""
        return f"{self.outcome} {self.at}".strip()


class ClaimFields(WithOutcome):
    """What became of one claim about one subject (a cell's id, a case and engine, one of the tutorial's calls)."""

    claim: str
    subject: str
    case: str = ""
    engine: str = ""
    variant: str = ""
    status: Status
    error: str = ""
    deviation: str = ""
    test: str

    @property
    def name(self) -> str:
        """The row's identity within its record."""
        return str(RowName(self.claim, self.subject))

    @property
    def stops_pipeline(self) -> bool:
        """Whether it is declared that the variant cannot be made or run: by a claim about that, or one long gone."""
        claim = read_claims().get(self.claim)
        return self.status == "declared" and self.outcome != "failed" and not (claim and claim.is_aside)


class ClaimRow(ClaimFields):
    """A claim's row with the numbers that decided it, and what a reader is told."""

    message: str = ""
    findings: Annotated[tuple[FindingRow, ...], FailFast()] = ()


class CellRow(Strict):
    """One line of the table: what one variant of one case measures under one engine.

    `outcome` is the worst that its claims came to, `at` the stage or parent where it stopped as declared, `failed` the
    claims that failed.

    `latency_spread_ms` are five numbers of CPU time of one call: least, lower quartile, median, upper quartile, most.
    """

    case: str
    engine: str
    variant: str
    outcome: CellKind
    at: str = ""
    failed: Names = ()
    deviation: str = ""
    size_bytes: Count | None = None
    digest_blake2b: str = ""
    build_seconds: Number | None = None
    latency_ms: Number | None = None
    latency_ratio: Number | None = None
    latency_ratio_low: Number | None = None
    latency_ratio_high: Number | None = None
    latency_spread_ms: Annotated[tuple[Number, ...], FailFast()] = Field(default=(), max_length=5)
    profiler_ms: Number | None = None
    label: Count | None = None
    margin: Number | None = None
    sqnr_db: Number | None = None
    expected_sqnr_db: Number | None = None

    @property
    def outcome_text(self) -> str:
        """The outcome in words: `FAILED: label, size`, `failed at optimize_for_mobile`."""
        return f"FAILED: {', '.join(self.failed)}" if self.failed else f"{self.outcome} {self.at}".strip()

    @property
    def name(self) -> str:
        """The id of the cell."""
        return cell_name(self.case, self.engine, self.variant)


class PreprocessedRow(Strict):
    """One picture as the model gets it, so that two records can tell whether preprocessing has changed.

    `digest` is of its tensor [C, H, W], `file` of its file, `decoded` of the pixels that Pillow reads of that, `mean`
    their mean by colour, 0 to 255. `low`, `high`, `detail` and `projections` sum up the tensor's values, as
    `vitgate.judge.input_tensors` says; a tensor that holds NaN has none of them.
    """

    name: str
    digest: str
    shape: Annotated[tuple[Count, ...], FailFast()] = Field(min_length=3, max_length=3)
    file: str = ""
    decoded: str = ""
    mean: Annotated[tuple[Number, ...], FailFast()] = Field(default=(), max_length=3)
    low: Number | None = None
    high: Number | None = None
    detail: Number | None = None
    projections: Annotated[tuple[Number, ...], FailFast()] = ()


class InputRow(Strict):
    """Where a case's weights and pictures came from, and which folder of the user's it went through, if any.

    `preprocessed` is what became of the pictures; records of before had none.
    """

    case: str
    weights: str
    weights_note: str
    weights_digest: str
    pictures: str
    pictures_note: str
    pictures_sha256: str
    images_note: str = ""
    images_digest: str = ""
    preprocessed: Annotated[tuple[PreprocessedRow, ...], FailFast()] = ()


def cell_outcome(rows: Sequence[ClaimRow]) -> dict[str, Any]:
    """Return the fields `outcome`, `at` and `failed` of a cell, from the rows of its claims: the worst of them."""
    if not rows:
        return {"outcome": "not checked"}
    failed = sorted({row.claim for row in rows if row.status in ("failed", "environment error")})
    if failed:
        return {"outcome": "failed", "failed": tuple(failed)}
    stopped = next((row for row in rows if row.stops_pipeline), None)
    return {"outcome": stopped.outcome, "at": stopped.at} if stopped else {"outcome": "passed"}


def cell_deviation(rows: Sequence[ClaimRow]) -> str:
    """Name the deviations by which claims of one cell are declared."""
    return ", ".join(sorted({row.deviation for row in rows if row.status == "declared"}))


def rounded(value: float) -> float:
    """Return a number with the six digits that it means; whole numbers, such as sizes in bytes, are kept exactly."""
    return value if value == int(value) else float(f"{value:.{_DIGITS}g}")


def finding_row(finding: Finding) -> FindingRow:
    """Turn a finding into its row; NaN, and what is as good as infinite, have no place in JSON.

    A value that rounding would move over a bound keeps all its digits.
    """
    if not abs(finding.value) <= _MOST:
        return FindingRow(**{**vars(finding), "value": None})
    short = replace(finding, value=rounded(finding.value))
    return FindingRow(**vars(short if short.ok == finding.ok else finding))


def claim_row(
    *,
    claim: str,
    subject: str,
    test: str,
    outcome: Outcome,
    status: Status,
    deviation: str,
    message: str,
    **place: str,
) -> ClaimRow:
    """Turn an outcome and its settlement into a row.

    Args:
        claim: The claim's id.
        subject: What the test is about: the exact id of its parameters, or its name.
        test: Its node id.
        outcome: What came out.
        status: What that means once deviations are considered.
        deviation: The id of the deviation that applies; empty for none.
        message: What a reader is told.
        **place: `case`, `engine` and `variant`, empty where the claim is about none.
    """
    return ClaimRow(
        claim=claim,
        subject=subject,
        status=status,
        outcome=outcome.kind,
        at=outcome.at,
        error=outcome.error,
        deviation=deviation,
        message=message,
        findings=tuple(finding_row(finding) for finding in outcome.findings),
        test=test,
        **place,
    )
