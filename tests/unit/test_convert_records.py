"""Records of schema 1 become records of today's, with every outcome, number and row."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.records.record import read_record, seal_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "convert_records.py"
FINDING = {"statistic": "size", "unit": "bytes", "lower": 1.0, "upper": None, "against": "", "tolerance": "t"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_records", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_a_record_of_schema_1_is_read_after_conversion(script: ModuleType, old: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**old, "seal": seal_of(old)}), encoding="utf-8")

    sys.argv = [str(SCRIPT), str(path)]
    script.main()

    found = read_record(path)
    assert [(row.outcome, row.at) for row in found.claims] == [("failed at", "script"), ("passed", "")]
    assert found.claims[1].findings[0].value == 346_334_255.0
    assert (found.cells[0].outcome_text, found.cells[0].latency_ms) == ("failed at script", 60.1235)


@pytest.mark.parametrize(("edit", "words"), [({"vitgate": "0"}, "edited by hand"), ({"schema_version": 2}, "schema 1")])
def test_a_record_that_was_edited_or_is_of_another_schema_is_not_converted(
    script: ModuleType, old: dict[str, Any], edit: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        script.converted({**old, "seal": seal_of(old), **edit}, Path("r.json"))


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
def test_each_outcome_of_schema_1_has_its_fields(script: ModuleType, text: str, fields: dict[str, Any]) -> None:
    assert script.outcome_of(text) == fields
