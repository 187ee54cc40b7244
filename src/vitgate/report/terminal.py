"""What the terminal shows at the end of a run: one table for each case and engine, the inputs, the answer."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping

import pytest
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitgate.files.text import clean
from vitgate.judge.findings import TUTORIAL_INT8, WAITED
from vitgate.judge.latency_ratios import BUSY
from vitgate.records.frames import benchmark_frame
from vitgate.records.record import Record
from vitgate.records.rows import CellRow
from vitgate.report.answer import answer_of
from vitgate.report.blocks import sqnr_by_block
from vitgate.report.formats import decibels, shown
from vitgate.report.picture_accuracy import tables
from vitgate.spec.engines import NO_ENGINE

_WIDE = 160  # columns of a table in a file or a CI's log, where nothing has to wrap
_HEADINGS = ("Variant", "Size", "Reduction", "Latency", "Reduction", "Profiler", "Label", "SQNR", "Outcome")
_COLOURS = {"works": "green", "broken as declared": "yellow", "failed": "red"}


def render(record: Record, reporter: pytest.TerminalReporter, written: Mapping[str, str]) -> None:
    """Write the report of a run; colours only where pytest uses them.

    Quiet (`-q`) it is the red rows, where the files are, and the answer; verbose (`-v`) it has the blocks' SQNR too.

    Args:
        record: The run's.
        reporter: pytest's.
        written: What each file that the run wrote is, and where.
    """
    if reporter.verbosity < 0:
        for row in record.claims:
            if row.status in ("failed", "environment error"):
                reporter.write_line(clean(f"{row.name}: {row.outcome_text}: {row.message}"), red=True)
    else:
        _details(record, reporter)
    for what, where in written.items():
        reporter.write_line(f"{what}: {where}")
    found = answer_of(record)
    for note in found.notes if reporter.verbosity >= 0 else ():
        reporter.write_line(note)
    colour = {_COLOURS[found.kind]: True} if found.kind in _COLOURS else {}
    reporter.write_line(found.text, bold=True, **colour)


def _details(record: Record, reporter: pytest.TerminalReporter) -> None:
    reporter.section("vitgate")
    for case, engine in dict.fromkeys((row.case, row.engine) for row in record.cells):
        rows = [row for row in record.cells if (row.case, row.engine) == (case, engine)]
        reporter.write(_text(_table(case, engine, rows), reporter))
    for table in (*tables(record), *(_blocks(record) if reporter.verbosity > 0 else ())):
        reporter.write(_text(table, reporter))
    for row in record.inputs:
        notes = [row.weights_note, row.pictures_note, *([row.images_note] if row.images_note else [])]
        reporter.write_line(clean(f"{row.case}: {'; '.join(notes)}"))
    for note in (*record.warnings, *record.new_operators):
        reporter.write_line(clean(f"note: {note}"))
    busy = _busy(record)
    reporter.write_line(f"latency is CPU time of one thread on one input; the profiler's figure judges nothing{busy}")


def _busy(record: Record) -> str:
    """Say how busy the machine was while latencies were measured, if it was."""
    waited = [found.value or 0.0 for row in record.claims for found in row.findings if found.statistic == WAITED]
    most = max(waited, default=0.0)
    return f"; the machine was busy (up to {most:.1f} s of waiting for a second of CPU time)" if most > BUSY else ""


def _table(case: str, engine: str, rows: list[CellRow]) -> Table:
    title = f"{case}, successors of TorchScript" if engine == NO_ENGINE else f"{case} on {engine}"
    table = Table(title=title, title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in ("Variant", "Outcome") else "right", overflow="fold")
    for row, (_, line) in zip(rows, benchmark_frame(rows).iterrows(), strict=True):
        table.add_row(*_cells(row, line["size_mb"], line["size_reduction"]))
    return table


def _blocks(record: Record) -> Iterator[Table]:
    """Yield a table for each case: how near the int8 model is to the original after each block, by engine."""
    for case in record.cases:
        columns = sqnr_by_block(record, case)
        title = f"{case}: SQNR of {TUTORIAL_INT8} against the original"
        table = Table("After", title=title, title_justify="left", min_width=len(title))
        for engine in columns:
            table.add_column(engine, justify="right")
        for place in dict.fromkeys(place for column in columns.values() for place in column):
            table.add_row(escape(clean(place)), *(decibels(column.get(place)) for column in columns.values()))
        if columns:
            yield table


def _cells(row: CellRow, size_mb: float, size_reduction: float) -> list[str]:
    ratio = row.latency_ratio
    return [
        row.variant,
        shown(size_mb, "{:.1f} MB"),
        shown(size_reduction, "{:.0%}"),
        shown(row.latency_ms, "{:.2f} ms"),
        shown(None if ratio is None else 1 - ratio, "{:.0%}"),
        shown(row.profiler_ms, "{:.2f} ms"),
        shown(row.label, "{}"),
        decibels(row.sqnr_db, expected=row.expected_sqnr_db),
        _outcome(row),
    ]


def _outcome(row: CellRow) -> str:
    """Say it in the colour of the answer that it leads to."""
    text = escape(clean(f"{row.outcome_text} ({row.deviation})" if row.deviation else row.outcome_text))
    colour = "red" if row.outcome == "failed" else "yellow" if row.deviation else "green"
    return f"[{colour}]{text}[/]"


def _text(table: Table, reporter: pytest.TerminalReporter) -> str:
    """Draw a table as wide as the terminal, or as it likes where there is none; colours only where pytest uses them."""
    colour = bool(reporter.hasmarkup)
    width = shutil.get_terminal_size().columns if reporter.isatty else _WIDE
    console = Console(file=io.StringIO(), force_terminal=colour, no_color=not colour, width=width, highlight=False)
    table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO made above
    return text
