"""The page of pairs of releases: one line a verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.compare.verdict import compare
from vitgate.records.record import Record

PAGE = Path(__file__).parents[3] / "docs" / "pairs.md"
FAILED = {"status": "failed", "outcome": "failed", "message": "2 of 4 labels | wrong"}


@pytest.fixture
def verdict(record: Callable[..., Record], claim_row: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Return a factory of files of verdicts, from torch 2.13.0 to 2.14.0: one claim, to which this happens in NEW."""

    def make(**fields: Any) -> Path:
        old, new = record(), record(claims=(claim_row(**fields),))
        new = new.model_copy(update={"environment": new.environment.model_copy(update={"torch": "2.14.0"})})
        path = tmp_path / "verdict.json"
        path.write_text(compare(old, new).model_dump_json(), encoding="utf-8")
        return path

    return make


def rows_of(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("|")]


def test_unchanged_verdict_is_one_table_row(run: Callable[..., Any], verdict: Callable[..., Path]) -> None:
    ended = run("pairs_table", verdict())

    assert ended.status == 0
    assert "on Some Xeon." in ended.out
    expected = "| PyTorch 2.13.0 → 2.14.0 | May upgrade | 1 | 0 | 0 | 0 | 0 of 0 as before | nothing |"
    assert rows_of(ended.out)[-1] == expected


def test_regression_is_counted_with_its_escaped_cause(run: Callable[..., Any], verdict: Callable[..., Path]) -> None:
    last = rows_of(run("pairs_table", verdict(**FAILED)).out)[-1]

    assert "| Do not upgrade | 0 | 1 | 0 | 0 |" in last
    assert r"labels \| wrong" in last


def test_committed_page_has_the_scripts_heading(load: Callable[[str], Any]) -> None:
    before, after = load("pairs_table")._HEAD.split("{cpu}")
    text = PAGE.read_text(encoding="utf-8")

    assert text.startswith(before)
    assert after in text


@pytest.mark.parametrize(
    ("text", "words"), [("{", "not a readable verdict"), ('{"old": 1}', "old"), ("[]", "valid dictionary")]
)
def test_file_that_is_no_verdict_gives_one_line_error(
    refused: Callable[..., None], data_file: Callable[[str, str], Path], text: str, words: str
) -> None:
    refused("pairs_table", data_file("verdict.json", text), words=(words, "verdict.json"))
