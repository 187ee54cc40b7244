"""The compatibility page where there is little to show."""

from __future__ import annotations

from collections.abc import Callable

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record, Record
from vitgate.report.compatibility import page


def test_page_of_errors_has_no_tables() -> None:
    text = page({}, maker="`vitgate sweep`", errors={"9.9.9": "no such version"})

    assert text.startswith("# What the suite says of each release\n\n## The answer\n")
    assert "9.9.9" in text
    assert "no such version" in text
    assert "## Claims" not in text
    assert "`vitgate sweep`" not in text


def test_records_without_files_cells_and_deviations_have_no_tables_of_these(record: Callable[..., Record]) -> None:
    text = page({"2.13.0": record()}, maker="a test")

    assert "## Claims" in text
    assert "| label |" in text
    assert "## Files that earlier releases made" not in text
    assert "## Declared deviations that were met\n\nNone." in text
    assert "### size, MB" not in text


def test_measured_case_has_three_tables() -> None:
    text = page({"2.15.0": read_record(fixtures_folder() / "records" / "2.15.0.json")}, maker="a test")

    for title in ("size, MB", "latency, × original", "SQNR against the original, of the expected one, dB"):
        assert text.count(f"### {title}") == 2  # the digits and the full size
