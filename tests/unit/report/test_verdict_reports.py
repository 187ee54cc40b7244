"""The reports of a verdict: they say the same, end with the answer, and whatever a record says stays text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from vitgate.compare.verdict import compare, Verdict
from vitgate.files.errors import MachineError
from vitgate.files.text import markdown as escaped
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.report.verdict import junit, markdown, terminal
from vitgate.report.verdict.emit import emit, ReportOptions

from .hostile_text import CONTROL


def parsed(text: str) -> Any:
    return ElementTree.fromstring(text)  # noqa: S314  # of our own writing


def on_terminal(verdict: Any, color: Any = "auto") -> Any:
    file = io.StringIO()
    terminal.write(verdict, file, color)
    return file.getvalue()


def test_terminal_output_ends_with_one_line_answer(real: Verdict) -> None:
    lines = on_terminal(real).splitlines()

    assert lines[-1] == real.answer
    for cause in real.causes:
        assert any(line.startswith(f"{cause.id}: ") for line in lines), cause.id
        assert any(cause.advice in line for line in lines)
    assert any("accepted.toml:7" in line for line in lines)
    assert any("1.250" in line for line in lines)
    assert any("failed at load" in line for line in lines)


def test_terminal_output_is_plain_by_default(real: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in on_terminal(real) + on_terminal(real, "never")
    assert "\x1b[" in on_terminal(real, "always")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_no_color_is_set(
    real: Verdict, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    file: Any = io.StringIO()
    file.isatty = lambda: True

    terminal.write(real, file, "auto")

    assert ("\x1b[" in file.getvalue()) is coloured


def test_hostile_text_reaches_the_terminal_without_control_characters(hostile: Verdict) -> None:
    text = on_terminal(hostile)

    assert "alert(1)" in text
    assert not CONTROL.search(text.replace("\n", ""))


def test_junit_has_testcase_per_row_and_failure_per_red_row(real: Verdict) -> None:
    root = parsed(junit.render(real))

    suite = root.find("testsuite")
    cases = suite.findall("testcase")
    items = [*real.rows, *real.matrix, *real.latency]
    red = {item.name for item in items if item.red}
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert root.tag == "testsuites"
    assert len(cases) == len(items) + len(real.problems) == int(suite.get("tests"))
    assert failed == red | set(real.problems)
    assert int(suite.get("failures")) == len(failed)
    assert int(suite.get("errors")) == 0
    profile = next(case for case in cases if case.get("name") == "calls[profile]")
    properties = {each.get("name"): each.get("value") for each in profile.find("properties")}
    assert properties["verdict"] == "regressed"
    assert properties["accepted"] == "profiler-use-cuda"
    assert profile.find("skipped") is not None


def test_junit_counts_an_environment_error_as_an_error(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    offline = record(claims=(claim_row(status="environment error", outcome="environment error"),))

    suite = parsed(junit.render(compare(record(), offline))).find("testsuite")

    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")


def test_junit_of_hostile_text_is_well_formed(hostile: Verdict) -> None:
    text = junit.render(hostile)

    root = parsed(text)
    assert not CONTROL.search(text.replace("\n", ""))
    assert {each.tag for each in root.iter()} == {
        *("testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped")
    }


def test_markdown_begins_with_the_verdict_and_ends_with_the_answer(real: Verdict) -> None:
    text = markdown.render(real)

    lines = text.splitlines()
    assert lines[0] == "## ❌ Do not upgrade: PyTorch 2.12.1 → 2.15.0"
    assert lines[-1] == escaped(real.answer)
    for cause in real.causes:
        assert f"**{escaped(cause.id)}**" in text
        assert not cause.link or f"](<{cause.link}>)" in text
    assert "made by 2.12.1, run by 2.15.0" in text
    assert "1.200 to 1.300" in text
    assert text.count("<details>") == text.count("</details>") > 0
    assert len(text) < 65_536


def test_markdown_tables_have_as_many_cells_as_headings(real: Verdict, hostile: Verdict) -> None:
    for text in (markdown.render(real), markdown.render(hostile)):
        tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
        assert tables
        for table in tables:
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_hostile_text_is_escaped_in_markdown(hostile: Verdict) -> None:
    text = markdown.render(hostile)

    assert set(re.findall(r"</?(\w+)", text)) == {"details", "summary", "code", "br"}
    assert text.count("<details>") == text.count("</details>")
    assert not re.search(r"@\w", text)
    assert not re.search(r"(?<!&)#\d", text)
    assert not re.search(r"(?<!\\)[`*_](?=[bc])", text.replace("**", ""))
    assert "](javascript" not in text
    assert "](http" not in text
    assert [line for line in text.splitlines() if line.startswith("#")] == text.splitlines()[:1]
    assert not CONTROL.search(text.replace("\n", ""))


def test_markdown_of_any_record_fits_a_comment(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    names = [f"{number}{'@<#|' * 500}" for number in range(300)]
    good = [claim_row(name, "", subject=name) for name in names]
    bad = [row.model_copy(update={"status": "failed", "outcome": "failed", "message": "<@#" * 5000}) for row in good]

    text = markdown.render(compare(record(claims=tuple(good)), record(claims=tuple(bad))))

    assert len(text) < 65_536
    assert "the rest is in the other reports" in text
    assert "300 things break" in text


def test_all_files_are_written_completely(real: Verdict, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {
        name: str(tmp_path / "new" / f"verdict.{name}") for name in ("json", "junit", "markdown", "html")
    }

    emit(real, ReportOptions(**names))

    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"verdict.{name}" for name in names}
    assert Verdict.model_validate_json((tmp_path / "new" / "verdict.json").read_text(encoding="utf-8")) == real
    assert capsys.readouterr().out.splitlines()[-1] == real.answer


def test_json_is_alone_on_standard_output(real: Verdict, capsys: pytest.CaptureFixture[str]) -> None:
    emit(real, ReportOptions(json="-"))

    out, err = capsys.readouterr()
    assert json.loads(out)["exit_status"] == real.exit_status
    assert err.splitlines()[-1] == real.answer


@pytest.mark.parametrize("name", ["json", "junit", "markdown", "html"])
def test_unwritable_report_gives_one_line_error(real: Verdict, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")

    place: dict[str, Any] = {name: str(tmp_path / "file" / "report")}
    with pytest.raises(MachineError, match=f"cannot write the report.*--{name}"):
        emit(real, ReportOptions(**place))


def _looked_at(verdict: Any, monkeypatch: pytest.MonkeyPatch, columns: Any) -> Any:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    file: Any = io.StringIO()
    file.isatty = lambda: True
    terminal.write(verdict, file, "auto")
    return file.getvalue()


@pytest.mark.parametrize("columns", [80, 60, 160])
def test_lines_fit_terminal_width_except_links_and_answer(
    real: Verdict, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    *lines, answer = _looked_at(real, monkeypatch, columns).splitlines()

    assert answer == real.answer
    whole = {f"  {cause.link}" for cause in real.causes} | {line for line in lines if line.startswith("acceptance: ")}
    assert [line for line in lines if len(line) > columns and line not in whole] == []
    shown = "".join("".join(line.split()) for line in lines)
    assert all("".join(cause.advice.split()) in shown for cause in real.causes)


def test_matrix_keeps_all_columns_at_80_characters(real: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _looked_at(real, monkeypatch, 80)

    assert len(real.matrix) == 3  # two diagonals and a crossing
    heading = next(line for line in text.splitlines() if line.count(" on") == 4)
    assert [heading.split().count(version) for version in ("2.12.1", "2.15.0")] == [2, 2]


def test_log_gets_ascii_tables_of_limited_width(real: Verdict) -> None:
    lines = on_terminal(real).splitlines()

    start = next(number for number, line in enumerate(lines) if line.startswith("Files, made by"))
    tables = [line for line in lines[start:-1] if not line.startswith("acceptance: ")]
    assert max(map(len, tables)) <= 100
    assert all(line.replace("…", "").isascii() for line in tables)
    assert any(set(line) == {"-"} for line in tables)


def test_rows_of_one_record_are_marked(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    both, one = record(claims=(claim_row(), claim_row("size"))), record()

    come, gone = compare(one, both), compare(both, one)

    assert "only in the new record: size[digits-qnnpack-lite]" in on_terminal(come)
    assert "no row" in markdown.render(gone)
