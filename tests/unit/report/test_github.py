"""The lines by which GitHub shows what is red: exact, since a character that is not escaped ends them early."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.verdict import compare
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow
from vitgate.report import github

CLAIMS = """\
[[sentence]]
id = "build"

[[claim]]
says = "id = 'size'"
id = "build"  # the stages

[[claim]]
id = "size"
"""
DEVIATIONS = """\
[[deviation]]
id = "gone"
number = { statistic = "x" }
"""


@pytest.fixture
def fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of data files within the workspace."""
    folder = tmp_path / "data, of: mine"
    folder.mkdir()
    (folder / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    (folder / "deviations.toml").write_text(DEVIATIONS, encoding="utf-8")
    monkeypatch.setenv("VITGATE_FIXTURES", str(folder))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    return folder


def red(claim_row: Callable[..., ClaimRow], claim: str = "size", **fields: Any) -> ClaimRow:
    return claim_row(claim, **{"status": "failed", "outcome": "failed", **fields})


def test_failed_claim_is_annotated_at_its_line(
    fixtures: Path, record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (red(claim_row, "build", message="100% wrong: a, b\nand c"), claim_row("size"))

    assert github.of_record(record(claims=rows)) == [
        "::error file=data%2C of%3A mine/claims.toml,line=6,title=vitgate%3A build[digits-qnnpack-lite]"
        "::100%25 wrong: a, b and c"
    ]


def test_failed_deviation_is_annotated_at_its_line(
    fixtures: Path, record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (red(claim_row, deviation="gone", message="it is stale"),)

    assert github.of_record(record(claims=rows)) == [
        "::error file=data%2C of%3A mine/deviations.toml,line=2,title=vitgate%3A size[digits-qnnpack-lite]::it is stale"
    ]


def test_missing_claims_give_one_annotation_each(fixtures: Path, record: Callable[..., Record]) -> None:
    names = tuple(f"size[digits-fbgemm-{number}]" for number in range(7))

    assert github.of_record(record(missing=names)) == [
        "::error file=data%2C of%3A mine/claims.toml,line=9,title=vitgate%3A size"
        f"::not checked: {', '.join(names[:5])} and 2 more"
    ]


def test_file_outside_workspace_is_omitted(
    fixtures: Path, record: Callable[..., Record], claim_row: Callable[..., ClaimRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(fixtures.parent / "elsewhere"))

    assert github.of_record(record(claims=(red(claim_row, message="x"),))) == [
        "::error title=vitgate%3A size[digits-qnnpack-lite]::x"
    ]


def test_record_text_cannot_start_workflow_command(
    fixtures: Path, record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    hostile = "a\r\n::error::b\x1b[31m %0A::warning::c"

    (line,) = github.of_record(record(claims=(red(claim_row, message=hostile, subject=hostile),)))

    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line
    assert "%0A" not in line
    assert line.count("::error ") == 1
    assert line.startswith("::error ")


def test_verdict_annotates_each_cause_and_invalid_acceptance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(fixtures_folder().parent))
    old, new = (read_record(fixtures_folder() / "records" / f"{name}.json") for name in ("2.12.1", "2.15.0"))
    accepted = Acceptances((Acceptance("profiler-use-cuda", "--accept"), Acceptance("no", "accepted.toml:7")))
    monkeypatch.chdir(fixtures_folder().parent)

    lines = github.of_verdict(compare(old, new, accepted=accepted))

    titles = [re.sub("^::error file=(.*),line=([0-9]+),title=vitgate%3A (.*?)::.*$", r"\1 \3", line) for line in lines]
    assert set(titles) == {
        *(f"fixtures/deviations.toml xnnpack-gone{end}" for end in ("", "-lite-files", "-files", "-call")),
        "accepted.toml acceptance",
    }
    assert lines[-1] == (
        "::error file=accepted.toml,line=7,title=vitgate%3A acceptance::the acceptance of no covers nothing: delete it"
    )


def test_annotations_are_written_in_workflows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert github.wanted()
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert not github.wanted()
