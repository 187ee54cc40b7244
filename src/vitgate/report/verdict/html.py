"""A verdict as one HTML page that needs nothing else: no script, no request, light or dark as its reader prefers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from vitgate.judge.verdict import Verdict
from vitgate.report.verdict import views
from vitgate.report.verdict.safe import link, printable


def render(verdict: Verdict) -> str:
    """Return the whole page."""
    old, new = views.versions(verdict)
    return _template().render(
        verdict=verdict,
        old=old,
        new=new,
        grid=views.grid(verdict),
        sections=views.sections(verdict),
        kind={0: "good", 1: "bad"}.get(verdict.exit_status, "unknown"),
    )


@cache
def _template() -> Template:
    """Compile the template, once in a process."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"views": views, "link": link}
    return environment.get_template("verdict.html")


def _shown(value: object) -> object:
    """Clean what an expression gives before it is escaped; what is safe HTML already is not text."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
