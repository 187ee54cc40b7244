"""Records as DataFrames: a row a claim, with the number that decided it."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records import to_frame
from vitgate.records.frames import benchmark_frame, table_of
from vitgate.records.record import read_record, Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow

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


@pytest.fixture
def framed(record: Callable[..., Record], tmp_path: Path) -> Callable[..., Any]:
    """Return a helper: the frame of a record of these claims."""

    def make(*claims: ClaimRow) -> Any:
        record(claims=claims).write(tmp_path / "record.json")
        return to_frame(tmp_path / "record.json")

    return make


def test_columns_are_the_documented_ones_in_their_order_even_of_no_claim(
    framed: Callable[..., Any], claim_row: Callable[..., ClaimRow]
) -> None:
    columns = re.findall(r"`(\w+)`", str(to_frame.__doc__).partition("Columns:")[2].partition("Raises:")[0])

    assert columns[:2] == ["torch", "claim"]
    for frame in (framed(claim_row()), framed()):
        assert list(frame.columns) == columns
        assert frame.index.name == "row"
        assert [str(frame[name].dtype) for name in ("value", "lower", "upper")] == ["float64"] * 3


def test_a_row_says_where_it_stopped_and_which_number_was_judged_first(
    framed: Callable[..., Any], claim_row: Callable[..., ClaimRow]
) -> None:
    findings = (
        FindingRow(statistic="cosine", value=0.5, unit="1", judged=False),
        FindingRow(statistic="sqnr", value=24.0, unit="dB", lower=20.0),
        FindingRow(statistic="margin", value=1.0, unit="1", lower=0.0),
    )

    frame = framed(
        claim_row("logits_original", findings=findings),
        claim_row("label", status="declared", outcome="failed at script", deviation="gone"),
    )

    assert frame["outcome"].tolist() == ["passed", "failed at script"]
    number = frame.loc["logits_original[digits-qnnpack-lite]", ["statistic", "value", "unit", "lower"]]
    assert number.tolist() == ["sqnr", 24.0, "dB", 20.0]
    assert frame.loc["label[digits-qnnpack-lite]", ["value", "lower", "upper"]].isna().all()
    assert math.isnan(frame["upper"].iloc[0])


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


def test_benchmark_has_sizes_in_megabytes_and_the_outcome_in_words(cell_row: Callable[..., CellRow]) -> None:
    cells = [
        cell_row("scripted", size_bytes=346_000_000),
        cell_row(size_bytes=86_500_000, outcome="FAILED: label, size"),
    ]

    row: Any = benchmark_frame(cells).loc["lite"]

    assert row.drop("expected_sqnr_db").to_dict() == {
        "size_mb": 86.5,
        "size_reduction": 0.75,
        "latency_ms": 60.0,
        "latency_ratio": 0.4,
        "label": 269.0,
        "sqnr_db": 23.8,
        "outcome": "FAILED: label, size",
    }
    assert math.isnan(row["expected_sqnr_db"])


def test_benchmark_without_scripted_file_has_no_reduction(cell_row: Callable[..., CellRow]) -> None:
    row: Any = benchmark_frame([cell_row()]).loc["lite"]

    assert row["size_mb"] == 89.2
    assert math.isnan(row["size_reduction"])


def test_table_says_other_outcomes_of_the_variants_that_have_one(cell_row: Callable[..., CellRow]) -> None:
    cells = [cell_row("lite"), cell_row("optimized", outcome="failed at optimize_for_mobile")]

    own, other = table_of(cells, {}), table_of(cells, {}, {"lite": "passed, as accepted"})

    assert [line["outcome"] for line in own.lines.values()] == ["passed", "failed at optimize_for_mobile"]
    assert [line["outcome"] for line in other.lines.values()] == [
        "passed, as accepted",
        "failed at optimize_for_mobile",
    ]
