"""Records of schema 1 become records of today's, with every outcome, number and row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.records.record import read_record, seal_of

FINDING = {"statistic": "size", "unit": "bytes", "lower": 1.0, "upper": None, "against": "", "tolerance": "t"}


@pytest.fixture
def old(record: Callable[..., Any], claim_row: Callable[..., Any], cell_row: Callable[..., Any]) -> dict[str, Any]:
    """Return the plain values of a record of schema 1: a variant that stopped as declared, and one that failed."""
    gone = {"status": "declared", "outcome": "failed at script", "deviation": "d", "error": "E", "message": "gone"}
    claims = (claim_row("build", "lite", **gone), claim_row("label", "scripted"))
    empty = {"size_bytes": None, "label": None, "latency_ms": 60.123456789, "latency_ratio": None, "sqnr_db": None}
    lite = cell_row("lite", case="digits", outcome="failed at script", deviation="d", **empty)
    data = json.loads(record(claims=claims, cells=(lite,)).model_dump_json())
    for row in (*data["claims"], *data["cells"]):
        row["outcome"] = f"{row['outcome']} {row.pop('at')}".strip()
    for row in data["cells"]:
        del row["failed"]
    data["claims"][1].update(findings=[{**FINDING, "value": 346_334_255.0, "judged": True, "note": "n"}])
    return {**data, "schema_version": 1}


def test_converted_record_is_readable(run: Callable[..., Any], old: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**old, "seal": seal_of(old)}), encoding="utf-8")

    assert run("convert_records", path).status == 0

    found = read_record(path)
    assert [(row.outcome, row.at) for row in found.claims] == [("failed at", "script"), ("passed", "")]
    assert found.claims[1].findings[0].value == 346_334_255.0
    assert (found.cells[0].outcome_text, found.cells[0].latency_ms) == ("failed at script", 60.1235)


@pytest.mark.parametrize(("edit", "words"), [({"vitgate": "0"}, "edited by hand"), ({"schema_version": 2}, "schema 1")])
def test_edited_record_or_other_schema_is_refused(
    refused: Callable[..., None], old: dict[str, Any], tmp_path: Path, edit: dict[str, Any], words: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**old, "seal": seal_of(old), **edit}), encoding="utf-8")

    refused("convert_records", path, words=(words, str(path)))


def test_json_that_is_no_object_is_refused(refused: Callable[..., None], data_file: Callable[[str, str], Path]) -> None:
    refused("convert_records", data_file("record.json", "[]"), words=("not a record of schema 1",))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("passed", {"outcome": "passed", "at": ""}),
        ("failed", {"outcome": "failed", "at": ""}),
        ("failed at run", {"outcome": "failed at", "at": "run"}),
        ("blocked by lite", {"outcome": "blocked by", "at": "lite"}),
        ("FAILED: label, size", {"outcome": "failed", "failed": ["label", "size"]}),
    ],
)
def test_outcome_text_is_split_into_fields(load: Callable[[str], Any], text: str, fields: dict[str, Any]) -> None:
    assert load("convert_records").outcome_of(text) == fields
