"""The record: what is written comes back the same, and what is not a whole record of a known schema is refused."""

import json
import math
from pathlib import Path

import pytest

from vitgate.errors import MachineError
from vitgate.judge.record import claim_row as row_of
from vitgate.judge.record import finding_row, json_schema, read_record, Record, SCHEMA
from vitgate.outcome import Finding, Outcome


@pytest.fixture
def full(record, claim_row, cell_row):
    finding = finding_row(Finding("sqnr", 23.8, "dB", lower=20.0, against="original", tolerance="floor"))
    rows = (claim_row(findings=(finding,)), claim_row(variant="optimized", status="declared", deviation="gone"))
    return record(claims=rows, cells=(cell_row("optimized"), cell_row("lite")), warnings=("soon gone",))


@pytest.fixture
def altered(full, data_file):
    """Return a helper that writes the full record with some keys changed."""

    def write(**fields):
        return data_file("record.json", json.dumps({**json.loads(full.model_dump_json()), **fields}))

    return write


def test_a_record_comes_back_the_same(full, tmp_path):
    path = tmp_path / "new" / "record.json"

    full.write(path)

    assert read_record(path) == full
    assert [child.name for child in path.parent.iterdir()] == ["record.json"]


def test_writing_fails_as_a_whole_and_leaves_the_earlier_record(full, tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    full.write(path)
    before = path.read_bytes()

    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(MachineError, match="disk full"):
        full.model_copy(update={"warnings": ()}).write(path)

    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_record_is_refused(share, full, tmp_path, refuses):
    path = tmp_path / "record.json"
    full.write(path)
    text = path.read_text()
    path.write_text(text[: int(len(text.rstrip()) * share)])

    refuses(lambda: read_record(path), path, "not a readable record")


def test_a_missing_record_is_refused(tmp_path, refuses):
    refuses(lambda: read_record(tmp_path / "no.json"), tmp_path / "no.json", "not a readable record")


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"schema_version": "1"}', '{"schema_version": null}'])
def test_what_has_no_schema_version_is_no_record(text, data_file, refuses):
    path = data_file("record.json", text)

    refuses(lambda: read_record(path), path, "schema_version")


def test_a_newer_schema_is_refused_before_its_content_is_looked_at(altered, refuses):
    path = altered(schema_version=SCHEMA + 1, something_new=1)

    refuses(lambda: read_record(path), path, f"schema {SCHEMA + 1} is newer than {SCHEMA}", "upgrade vitgate")


def test_an_unknown_key_is_refused(altered, refuses):
    path = altered(notes="x")

    refuses(lambda: read_record(path), path, "notes")


def test_a_status_that_does_not_exist_is_refused(full, altered, refuses):
    row = {**json.loads(full.claims[0].model_dump_json()), "status": "skipped"}

    path = altered(claims=[row])

    refuses(lambda: read_record(path), path, "claims.0.status")


@pytest.mark.parametrize("part", ["claims", "cells", "inputs"])
def test_two_rows_of_one_name_are_refused(part, full, altered, refuses):
    row = json.loads(full.model_dump_json())[part][0]

    path = altered(**{part: [row, row]})

    refuses(lambda: read_record(path), path, "duplicate name")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number, full, altered, refuses):
    path = altered()
    path.write_text(path.read_text().replace("23.8", number, 1))

    refuses(lambda: read_record(path), path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_finding_that_is_no_number_is_written_as_null_and_comes_back(value, record, claim_row, tmp_path):
    row = finding_row(Finding("sqnr", value, "dB", lower=20.0, tolerance="floor", note="shapes differ"))
    written = record(claims=(claim_row(status="failed", outcome="failed", findings=(row,)),))

    written.write(tmp_path / "record.json")
    found = read_record(tmp_path / "record.json").claims[0].findings[0]

    assert (found.value, found.lower, found.note) == (None, 20.0, "shapes differ")


def test_a_row_keeps_outcome_error_findings_and_place():
    finding = Finding("size_ratio", 1.96, "1", upper=1.1, tolerance="t")
    outcome = Outcome("failed at", "script", "RuntimeError", "no", (finding,))

    row = row_of(
        claim="size",
        subject="digits-x86-lite",
        test="t.py::test_size[digits-x86-lite]",
        outcome=outcome,
        status="declared",
        deviation="gone",
        message="known",
        case="digits",
        engine="x86",
        variant="lite",
    )

    assert (row.name, row.outcome, row.error) == ("size[digits-x86-lite]", "failed at script", "RuntimeError")
    assert (row.status, row.deviation, row.message) == ("declared", "gone", "known")
    assert (row.case, row.engine, row.variant) == ("digits", "x86", "lite")
    assert row.findings == (finding_row(finding),)


def test_the_json_schema_forbids_unknown_keys():
    schema = json_schema()

    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Record.model_fields)


def test_the_exported_schema_is_that_of_the_code():
    exported = Path(__file__).parents[3] / "docs" / "record.schema.json"

    assert json.loads(exported.read_text(encoding="utf-8")) == json.loads(json.dumps(json_schema()))
