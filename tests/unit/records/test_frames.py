"""Records as DataFrames: a row a claim, with the number that decided it."""

import math
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records import to_frame
from vitgate.records.record import read_record

ROOT = Path(__file__).parents[3]
RECORDS = fixtures_folder() / "records"


def test_a_record_has_a_row_for_each_claim() -> None:
    frame, record = to_frame(RECORDS / "2.15.0.json"), read_record(RECORDS / "2.15.0.json")

    assert list(frame.index) == [row.name for row in record.claims]
    assert set(frame["torch"]) == {record.environment.torch}
    assert frame.groupby("status").size().to_dict() == {"declared": 274, "passed": 482}


def test_a_row_has_the_number_that_was_judged_and_its_bounds() -> None:
    row: Any = to_frame(RECORDS / "2.12.1.json").loc["logits_original[digits-fbgemm-lite]"]

    assert (row["case"], row["engine"], row["variant"], row["outcome"]) == ("digits", "fbgemm", "lite", "passed")
    assert row["lower"] <= row["value"] <= row["upper"] or math.isnan(row["upper"])


def test_documented_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(ROOT)

    exec(compile(code, "records.md", "exec"), {})  # noqa: S102  # the page of this repository

    said = capsys.readouterr().out
    assert "build[digits-x86-optimized]" in said
    assert "failed at" in said


def test_invalid_record_gives_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}", encoding="utf-8")

    with pytest.raises(UsageError):
        to_frame(path)
