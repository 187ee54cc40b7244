"""The reports of a verdict: they say the same, end with the answer, and whatever a record says stays text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.verdict import compare, MatrixRow, PairedLatency, Verdict
from vitgate.files.errors import MachineError
from vitgate.files.schemas import fixtures_folder
from vitgate.files.text import clean, link, markdown_link
from vitgate.files.text import markdown as escaped
from vitgate.records.record import Environment, read_record, Record
from vitgate.records.rows import CellRow, ClaimRow
from vitgate.report.verdict import html, junit, markdown, terminal, views
from vitgate.report.verdict.emit import emit, ReportOptions

HOSTILE = (
    "<script>alert(1)</script> | a `b` **c** [d](javascript:e) ![f](http://g/h.png) </details> @everyone #1 "
    "\x1b[31mred\x1b[0m \x9b2J \x00 \u202egnp\u202c ]]> -->\r\n## heading\n- item"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def release(version: str) -> Any:
    return read_record(fixtures_folder() / "records" / f"{version}.json")


@pytest.fixture(scope="module")
def real() -> Verdict:
    """Return a red verdict with a matrix, latencies and an acceptance."""
    cell = {"case": "digits", "engine": "x86", "variant": "lite_frozen"}
    crossing = MatrixRow(
        maker="2.12.1", runner="2.15.0", status="failed", outcome="failed at", at="load", sqnr_db=12.5, **cell
    )
    numbers = {"ratio": 1.25, "low": 1.2, "high": 1.3, "pairs": 30, "old_ms": 8.0, "new_ms": 10.0}
    latency = PairedLatency(**cell, **numbers, verdict="regressed")
    entries = (Acceptance("profiler-use-cuda", "--accept"), Acceptance("no-such", "accepted.toml:7"))
    old, new = release("2.12.1"), release("2.15.0")
    return compare(old, new, matrix=[crossing], latency=[latency], accepted=Acceptances(entries))


@pytest.fixture
def hostile(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    environment: Environment,
) -> Verdict:
    """Return a verdict of records in which every free text is hostile."""
    texts = {"message": HOSTILE, "error": HOSTILE}
    bad = [
        claim_row("label", status="failed", outcome="failed", **texts),
        claim_row("size", status="declared", outcome="failed", deviation=HOSTILE, **texts),
        claim_row("calls", "", subject=HOSTILE, status="failed", outcome="failed", **texts),
        claim_row(HOSTILE, "", subject=HOSTILE, status="failed", outcome="failed at", at=HOSTILE, **texts),
    ]
    good = [row.model_copy(update={"status": "passed", "outcome": "passed", "message": ""}) for row in bad]
    other = environment.model_copy(update={"cpu": HOSTILE, "packages": {HOSTILE: HOSTILE}, "torch": "2.15.0" + HOSTILE})
    inputs = (record().inputs[0].model_copy(update={"weights_note": HOSTILE}),)
    old = record(claims=tuple(good), inputs=inputs)
    new = record(claims=tuple(bad), environment=other, inputs=inputs, warnings=(HOSTILE,), new_operators=(HOSTILE,))
    crossing = MatrixRow(
        maker=environment.torch,
        runner=other.torch,
        case=HOSTILE,
        engine=HOSTILE,
        variant=HOSTILE,
        status="failed",
        outcome="failed at",
        at=HOSTILE,
        message=HOSTILE,
    )
    entries = (Acceptance(HOSTILE, HOSTILE, HOSTILE, HOSTILE), Acceptance("x" + HOSTILE, HOSTILE))
    return compare(old, new, matrix=[crossing], accepted=Acceptances(entries))


def parsed(text: str) -> Any:
    return ElementTree.fromstring(text)  # noqa: S314  # of our own writing


def on_terminal(verdict: Any, color: Any = "auto") -> Any:
    file = io.StringIO()
    terminal.write(verdict, file, color)
    return file.getvalue()


class Page(HTMLParser):
    """Collects what a page holds: tags in order, attributes, texts by tag."""

    VOID = ("meta", "br", "link", "img", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[Any] = []
        self.open: list[str] = []
        self.texts: list[Any] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: Any) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))


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


def test_page_starts_with_answer_and_is_complete(real: Verdict) -> None:
    text = html.render(real)

    page = Page(text)
    assert page.open == []
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert page.tags.count("title") == 1 + page.tags.count("svg")
    texts = [data.strip() for _, data in page.texts if data.strip()]
    assert texts.index(real.answer) < texts.index("Causes") < texts.index("All claims")
    assert page.tags.count("table") == page.tags.count("caption") > 4
    headings = sum(tag == "th" for tag in page.tags)
    assert headings == sum(attribute[:2] == ("th", "scope") for attribute in page.attributes)
    assert ("html", "lang", "en") in page.attributes
    assert "prefers-color-scheme: dark" in text
    assert ("meta", "name", "viewport") in page.attributes
    for row in real.rows:
        assert row.name in texts
    red = [cause for cause in real.causes if cause.red]
    assert page.attributes.count(("section", "class", "cause red")) == len(red) < len(real.causes)
    words = [f"{count} {word}" for word, count in views.counts(real).items()]
    assert f"{', '.join(words)}." in texts


def test_page_loads_nothing_external(real: Verdict) -> None:
    page = Page(html.render(real))

    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert {name for tag, name, _ in page.attributes if tag != "a"}.isdisjoint({"src", "srcset"})
    inside = [value for tag, name, value in page.attributes if name == "href" and tag != "a"]
    assert all(value.startswith("#matrix-") for value in inside)
    targets = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert sorted(targets) == sorted(cause.link for cause in real.causes if cause.link)
    assert not re.search(r"url\((?!#matrix-)|@import", html.render(real))


def test_the_page_shows_the_matrix_as_a_heat_map(real: Verdict) -> None:
    page = Page(html.render(real))

    assert page.tags.count("svg") == 1
    drawn = [data for tag, data in page.texts if tag == "text"]
    assert drawn == ["2.12.1", "2.15.0"] * 2 + ["1 of 1", "0 of 1", "–", "1 of 1"]


def test_a_page_without_a_matrix_has_no_heat_map(real: Verdict) -> None:
    page = Page(html.render(real.model_copy(update={"matrix": ()})))

    assert "svg" not in page.tags


def test_hostile_text_is_escaped_in_page(hostile: Verdict) -> None:
    text = html.render(hostile)

    page = Page(text)
    assert page.open == []
    assert not {"script", "img", "a"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "&lt;script&gt;" in text
    assert not CONTROL.search(text.replace("\n", ""))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil",
        "http://",
        'https://a/"onclick="x',
        "https://a/\n",
        "http://[",
        "",
    ],
)
def test_only_plain_http_addresses_are_links(url: str) -> None:
    assert link(url) == ""
    assert "](" not in markdown_link("t", url)


def test_a_plain_address_is_a_link() -> None:
    url = "https://github.com/pytorch/pytorch/issues/1?a=b&c=(d)#e"

    assert link(url) == url
    assert markdown_link("t", url).startswith("[t](<https://github.com/")


@pytest.mark.parametrize("text", ["plain", "2.12.1 → 2.15.0", "é × 中"])
def test_clean_leaves_plain_text_unchanged(text: str) -> None:
    assert clean(text) == text


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
