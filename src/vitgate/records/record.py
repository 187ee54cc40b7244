"""The versioned record of one run: environment, inputs, measurements, outcomes. Reading one executes nothing.

Every number carries its unit: findings in their `unit` field, the other fields in their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import FailFast, Field

from vitgate.files.errors import UsageError
from vitgate.files.hashing import digest
from vitgate.files.outputs import write_file
from vitgate.files.schemas import read_json, Strict, unique, validate
from vitgate.records.rows import CellRow, ClaimFields, ClaimRow, Count, FindingRow, InputRow, Names, Number
from vitgate.spec.processors import HOST, LOWEST, Processor

SCHEMA = 2


class Environment(Strict):
    """Which PyTorch this was, on which machine.

    `processor` is what its kernels were held to, `kernels` which instructions each library said that it takes.
    """

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
    processor: Processor = HOST
    kernels: dict[str, str] = {}


class RunFields(Strict):
    """One run. `complete` is false where the user narrowed it by path, -k or -m, or where claims went missing.

    `left_out` are the claims and variants that the run's options leave out. `ships_to` is the least processor that the
    files will run on. `shard` says which parts of a run that was split up are in it: `2/5`, after merging `2+3/5`; a
    whole run has none.
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
    warnings: Names = ()
    new_operators: Names = ()
    left_out: Names = ()
    ships_to: Processor = LOWEST
    shard: str = Field(default="", pattern=r"^([1-9][0-9]*(\+[1-9][0-9]*)*/[1-9][0-9]*)?$")


class Record(RunFields):
    """One run, with a row for each claim."""

    claims: Annotated[tuple[ClaimRow, ...], FailFast()]

    def write(self, path: Path, *, option: str = "--record") -> None:
        """Write it as JSON, whole or not at all; MachineError, naming the option, where that is not possible."""
        write_file(path, self.text, option, what="record")

    def text(self) -> str:
        """Return what its file holds: JSON, sealed, a line for each row."""
        data = json.loads(_to_file(self).model_dump_json(exclude_defaults=True))
        claims = [{"claim": row["claim"], "subject": row["subject"], **row} for row in data["claims"]]
        data = {"schema_version": SCHEMA, **data, "claims": claims}
        return _lines({**data, "seal": seal_of(data)})


class StatisticRow(Strict):
    """What findings of a record's file have in common, so that each file says it once."""

    statistic: str
    unit: str
    lower: Number | None = None
    upper: Number | None = None
    against: str = ""
    tolerance: str = ""
    judged: bool = True


FindingLine = tuple[Count, Number | None] | tuple[Count, Number | None, str]
"""A finding in a file: the place of its statistic in `statistics`, from 0; its value; its note, if it has one."""


class ClaimLine(ClaimFields):
    """A claim's row in a file. `message` is a place in `messages`, from 0; `*` in `test` stands for the subject."""

    message: Count | None = None
    findings: Annotated[tuple[FindingLine, ...], FailFast()] = ()


class RecordFile(RunFields):
    """A record as its file holds it. `seal` is over all else, so that an edit of any number shows (see `seal_of`)."""

    statistics: Annotated[tuple[StatisticRow, ...], FailFast()]
    messages: Names = ()
    claims: Annotated[tuple[ClaimLine, ...], FailFast()]
    seal: str = ""


_SHARED = tuple(StatisticRow.model_fields)


def _to_file(record: Record) -> RecordFile:
    places: dict[StatisticRow, int] = {}
    messages: dict[str, int] = {}

    def line(row: ClaimRow) -> ClaimLine:
        findings: list[FindingLine] = []
        for each in row.findings:
            shared = StatisticRow(**{name: getattr(each, name) for name in _SHARED})
            place = places.setdefault(shared, len(places))
            findings.append((place, each.value, each.note) if each.note else (place, each.value))
        test = row.test.replace(f"[{row.subject}]", "[*]")
        message = messages.setdefault(row.message, len(messages)) if row.message else None
        return ClaimLine(**{**dict(row), "findings": tuple(findings), "message": message, "test": test})

    claims = tuple(line(row) for row in record.claims)
    return RecordFile(**{**dict(record), "claims": claims, "statistics": tuple(places), "messages": tuple(messages)})


def parse_record(text: str, *, where: object) -> Record:
    """Return the record that this text of a file is, whatever its seal; UsageError where it is none."""
    return _from_file(validate(RecordFile, json.loads(text), where=where), where)


def _from_file(file: RecordFile, where: object) -> Record:
    def row(line: ClaimLine) -> ClaimRow:
        if any(each[0] >= len(file.statistics) for each in line.findings) or (
            line.message is not None and line.message >= len(file.messages)
        ):
            raise UsageError(f"{line.claim}: no such statistic or message", where=where, do="make the record again")
        findings = tuple(
            FindingRow(**dict(file.statistics[place]), value=value, note=note[0] if note else "")
            for place, value, *note in line.findings
        )
        test = line.test.replace("[*]", f"[{line.subject}]")
        message = "" if line.message is None else file.messages[line.message]
        return ClaimRow(**{**dict(line), "findings": findings, "message": message, "test": test})

    fields = {name: getattr(file, name) for name in RunFields.model_fields}
    return Record(**fields, claims=tuple(map(row, file.claims)))


def _lines(data: Mapping[str, Any]) -> str:
    """Return JSON with a line for each entry, and for each row of a list of rows."""
    entries = []
    for name, value in data.items():
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value)
            text = f"[\n{rows}\n]"
        entries.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def seal_of(data: Mapping[str, Any]) -> str:
    """Return the blake2b digest of a file's plain values, however they are spaced; it shows edits, not forgers."""
    rest = {name: value for name, value in data.items() if name != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return digest(text.encode())


def read_record(path: Path) -> Record:
    """Read a record; UsageError for one that is truncated, of no known schema, or with rows of the same name."""
    return read_with_seal(path)[0]


def read_with_seal(path: Path) -> tuple[Record, bool]:
    """Read a record as `read_record`, and say whether the file is sealed as it stands."""
    data = read_json(path, "record", "make it again")
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise UsageError("not a record: it has no schema_version", where=path, do="name a record of vitgate")
    if version < SCHEMA:
        do = "make the record again, or convert it with scripts/convert_records.py of the repository"
        raise UsageError(f"schema {version} is older than {SCHEMA}, the only one known", where=path, do=do)
    if version > SCHEMA:
        raise UsageError(
            f"schema {version} is newer than {SCHEMA}, the only one known", where=path, do="upgrade vitgate"
        )
    file = validate(RecordFile, data, where=path)
    record = _from_file(file, path)
    unique([row.name for row in record.claims], where=path)
    unique([row.name for row in record.cells], where=path)
    unique([row.case for row in record.inputs], where=path)
    return record, file.seal == seal_of(data)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a record's file."""
    return RecordFile.model_json_schema()
