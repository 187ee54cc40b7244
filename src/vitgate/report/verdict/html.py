"""A verdict as one HTML page that needs nothing else: no script, no request, light or dark as its reader prefers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitgate.compare.verdict import Verdict
from vitgate.report.templates import template
from vitgate.report.verdict import views
from vitgate.spec.versions import titled

if TYPE_CHECKING:
    from vitgate.report.page.charts import Chart

_TEMPLATE = Path(__file__).with_name("templates") / "verdict.html"


def render(verdict: Verdict) -> str:
    """Return the whole page."""
    old, new = map(titled, views.versions(verdict))
    return template(_TEMPLATE).render(
        views=views,
        verdict=verdict,
        old=old,
        new=new,
        grid=views.grid(verdict),
        sections=views.sections(verdict),
        heat=_heat(verdict),
        kind={0: "good", 1: "bad"}.get(verdict.exit_status, "unknown"),
    )


def _heat(verdict: Verdict) -> Chart | None:
    """Return the matrix as a heat map, counted over all cells; None where no file was tried."""
    from vitgate.report.page.charts import counts, heat  # which draws with matplotlib
    from vitgate.report.page.svg import About

    makers, runners = ([getattr(item.row, side) for item in verdict.matrix] for side in ("maker", "runner"))
    statuses = ("failed" if item.red else item.row.status for item in verdict.matrix)
    says = "How many files that one PyTorch made (rows) load, run and give its numbers on the other (columns)."
    squares = counts(zip(zip(makers, runners, strict=True), statuses, strict=True))
    sides = list(dict.fromkeys(views.versions(verdict)))
    return heat(About("matrix", "Maker × runner", says), "Made by", sides, sides, squares)
