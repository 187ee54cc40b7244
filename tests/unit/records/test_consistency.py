"""A record is compared only if it agrees with itself: every kind of edit is named with its row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from record_data import folded, unfolded

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records.consistency import check_consistent, read_consistent
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.spec.outcome import NO_TOOLS

from ..conftest import Refuses

RELEASES = sorted((fixtures_folder() / "records").glob("*.json"))


@pytest.fixture
def edited(data_file: Callable[[str, str], Path]) -> Callable[..., Path]:
    """Return a helper that edits a real record as JSON and writes it; `change` gets the data."""

    def write(change: Callable[..., Any], release: str = "2.15.0") -> Path:
        data = unfolded(json.loads((fixtures_folder() / "records" / f"{release}.json").read_text(encoding="utf-8")))
        change(data)
        return data_file("record.json", json.dumps(folded(data)))

    return write


def _row(data: dict[str, Any], claim: str, subject: str) -> dict[str, Any]:
    return next(row for row in data["claims"] if (row["claim"], row["subject"]) == (claim, subject))


def _cell(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in data["cells"] if f"{row['case']}-{row['engine']}-{row['variant']}" == name)


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_the_records_of_releases_agree_with_themselves(path: Path) -> None:
    assert read_consistent(path).claims


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ("digits-x86-optimized", {"status": "passed"}),
        ("digits-x86-optimized", {"outcome": "passed"}),
        ("digits-x86-optimized", {"status": "passed", "outcome": "passed"}),  # its error is left
        ("digits-x86-optimized", {"at": ""}),
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
def test_an_edited_row_is_refused(
    edited: Callable[..., Path], refuses: Refuses, subject: str, fields: dict[str, str]
) -> None:
    path = edited(lambda data: _row(data, "label", subject).update(fields))

    refuses(lambda: read_consistent(path), path, f"label[{subject}]", "edited by hand")


@pytest.mark.parametrize("value", [0.5, None], ids=str)
def test_a_number_out_of_its_bounds_in_a_passed_row_is_refused(
    edited: Callable[..., Path], refuses: Refuses, value: float | None
) -> None:
    path = edited(lambda data: _row(data, "label", "digits-x86-scripted")["findings"][0].update(value=value))

    refuses(lambda: read_consistent(path), "label[digits-x86-scripted]", "right_labels is out of its bounds")


def test_a_number_moved_into_its_bounds_in_a_declared_row_is_refused(
    edited: Callable[..., Path], refuses: Refuses
) -> None:
    path = edited(lambda data: _row(data, "size", "digits-x86-lite_frozen")["findings"][0].update(value=1.0))

    refuses(lambda: read_consistent(path), "size[digits-x86-lite_frozen]", "every number is within")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("digits-x86-optimized", {"outcome": "passed"}),
        ("digits-x86-optimized", {"deviation": ""}),
        ("digits-x86-optimized", {"size_bytes": 1000}),
        ("digits-x86-scripted", {"outcome": "failed", "failed": ["label"]}),
        ("digits-x86-scripted", {"size_bytes": 1000}),
        ("digits-x86-scripted", {"sqnr_db": 12.0}),
        ("digits-x86-scripted", {"latency_ratio": None}),
    ],
    ids=str,
)
def test_an_edited_line_of_the_table_is_refused(
    edited: Callable[..., Path], refuses: Refuses, name: str, fields: dict[str, Any]
) -> None:
    path = edited(lambda data: _cell(data, name).update(fields))

    refuses(lambda: read_consistent(path), path, name, "edited by hand")


def test_a_record_that_is_complete_and_misses_claims_is_refused(edited: Callable[..., Path], refuses: Refuses) -> None:
    refuses(lambda: read_consistent(edited(lambda data: data.update(missing=["label[x]"]))), "complete")


def test_a_row_that_is_there_and_named_as_missing_is_refused(edited: Callable[..., Path], refuses: Refuses) -> None:
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
def test_what_is_no_record_is_refused_in_one_line(
    data_file: Callable[[str, str], Path], refuses: Refuses, text: str
) -> None:
    path = data_file("record.json", text)

    refuses(lambda: read_consistent(path), path)


def test_a_folder_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_consistent(tmp_path), tmp_path)


# Made-up records of one row, and what exactly is said of each contradiction.

FAILED = {"status": "failed", "outcome": "failed"}
GONE = {"status": "declared", "outcome": "failed at", "at": "run", "deviation": "d", "error": "RuntimeError"}


def number(value: Any = 1.0, **fields: Any) -> FindingRow:
    return FindingRow(**{"statistic": "size", "value": value, "unit": "1", "upper": 2.0, "tolerance": "t", **fields})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"at": "twice"}, "an outcome 'passed twice' that does not exist"),
        ({**GONE, "at": "", "outcome": "failed at"}, "an outcome 'failed at' that does not exist"),
        ({"outcome": "failed"}, "status 'passed' and outcome 'failed', which do not go together"),
        ({"status": "failed"}, "status 'failed' and outcome 'passed', which do not go together"),
        ({"status": "failed", "outcome": "unsupported"}, "which do not go together"),
        ({"status": "failed", "outcome": "environment error"}, "which do not go together"),
        ({**GONE, "outcome": "passed", "at": ""}, "which do not go together"),
        ({**GONE, "outcome": "unsupported", "at": ""}, "which do not go together"),
        ({**GONE, "outcome": "environment error", "at": ""}, "which do not go together"),
        ({**GONE, "deviation": ""}, "status 'declared' and outcome 'failed at run' without a deviation"),
        ({"error": "OSError"}, "status 'passed' and outcome 'passed' with the error 'OSError'"),
        ({"error": NO_TOOLS}, "status 'passed' and outcome 'passed' with the error 'ToolsMissing'"),
        ({"status": "unsupported", "outcome": "unsupported", "error": "E"}, "with the error 'E'"),
        ({"findings": (number(judged=False),)}, "bounds for size, which is not judged"),
        ({"findings": (number(3.0),)}, "status 'passed' and outcome 'passed', but size is out of its bounds"),
        ({"findings": (number(), number(None))}, "but size is out of its bounds"),
        (
            {**FAILED, "findings": (number(),)},
            "status 'failed' and outcome 'failed', but every number is within its bounds",
        ),
        ({"subject": "digits-qnnpack-optimized"}, "the cell digits-qnnpack-lite"),
        ({"case": "deit_base"}, "the case deit_base, which the run was not about"),
        ({"engine": "x86"}, "the engine x86, which the run was not about"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], fields: dict[str, Any], problem: str
) -> None:
    row = claim_row(**fields)

    with pytest.raises(UsageError) as caught:
        check_consistent(record(claims=(row,)), where="here")

    assert str(caught.value).startswith(f"the record contradicts itself, as if edited by hand: {row.name} has ")
    assert str(caught.value).endswith(f"{problem} (here): make the record again")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        GONE,
        {**GONE, "outcome": "blocked by", "at": "lite"},
        {**GONE, "outcome": "failed", "at": ""},
        FAILED,
        {**FAILED, "error": "OSError", "findings": (number(),)},
        {**FAILED, "findings": (number(), number(3.0))},
        {**FAILED, "findings": (number(judged=False, tolerance="", upper=None),)},
        {"status": "failed", "outcome": "passed", "deviation": "d"},  # it holds where it should not
        {"status": "failed", "outcome": "failed at", "at": "run"},
        {"status": "unsupported", "outcome": "unsupported"},
        {"status": "unsupported", "outcome": "unsupported", "error": NO_TOOLS},
        {"status": "environment error", "outcome": "environment error", "error": "OSError"},
        {"findings": (number(), number(9.0, judged=False, tolerance="", upper=None))},
        {"findings": (number(2.0),)},
        {"claim": "calls", "variant": "", "engine": "", "case": "", "subject": "load"},
        {"claim": "table", "variant": "", "subject": "any"},
    ],
    ids=str,
)
def test_a_row_that_a_run_writes_is_consistent(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], fields: dict[str, Any]
) -> None:
    check_consistent(record(claims=(claim_row(**fields),)), where="here")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"missing": ("size[b]",)}, "the record has it is complete, and claims are missing"),
        (
            {"missing": ("size[a]", "label[digits-qnnpack-lite]"), "complete": False},
            "label[digits-qnnpack-lite] has a row, and is named as missing",
        ),
    ],
)
def test_what_is_missing_is_neither_there_nor_in_a_complete_record(
    record: Callable[..., Record], fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_consistent(record(**fields), where="here")

    assert str(caught.value) == (
        f"the record contradicts itself, as if edited by hand: {problem} (here): make the record again"
    )
    check_consistent(record(missing=("size[b]",), complete=False), where="here")


def test_an_edit_that_contradicts_nothing_breaks_the_seal(record: Callable[..., Record], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record().write(path)
    assert read_consistent(path) == record()
    path.write_text(path.read_text(encoding="utf-8").replace("Some Xeon", "Another"), encoding="utf-8")

    with pytest.raises(UsageError) as caught:
        read_consistent(path)

    what = "the record was edited by hand: its seal is not of what it holds"
    assert str(caught.value) == f"{what} ({path}): make the record again"
