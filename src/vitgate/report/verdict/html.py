"""A verdict as one HTML page that needs nothing else: no script, no request, light or dark as its reader prefers."""

from __future__ import annotations

from pathlib import Path

from vitgate.judge.verdict import Verdict
from vitgate.report.html import template
from vitgate.report.verdict import views

_TEMPLATE = Path(__file__).with_name("templates") / "verdict.html"


def render(verdict: Verdict) -> str:
    """Return the whole page."""
    old, new = views.versions(verdict)
    return template(_TEMPLATE).render(
        views=views,
        verdict=verdict,
        old=old,
        new=new,
        grid=views.grid(verdict),
        sections=views.sections(verdict),
        kind={0: "good", 1: "bad"}.get(verdict.exit_status, "unknown"),
    )
