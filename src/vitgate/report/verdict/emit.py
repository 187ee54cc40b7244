"""Writing a verdict in the forms that were asked for: files whole or not at all, and the terminal last."""

from __future__ import annotations

from dataclasses import dataclass

from vitgate.compare.verdict import Verdict
from vitgate.files.outputs import check_target, for_people, STDOUT, write_text
from vitgate.report import github
from vitgate.report.console import Color
from vitgate.report.verdict import html, junit, markdown, terminal


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
        if options.json != STDOUT:
            write_text(options.json, lambda: text, "--json")
        write_text(options.junit, lambda: junit.render(verdict), "--junit")
        write_text(options.markdown, lambda: markdown.render(verdict), "--markdown")
        write_text(options.html, lambda: html.render(verdict), "--html")
    finally:
        if options.json == STDOUT:
            write_text(STDOUT, lambda: text, "--json")
        people = for_people(options.json)
        if github.wanted():
            people.writelines(f"{line}\n" for line in github.of_verdict(verdict))
        terminal.write(verdict, people, options.color)


def check_targets(options: ReportOptions) -> None:
    """MachineError for a report that could not be written: better known before the runs than after them."""
    for name in ("json", "junit", "markdown", "html"):
        check_target(getattr(options, name), f"--{name}")
