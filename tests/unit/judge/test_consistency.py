"""A record is compared only if it agrees with itself: every kind of edit is named with its row."""

import json
from pathlib import Path

import pytest

from vitgate.data import fixtures_folder
from vitgate.judge.consistency import read_consistent

RELEASES = sorted((fixtures_folder() / "records").glob("*.json"))


@pytest.fixture
def edited(data_file):
    """Return a helper that edits a real record as JSON and writes it; `change` gets the data."""

    def write(change, release="2.15.0"):
        data = json.loads((fixtures_folder() / "records" / f"{release}.json").read_text(encoding="utf-8"))
        change(data)
        return data_file("record.json", json.dumps(data))

    return write


def _row(data, claim, subject):
    return next(row for row in data["claims"] if (row["claim"], row["subject"]) == (claim, subject))


def _cell(data, name):
    return next(row for row in data["cells"] if f"{row['case']}-{row['engine']}-{row['variant']}" == name)


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_the_records_of_releases_agree_with_themselves(path):
    assert read_consistent(path).claims


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("digits-x86-optimized", {"status": "passed"}),
        ("digits-x86-optimized", {"outcome": "passed"}),
        ("digits-x86-optimized", {"status": "passed", "outcome": "passed"}),  # its error is left
        ("digits-x86-optimized", {"outcome": "skipped"}),
        ("digits-x86-optimized", {"deviation": ""}),
        ("digits-x86-scripted", {"outcome": "failed"}),
        ("digits-x86-scripted", {"status": "failed"}),
        ("digits-x86-scripted", {"status": "declared", "deviation": "xnnpack-gone"}),
        ("digits-x86-scripted", {"status": "environment error"}),
        ("digits-x86-scripted", {"status": "unsupported"}),
        ("digits-x86-scripted", {"status": "failed", "outcome": "failed"}),  # its numbers are within their bounds
    ],
    ids=str,
)
def test_an_edited_row_is_refused(edited, refuses, subject, fields):
    path = edited(lambda data: _row(data, "label", subject).update(fields))

    refuses(lambda: read_consistent(path), path, f"label[{subject}]", "edited by hand")


@pytest.mark.parametrize("value", [0.5, None], ids=str)
def test_a_number_out_of_its_bounds_in_a_passed_row_is_refused(edited, refuses, value):
    path = edited(lambda data: _row(data, "label", "digits-x86-scripted")["findings"][0].update(value=value))

    refuses(lambda: read_consistent(path), "label[digits-x86-scripted]", "right_labels is out of its bounds")


def test_a_number_moved_into_its_bounds_in_a_declared_row_is_refused(edited, refuses):
    path = edited(lambda data: _row(data, "size", "digits-x86-lite_frozen")["findings"][0].update(value=1.0))

    refuses(lambda: read_consistent(path), "size[digits-x86-lite_frozen]", "every number is within")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("digits-x86-optimized", {"outcome": "passed"}),
        ("digits-x86-optimized", {"deviation": ""}),
        ("digits-x86-optimized", {"size_bytes": 1000}),
        ("digits-x86-scripted", {"outcome": "FAILED: label"}),
        ("digits-x86-scripted", {"size_bytes": 1000}),
        ("digits-x86-scripted", {"sqnr_db": 12.0}),
        ("digits-x86-scripted", {"latency_ratio": None}),
    ],
    ids=str,
)
def test_an_edited_line_of_the_table_is_refused(edited, refuses, name, fields):
    path = edited(lambda data: _cell(data, name).update(fields))

    refuses(lambda: read_consistent(path), path, name, "edited by hand")


def test_a_record_that_is_complete_and_misses_claims_is_refused(edited, refuses):
    refuses(lambda: read_consistent(edited(lambda data: data.update(missing=["label[x]"]))), "complete")


def test_a_row_that_is_there_and_named_as_missing_is_refused(edited, refuses):
    path = edited(lambda data: data.update(missing=["label[digits-x86-lite]"], complete=False))

    refuses(lambda: read_consistent(path), "label[digits-x86-lite]", "named as missing")


@pytest.mark.parametrize(
    "text",
    [
        '{"schema_version": 1, "schema_version": 1}',
        '{"schema_version": 1, "created": "\\ud800"}',
        '{"schema_version": 0}',
        '{"schema_version": 99}',
        '{"schema_version": 1e400}',
        "[" * 100_000,
        "\x00",
    ],
    ids=["key twice", "surrogate", "schema 0", "newer schema", "infinite", "deep", "nul"],
)
def test_what_is_no_record_is_refused_in_one_line(data_file, refuses, text):
    path = data_file("record.json", text)

    refuses(lambda: read_consistent(path), path)


def test_a_folder_is_refused(tmp_path: Path, refuses):
    refuses(lambda: read_consistent(tmp_path), tmp_path)
