"""Writing a verdict in the forms that were asked for: files whole or not at all, and the terminal last."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitgate.errors import MachineError
from vitgate.evidence import check_place, replacing
from vitgate.judge.verdict import Verdict
from vitgate.report.verdict import html, junit, markdown, terminal
from vitgate.report.verdict.terminal import Color

STDOUT = "-"


@dataclass(frozen=True)
class ReportOptions:
    """Which reports to write: a file each, None for none; `json` may be `-` for standard output."""

    json: str | None = None
    junit: str | None = None
    markdown: str | None = None
    html: str | None = None
    color: Color = "auto"


def emit(verdict: Verdict, options: ReportOptions) -> None:
    """Write all reports; where JSON goes to standard output, the report for people goes to standard error.

    The terminal gets its report even where a file cannot be written: the verdict may have taken half an hour.
    """
    text = f"{verdict.model_dump_json(indent=1)}\n"
    try:
        if options.json not in (None, STDOUT):
            _write(options.json, lambda: text, "--json")
        _write(options.junit, lambda: junit.render(verdict), "--junit")
        _write(options.markdown, lambda: markdown.render(verdict), "--markdown")
        _write(options.html, lambda: html.render(verdict), "--html")
    finally:
        if options.json == STDOUT:
            sys.stdout.write(text)
        terminal.write(verdict, sys.stderr if options.json == STDOUT else sys.stdout, options.color)


def check_targets(options: ReportOptions) -> None:
    """MachineError for a report that could not be written: better known before the runs than after them."""
    for name in ("json", "junit", "markdown", "html"):
        target = getattr(options, name)
        if target in (None, STDOUT):
            continue
        path = Path(target)
        try:
            check_place(path)
        except OSError as error:
            raise _unwritable(path, error, f"--{name}") from None


def _write(target: str | None, make: Callable[[], str], option: str) -> None:
    """Write one file; MachineError, naming the option, where that is not possible."""
    if target is None:
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(make(), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error, option) from None


def _unwritable(path: Path, error: OSError, option: str) -> MachineError:
    what = f"cannot write the report: {error.strerror}"
    return MachineError(what, where=path, do=f"name another file with {option}")
