"""The versioned record of one run: environment, inputs, measurements, outcomes. Reading one executes nothing.

Every number carries its unit: findings in their `unit` field, the other fields in their names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field

from vitgate.files.atomic import check_place, replacing
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.schemas import read_json, Strict, unique, validate
from vitgate.spec.cells import cell_name
from vitgate.spec.outcome import Finding, Outcome
from vitgate.spec.rows import RowName

SCHEMA = 1

FAILED = "FAILED"
"""How the outcome of a cell begins of which a claim failed."""

Status = Literal["passed", "declared", "failed", "unsupported", "environment error"]


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


class ClaimRow(Strict):
    """What became of one claim about one subject (a cell's id, a case and engine, one of the tutorial's calls)."""

    claim: str
    subject: str
    case: str = ""
    engine: str = ""
    variant: str = ""
    status: Status
    outcome: str
    error: str = ""
    deviation: str = ""
    message: str = ""
    findings: Annotated[tuple[FindingRow, ...], FailFast()] = ()
    test: str

    @property
    def name(self) -> str:
        """The row's identity within its record."""
        return str(RowName(self.claim, self.subject))


class CellRow(Strict):
    """One line of the table: what one variant of one case measures under one engine.

    `latency_spread_ms` are five numbers of CPU time of one call: least, lower quartile, median, upper quartile, most.
    """

    case: str
    engine: str
    variant: str
    outcome: str
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

    @property
    def name(self) -> str:
        """The id of the cell."""
        return cell_name(self.case, self.engine, self.variant)


class InputRow(Strict):
    """Where a case's weights and pictures came from, and which folder of the user's it went through, if any."""

    case: str
    weights: str
    weights_note: str
    weights_digest: str
    pictures: str
    pictures_note: str
    pictures_sha256: str
    images_note: str = ""
    images_digest: str = ""


class Environment(Strict):
    """Which PyTorch this was, on which machine."""

    torch: str
    commit: str | None
    configuration: str
    configuration_digest: str
    cpu_capability: str
    engines: Names
    xnnpack: bool
    packages: dict[str, str]
    python: str
    platform: str
    machine: str
    cpu: str
    cores: Count


class Record(Strict):
    """One run. `complete` is false where the user narrowed it by path, -k or -m, or where claims went missing.

    `shard` says which parts of a run that was split up are in it: `2/5`, after merging `2+3/5`; a whole run has none.
    `seal` stands in files alone: it is over all else, so that an edit of any number shows (see `seal_of`).
    """

    schema_version: int = Field(default=SCHEMA, ge=1)
    created: str
    vitgate: str
    cases: Names
    engines: Names
    complete: bool
    missing: Names
    environment: Environment
    inputs: Annotated[tuple[InputRow, ...], FailFast()]
    cells: Annotated[tuple[CellRow, ...], FailFast()]
    claims: Annotated[tuple[ClaimRow, ...], FailFast()]
    warnings: Names = ()
    new_operators: Names = ()
    shard: str = Field(default="", pattern=r"^([1-9][0-9]*(\+[1-9][0-9]*)*/[1-9][0-9]*)?$")
    seal: str = ""

    def write(self, path: Path, *, option: str = "--record") -> None:
        """Write it as JSON, whole or not at all; MachineError, naming the option, where that is not possible."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_text(self.text(), encoding="utf-8")
        except OSError as error:
            raise _unwritable(path, error, option) from None

    def text(self) -> str:
        """Return what its file holds: JSON, sealed."""
        sealed = self.model_copy(update={"seal": seal_of(json.loads(self.model_dump_json()))})
        return sealed.model_dump_json(indent=1) + "\n"


def check_target(path: Path, *, option: str = "--record") -> None:
    """MachineError for a place that takes no record: better known before the run than after it."""
    try:
        check_place(path)
    except OSError as error:
        raise _unwritable(path, error, option) from None


def _unwritable(path: Path, error: OSError, option: str) -> MachineError:
    what = f"cannot write the record: {error.strerror}"
    return MachineError(what, where=path, do=f"name another file with {option}")


def seal_of(data: Mapping[str, Any]) -> str:
    """Return the blake2b digest of a record's plain values, however they are spaced; it shows edits, not forgers."""
    rest = {name: value for name, value in data.items() if name != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_record(path: Path) -> Record:
    """Read a record; UsageError for one that is truncated, of no known schema, or with rows of the same name."""
    return read_with_seal(path)[0]


def read_with_seal(path: Path) -> tuple[Record, bool]:
    """Read a record as `read_record`, and say whether the file is sealed as it stands."""
    data = read_json(path, "record", "make it again")
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise UsageError("not a record: it has no schema_version", where=path, do="name a record of vitgate")
    if version > SCHEMA:
        raise UsageError(f"schema {version} is newer than {SCHEMA}, the newest known", where=path, do="upgrade vitgate")
    seal, record = data.pop("seal", ""), validate(Record, data, where=path)
    unique([row.name for row in record.claims], where=path)
    unique([row.name for row in record.cells], where=path)
    unique([row.case for row in record.inputs], where=path)
    return record, seal == seal_of(data)


def cell_outcome(rows: Sequence[ClaimRow]) -> str:
    """Say in a few words what the claims of one cell came to: the worst of them."""
    if not rows:
        return "not checked"
    failed = sorted({row.claim for row in rows if row.status in ("failed", "environment error")})
    if failed:
        return f"{FAILED}: {', '.join(failed)}"
    stopped = [row.outcome for row in rows if row.status == "declared" and row.outcome != "failed"]
    return stopped[0] if stopped else "passed"


def cell_deviation(rows: Sequence[ClaimRow]) -> str:
    """Name the deviations by which claims of one cell are declared."""
    return ", ".join(sorted({row.deviation for row in rows if row.status == "declared"}))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a record."""
    return Record.model_json_schema()


def finding_row(finding: Finding) -> FindingRow:
    """Turn a finding into its row; NaN, and what is as good as infinite, have no place in JSON."""
    fields = {**vars(finding)}
    if not abs(finding.value) <= _MOST:
        fields["value"] = None
    return FindingRow(**fields)


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
    """Turn an outcome and its settlement into a row; `place` holds case, engine and variant."""
    return ClaimRow(
        claim=claim,
        subject=subject,
        status=status,
        outcome=str(outcome),
        error=outcome.error,
        deviation=deviation,
        message=message,
        findings=tuple(finding_row(finding) for finding in outcome.findings),
        test=test,
        **place,
    )
