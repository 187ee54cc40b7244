"""What the terminal shows at the end of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from vitgate.judge.deviations import read_deviations
from vitgate.judge.metrics import SQNR_CEILING
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow
from vitgate.report.terminal import render


class Reporter:
    """Keeps what is written, and the markup of each line."""

    def __init__(self, *, hasmarkup: bool = False, isatty: bool = False, verbosity: int = 0) -> None:
        self.hasmarkup, self.isatty, self.verbosity, self.text = hasmarkup, isatty, verbosity, ""
        self.markup: dict[str, Any] = {}

    def section(self, title: str) -> None:
        self.text += f"== {title} ==\n"

    def write(self, text: str) -> None:
        self.text += text

    def write_line(self, line: str, **markup: bool) -> None:
        self.text += f"{line}\n"
        self.markup[line] = {name for name, on in markup.items() if on}

    def row(self, title: str) -> list[str]:
        (line,) = [line for line in self.text.splitlines() if re.split(r"  +", line.strip())[0] == title]
        return re.split(r"  +", line.strip())


@pytest.fixture
def shown(record: Callable[..., Record]) -> Callable[..., Reporter]:
    """Return a helper that renders a record of these fields."""

    def show(*, hasmarkup: bool = False, isatty: bool = False, verbosity: int = 0, **fields: Any) -> Reporter:
        reporter = Reporter(hasmarkup=hasmarkup, isatty=isatty, verbosity=verbosity)
        render(record(**fields), reporter, {"record": "out.json"})  # type: ignore[arg-type]  # as much of it as is used
        return reporter

    return show


def test_each_variant_is_a_line_with_its_numbers(
    shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    cells = (cell_row("scripted", size_bytes=346_000_000, latency_ratio=1.0, sqnr_db=None), cell_row(profiler_ms=61.5))

    reporter = shown(cells=cells)

    assert "deit_base on qnnpack" in reporter.text
    assert reporter.row("lite") == [
        *("lite", "89.2 MB", "74%", "60.00 ms", "60%", "61.50 ms", "269", "23.8 dB", "passed")
    ]
    assert reporter.row("scripted")[1:3] == ["346.0 MB", "0%"]


def test_unmeasured_value_is_shown_as_dash(shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]) -> None:
    empty = dict.fromkeys(("size_bytes", "latency_ms", "latency_ratio", "label", "sqnr_db"))

    reporter = shown(cells=(cell_row(**empty, outcome="blocked by optimized"),))

    assert reporter.row("lite") == ["lite", *["-"] * 7, "blocked by optimized"]


def test_a_slower_variant_shows_a_negative_reduction(
    shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    reporter = shown(cells=(cell_row(latency_ratio=3.76),))

    assert reporter.row("lite")[4] == "-276%"


def test_declared_outcome_names_deviation_explained_once_below(
    shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    declared = read_deviations().rows[0]
    cells = tuple(cell_row(name, outcome="failed at script", deviation=declared.id) for name in ("optimized", "lite"))

    reporter = shown(cells=cells)

    assert reporter.row("lite")[-1] == f"failed at script ({declared.id})"
    assert reporter.text.count(declared.reason) == 1


def test_brackets_in_outcome_are_escaped(shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]) -> None:
    reporter = shown(cells=(cell_row(outcome="FAILED: [red]"),))

    assert reporter.row("lite")[-1] == "FAILED: [red]"


def test_each_case_and_engine_has_a_table_of_its_own(
    shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    cells = (cell_row(), cell_row(engine="x86"), cell_row(case="digits"))

    reporter = shown(cells=cells)

    titles = ("deit_base on qnnpack", "deit_base on x86", "digits on qnnpack")
    assert [reporter.text.count(title) for title in titles] == [1, 1, 1]


def test_inputs_notes_and_record_path_are_named(shown: Callable[..., Reporter]) -> None:
    reporter = shown(warnings=("soon gone",), new_operators=("new::op",))

    for line in (
        "digits: committed weights; committed pictures",
        "note: soon gone",
        "note: new::op",
        "record: out.json",
    ):
        assert line in reporter.markup


@pytest.mark.parametrize(
    ("fields", "colour"),
    [
        ({}, {"green"}),
        ({"status": "declared", "outcome": "failed at script", "deviation": "gone", "message": "no"}, {"yellow"}),
        ({"status": "failed", "outcome": "failed"}, {"red"}),
        ({"status": "unsupported", "outcome": "unsupported"}, set()),
    ],
    ids=["holds", "breaks", "fails", "no-answer"],
)
def test_answer_is_coloured_by_its_result(
    fields: dict[str, str], colour: set[str], shown: Callable[..., Reporter], claim_row: Callable[..., ClaimRow]
) -> None:
    reporter = shown(claims=(claim_row(**fields),))

    assert reporter.markup[reporter.text.splitlines()[-1]] == {"bold"} | colour


@pytest.mark.parametrize("hasmarkup", [True, False])
def test_escape_sequences_are_written_only_if_pytest_does(
    hasmarkup: bool, shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    reporter = shown(hasmarkup=hasmarkup, cells=(cell_row(),))

    assert ("\x1b[" in reporter.text) is hasmarkup


@pytest.mark.parametrize(
    ("fields", "colour"),
    [
        ({}, "32"),
        ({"deviation": "gone"}, "33"),
        ({"outcome": "blocked by optimized", "deviation": "gone"}, "33"),
        ({"outcome": "FAILED: label"}, "31"),
    ],
    ids=["passed", "passed-as-declared", "stopped-as-declared", "failed"],
)
def test_outcome_is_coloured_like_its_answer(
    fields: dict[str, str], colour: str, shown: Callable[..., Reporter], cell_row: Callable[..., CellRow]
) -> None:
    reporter = shown(hasmarkup=True, cells=(cell_row(**fields),))

    assert re.findall(r"\x1b\[(\d+)m(?:passed|blocked|FAILED)", reporter.text) == [colour]


def test_table_fits_terminal_width(
    shown: Callable[..., Reporter], cell_row: Callable[..., CellRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    cells = (cell_row(outcome="FAILED: accuracy, arithmetic, label, latency, logits_original"),)

    assert max(map(len, _table(shown(isatty=True, cells=cells)))) <= 90
    assert any("accuracy, arithmetic, label, latency, logits_original" in line for line in _table(shown(cells=cells)))


def _table(reporter: Reporter) -> list[str]:
    lines = reporter.text.splitlines()
    return lines[1 : next(at for at, line in enumerate(lines) if line.startswith("latency is"))]


def test_quiet_output_is_failed_rows_record_path_and_answer(
    shown: Callable[..., Reporter], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]
) -> None:
    red = claim_row("label", status="failed", outcome="failed", message="it says 7")

    reporter = shown(verbosity=-1, cells=(cell_row(),), claims=(red, claim_row("size")))

    first, place, answer = reporter.text.splitlines()
    assert first == "label[digits-qnnpack-lite]: failed: it says 7"
    assert reporter.markup[first] == {"red"}
    assert place == "record: out.json"
    assert "1 claim failed" in answer


def _by_block(claim_row: Callable[..., ClaimRow], engine: str, **values: float | None) -> ClaimRow:
    shown = {"unit": "dB", "judged": False}
    findings = tuple(FindingRow(statistic=f"sqnr at {at}", value=value, **shown) for at, value in values.items())
    return claim_row("logits_original", "scripted_quantized", engine, findings=findings)


def test_verbose_output_has_sqnr_after_each_block(
    shown: Callable[..., Reporter], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = (_by_block(claim_row, "x86", embed=SQNR_CEILING, head=31.25), _by_block(claim_row, "qnnpack", embed=40.0))

    reporter = shown(verbosity=1, claims=rows)

    assert "digits: SQNR of scripted_quantized against the original" in reporter.text
    assert reporter.row("embed") == ["embed", "exact", "40.0 dB"]
    assert reporter.row("head") == ["head", "31.2 dB", "-"]


@pytest.mark.parametrize("verbosity", [0, 1])
def test_block_table_is_omitted_without_numbers(
    shown: Callable[..., Reporter], claim_row: Callable[..., ClaimRow], verbosity: int
) -> None:
    assert "SQNR of" not in shown(verbosity=verbosity, claims=(claim_row(),)).text


@pytest.mark.parametrize(
    ("waited", "busy"),
    [(2.14, "; the machine was busy (up to 2.1 s of waiting for a second of CPU time)"), (0.4, "")],
)
def test_busy_machine_is_named_beside_latency(
    shown: Callable[..., Reporter], claim_row: Callable[..., ClaimRow], waited: float, busy: str
) -> None:
    finding = FindingRow(statistic="waited_per_cpu", value=waited, unit="1", judged=False)
    text = shown(claims=(claim_row("latency", findings=(finding,)),)).text
    assert f"the profiler's figure judges nothing{busy}\n" in text
