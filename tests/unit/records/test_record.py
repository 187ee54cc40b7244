"""The record: what is written comes back the same, and what is not a whole record of a known schema is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from record_data import folded, unfolded

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.outputs import check_target
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import (
    json_schema,
    parse_record,
    read_record,
    read_with_seal,
    Record,
    RecordFile,
    SCHEMA,
    seal_of,
)
from vitgate.records.rows import CellRow, ClaimRow, finding_row
from vitgate.spec.outcome import Finding

from ..conftest import Refuses


@pytest.fixture
def full(record: Callable[..., Record], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]) -> Record:
    finding = finding_row(Finding("sqnr", 23.8, "dB", lower=20.0, against="original", tolerance="floor"))
    rows = (claim_row(findings=(finding,)), claim_row(variant="optimized", status="declared", deviation="gone"))
    return record(claims=rows, cells=(cell_row("optimized"), cell_row("lite")), warnings=("soon gone",))


@pytest.fixture
def altered(full: Record, data_file: Callable[[str, str], Path]) -> Callable[..., Path]:
    """Return a helper that writes the full record with some keys changed."""

    def write(**fields: Any) -> Path:
        return data_file("record.json", json.dumps(folded({**unfolded(json.loads(full.text())), **fields})))

    return write


def test_record_round_trips_through_its_file(full: Record, tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"

    full.write(path)

    assert read_record(path) == full
    assert [child.name for child in path.parent.iterdir()] == ["record.json"]


def test_failed_write_keeps_previous_record(full: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    full.write(path)
    before = path.read_bytes()

    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(MachineError, match="disk full"):
        full.model_copy(update={"warnings": ()}).write(path)

    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_record_is_refused(share: float, full: Record, tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "record.json"
    full.write(path)
    text = path.read_text()
    path.write_text(text[: int(len(text.rstrip()) * share)])

    refuses(lambda: read_record(path), path, "not a readable record")


def test_a_missing_record_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_record(tmp_path / "no.json"), tmp_path / "no.json", "not a readable record")


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"schema_version": "1"}', '{"schema_version": null}'])
def test_file_without_schema_version_is_refused(
    text: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("record.json", text)

    refuses(lambda: read_record(path), path, "schema_version")


def test_newer_schema_is_refused_before_validation(altered: Callable[..., Path], refuses: Refuses) -> None:
    path = altered(schema_version=SCHEMA + 1, something_new=1)

    refuses(lambda: read_record(path), path, f"schema {SCHEMA + 1} is newer than {SCHEMA}", "upgrade vitgate")


@pytest.mark.parametrize("findings", [[[0, 1.0]], [["size", 1.0]]], ids=["no-such-statistic", "no-place"])
def test_text_that_is_no_record_is_refused_by_its_name(findings: list[Any], full: Record, refuses: Refuses) -> None:
    row = {"claim": "label", "subject": "x", "status": "passed", "outcome": "passed", "test": "t", "findings": findings}
    data = {**json.loads(full.text()), "statistics": [], "claims": [row]}

    refuses(lambda: parse_record(json.dumps(data), where="a worker's record"), "a worker's record")


def test_an_unknown_key_is_refused(altered: Callable[..., Path], refuses: Refuses) -> None:
    path = altered(notes="x")

    refuses(lambda: read_record(path), path, "notes")


def test_unknown_status_is_refused(full: Record, altered: Callable[..., Path], refuses: Refuses) -> None:
    row = {**unfolded(json.loads(full.text()))["claims"][0], "status": "skipped"}

    path = altered(claims=[row])

    refuses(lambda: read_record(path), path, "claims.0.status")


@pytest.mark.parametrize("part", ["claims", "cells", "inputs"])
def test_duplicate_rows_are_refused(part: str, full: Record, altered: Callable[..., Path], refuses: Refuses) -> None:
    row = unfolded(json.loads(full.text()))[part][0]

    path = altered(**{part: [row, row]})

    refuses(lambda: read_record(path), path, "duplicate name")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_non_finite_numbers_are_refused(
    number: str, full: Record, altered: Callable[..., Path], refuses: Refuses
) -> None:
    path = altered()
    path.write_text(path.read_text().replace("23.8", number, 1))

    refuses(lambda: read_record(path), path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_finding_round_trips_as_null(
    value: float, record: Callable[..., Record], claim_row: Callable[..., ClaimRow], tmp_path: Path
) -> None:
    row = finding_row(Finding("sqnr", value, "dB", lower=20.0, tolerance="floor", note="shapes differ"))
    written = record(claims=(claim_row(status="failed", outcome="failed", findings=(row,)),))

    written.write(tmp_path / "record.json")
    found = read_record(tmp_path / "record.json").claims[0].findings[0]

    assert (found.value, found.lower, found.note) == (None, 20.0, "shapes differ")


def test_the_json_schema_forbids_unknown_keys() -> None:
    schema = json_schema()

    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(RecordFile.model_fields)


def test_exported_schema_is_current() -> None:
    exported = Path(__file__).parents[3] / "docs" / "record.schema.json"

    assert json.loads(exported.read_text(encoding="utf-8")) == json.loads(json.dumps(json_schema()))


@pytest.mark.parametrize("name", sorted(RecordFile.model_fields.keys() - {"seal", "schema_version"}))
def test_the_seal_is_over_every_field(full: Record, name: str) -> None:
    data = {**RecordFile.model_fields, **json.loads(full.text())}
    data = {each: str(value) for each, value in data.items()}

    seal = seal_of(data)

    assert len(seal) == 32
    assert seal_of({**data, name: "edited"}) != seal
    assert seal_of({each: value for each, value in data.items() if each != name}) != seal
    assert seal_of({**data, "seal": "any"}) == seal_of(dict(reversed(data.items()))) == seal


def test_edited_file_breaks_seal(full: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    full.write(path)
    written = path.read_text(encoding="utf-8")

    assert read_with_seal(path) == (full, True)
    assert written.startswith('{\n"schema_version": 2,\n')
    assert written.endswith("\n}\n")
    path.write_text(json.dumps(json.loads(written)), encoding="utf-8")  # spaced otherwise
    assert read_with_seal(path) == (full, True)
    path.write_text(written.replace("23.8", "23.9", 1), encoding="utf-8")
    assert read_with_seal(path)[1] is False
    path.write_text(re.sub(r',\n"seal": "\w+"', "", written), encoding="utf-8")
    assert read_with_seal(path) == (full, False)


def test_refusals_name_what_where_and_remedy(
    altered: Callable[..., Path], data_file: Callable[[str, str], Path], tmp_path: Path, full: Record
) -> None:
    def said(call: Any) -> str:
        with pytest.raises((UsageError, MachineError)) as caught:
            call()
        return str(caught.value)

    path = data_file("none.json", "{}")
    assert said(lambda: read_record(path)) == (
        f"not a record: it has no schema_version ({path}): name a record of vitgate"
    )
    newer = altered(schema_version=SCHEMA + 1)
    assert said(lambda: read_record(newer)) == (
        f"schema {SCHEMA + 1} is newer than {SCHEMA}, the only one known ({newer}): upgrade vitgate"
    )
    assert said(lambda: read_record(data_file("t.json", '{"a": 1, "a": 2}'))).endswith(
        "not a readable record: a key stands twice in one object (" + str(tmp_path / "t.json") + "): make it again"
    )
    (tmp_path / "file").touch()
    assert said(lambda: full.write(tmp_path / "file" / "r.json")).startswith("cannot write the record: ")
    assert said(lambda: full.write(tmp_path / "file" / "r.json")).endswith("name another file with --record")
    assert said(lambda: full.write(tmp_path / "file" / "r.json", option="-o")).endswith("name another file with -o")
    assert str(tmp_path / "file" / "r.json") in said(lambda: full.write(tmp_path / "file" / "r.json"))


@pytest.mark.parametrize("part", ["claims", "cells", "inputs"])
def test_duplicate_row_is_named_with_file(
    part: str, full: Record, altered: Callable[..., Path], refuses: Refuses
) -> None:
    row = unfolded(json.loads(full.text()))[part][0]
    name = {"claims": "label[digits-qnnpack-lite]", "cells": "deit_base-qnnpack-optimized", "inputs": "digits"}[part]
    path = altered(**{part: [row, row]})

    refuses(lambda: read_record(path), f"duplicate name '{name}' ({path})")


def test_parent_folders_are_created_and_names_kept_in_utf_8(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], tmp_path: Path
) -> None:
    path = tmp_path / "a" / "b" / "record.json"

    row = claim_row(status="declared", outcome="failed", deviation="naïve")
    record(warnings=("é → ✓",), claims=(row,)).write(path)

    assert all(text.encode() in path.read_bytes() for text in ("é → ✓", "naïve"))
    assert (read_record(path).warnings, read_record(path).claims) == (("é → ✓",), (row,))


@pytest.mark.parametrize("option", ["--record", "--old-record"])
def test_unwritable_record_path_names_its_option(option: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        check_target(str(tmp_path), option, what="record")

    line = f"cannot write the record: Is a directory ({tmp_path}): name another file with {option}"
    assert str(caught.value) == line
    check_target(str(tmp_path / "record.json"), option, what="record")


@pytest.mark.parametrize("version", [0, 1])
def test_a_record_of_an_older_schema_is_refused_in_one_line(
    version: int, altered: Callable[..., Path], refuses: Refuses
) -> None:
    path = altered(schema_version=version)

    do = "make the record again, or convert it with scripts/convert_records.py of the repository"
    refuses(lambda: read_record(path), f"schema {version} is older than 2, the only one known ({path}): {do}")


@pytest.mark.parametrize("edit", [{"findings": [[99, 1.0]]}, {"message": 0}, {"message": 99}], ids=str)
def test_row_with_dangling_reference_is_refused(
    edit: dict[str, Any], full: Record, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    data = json.loads(full.text())
    data["claims"][0].update(edit)
    path = data_file("record.json", json.dumps(data))

    refuses(lambda: read_record(path), f"label: no such statistic or message ({path}): make the record again")


def test_file_has_one_line_per_row_and_no_repetition(full: Record) -> None:
    lines = full.text().splitlines()

    rows = [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"claim":')]
    assert [row["claim"] for row in rows] == [row.claim for row in full.claims]
    assert all("deviation" not in row for row, claim in zip(rows, full.claims, strict=True) if not claim.deviation)


@pytest.mark.parametrize("path", sorted((fixtures_folder() / "records").glob("*.json")), ids=lambda path: path.stem)
def test_committed_records_stay_small(path: Path) -> None:
    assert path.stat().st_size < 300_000
    assert read_record(path).text() == path.read_text(encoding="utf-8")
