"""A verdict on the terminal: the causes first, what differs, and the answer as the last line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vitgate.compare.causes import Cause
from vitgate.compare.pairing import Word
from vitgate.compare.verdict import Verdict
from vitgate.files.text import clean, short
from vitgate.report.console import Color, console_for
from vitgate.report.verdict import views

_SHOWN = 6  # names of a cause, lines of a list of differences: the other reports have all of them
_LONGEST_NAME = 36  # characters: that of a cell with the longest names
_INDENT = "  "
# Lines of ASCII alone: a log may be shown in any encoding, and in a font that draws no boxes.
_PLAIN = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_STYLES: dict[Word, str] = {
    "same": "green",
    "fixed": "green",
    "regressed": "bold red",
    "missing": "bold red",
    "environment error": "bold red",
    "broken in both": "yellow",
    "not comparable": "dim",
}


def write(verdict: Verdict, file: TextIO, color: Color) -> None:
    """Write the report; colours, frames and the terminal's width only where somebody looks at it.

    Args:
        verdict: What two records say together.
        file: Where to write.
        color: As of `console_for`.
    """
    console = console_for(file, color)
    _line(console, f"vitgate: {views.title(verdict)}", "bold")
    words = views.counts(verdict)
    _line(console, ", ".join(f"{count} {word}" for word, count in words.items()) or "no rows")
    for cause in verdict.causes:
        _cause(console, cause)
    for row in (row for row in verdict.rows if row.word == "missing" and not row.red):
        _line(console, f"only in the new record: {row.name}", "dim")
    _tables(console, verdict)
    for entry in verdict.accepted:
        who = f" by {entry.owner} until {entry.expires}: {entry.reason}" if entry.owner else ""
        _line(console, f"accepted ({entry.where}): {entry.id}{who}")
    for problem in verdict.problems:
        _line(console, f"acceptance: {problem}", "bold red")
    for note in verdict.notes:
        _line(console, note)
    _line(console, "")
    _line(console, verdict.answer, {0: "bold green", 1: "bold red"}.get(verdict.exit_status, "bold yellow"))


def _line(console: Console, text: str, style: str = "") -> None:
    """Write one line, however long: whoever reads the last one by a program gets all of it."""
    console.print(Text(clean(text), style=style), soft_wrap=True)


def _cause(console: Console, cause: Cause) -> None:
    style = "bold red" if cause.red else "yellow"
    _line(console, "")
    rows = f"{len(cause.rows)} {'row' if len(cause.rows) == 1 else 'rows'}"
    _line(console, f"{cause.id}: {views.standing(cause)} ({rows})", style)
    _paragraph(console, cause.says)
    if cause.advice:
        _paragraph(console, f"instead: {cause.advice}")
    if cause.link:
        console.print(Text(f"{_INDENT}{clean(cause.link)}"), soft_wrap=True)  # whole, to be clicked on
    more = f" and {len(cause.rows) - _SHOWN} more" if len(cause.rows) > _SHOWN else ""
    _paragraph(console, f"{', '.join(map(clean, cause.rows[:_SHOWN]))}{more}", "dim")


def _paragraph(console: Console, text: str, style: str = "") -> None:
    """Write indented text: in lines of the terminal's width where somebody looks at one, in one line elsewhere."""
    shown = Text(clean(text), style=style)
    if console.file.isatty():
        console.print(Padding(shown, (0, 0, 0, len(_INDENT))))
    else:
        console.print(Text(_INDENT) + shown, soft_wrap=True)


def _tables(console: Console, verdict: Verdict) -> None:
    found = views.grid(verdict)
    if found.lines:
        names = [clean(cell) for cell, _ in found.lines]
        table = _table(console, "Files, made by one version on another", ("File", *found.short), names)
        for cell, crossings in found.lines:
            table.add_row(
                Text(clean(cell)), *(Text(clean(text), _STYLES[word] if word else "") for text, word in crossings)
            )
        console.print(table)
    if verdict.latency:
        lines = tuple(views.latency_cells(item.row) for item in verdict.latency)
        _section(console, views.Section("Latency, measured in pairs", views.LATENCY_HEADINGS, lines), len(lines))
    for section in views.sections(verdict):
        _section(console, section, _SHOWN)


def _section(console: Console, section: views.Section, shown: int) -> None:
    names = [short(line[0]) for line in section.lines[:shown]]
    table = _table(console, f"{section.title} ({len(section.lines)})", section.headings, names)
    for line in section.lines[:shown]:
        table.add_row(*(Text(short(text)) for text in line))
    console.print(table)
    if len(section.lines) > shown:
        _line(console, f"  and {len(section.lines) - shown} more: see --html or --json", "dim")


def _table(console: Console, title: str, headings: tuple[str, ...], names: Sequence[str]) -> Table:
    """Start a table; `names` is its first column, which stays in one line unless something strange is in it."""
    _line(console, "")
    _line(console, title, "bold")
    table = Table(box=box.SIMPLE_HEAD if console.file.isatty() else _PLAIN, show_edge=False, pad_edge=False)
    whole = max(map(len, names), default=0) <= _LONGEST_NAME
    for number, heading in enumerate(headings):
        table.add_column(Text(clean(heading)), overflow="fold", no_wrap=whole and number == 0)
    return table
