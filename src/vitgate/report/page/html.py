"""A run as one HTML page that needs nothing else: no request, light or dark as its reader prefers, one small script.

The script sorts tables and is named by its hash, so that no other text of the page can become one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from vitgate.files.errors import UsageError
from vitgate.records.record import Record
from vitgate.records.rows import InputRow
from vitgate.report.page import charts, views
from vitgate.report.page.charts import Chart
from vitgate.report.page.published import Edition, published, read_published
from vitgate.report.templates import template
from vitgate.spec.cases import TUTORIAL_CASE
from vitgate.spec.versions import public

_TEMPLATE = Path(__file__).with_name("templates") / "page.html"


@dataclass(frozen=True)
class CaseSection:
    """What is shown of one case; `beside` is the plot of the published results, for the case that they are of."""

    name: str
    weights: str
    inputs: InputRow | None
    lines: list[views.CellLine]
    plots: list[Chart]
    sweep: list[Chart]
    beside: Chart | None


def render(records: Sequence[Record]) -> str:
    """Return the page of the record of the newest PyTorch, the others beside it; UsageError as `in_order`."""
    records = in_order(records)
    view = views.View(records[-1], records[:-1])
    editions = read_published()
    script = _part("sort.js")
    return template(_TEMPLATE).render(
        view=view,
        views=views,
        cases=[_case(f"case-{at}", case, view, editions) for at, case in enumerate(view.record.cases, 1)],
        files=charts.files("files", view.sweep),
        editions=editions,
        style=_part("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def in_order(records: Sequence[Record]) -> list[Record]:
    """Return the records by PyTorch version, the newest last.

    UsageError for none, two of one version, or records that have no case in common: they show no sweep.
    """
    found = views.by_age(records)
    versions = [public(record.environment.torch) for record in found]
    twice = [version for version in versions if versions.count(version) > 1]
    if twice:
        raise UsageError(f"two records of PyTorch {twice[0]}", where="RECORD", do="name one of each version")
    if not found or not set.intersection(*(set(record.cases) for record in found)):
        what = "the records have no case in common" if found else "no record"
        raise UsageError(what, where="RECORD", do="name records of runs of the same cases")
    return found


def _case(name: str, case: str, view: views.View, editions: Sequence[Edition]) -> CaseSection:
    cells = [cell for cell in view.record.cells if cell.case == case]
    plots = [
        charts.latency(f"{name}-latency", cells),
        charts.size(f"{name}-size", cells),
        charts.blocks(f"{name}-blocks", view.record, case),
    ]
    return CaseSection(
        name=case,
        weights=view.weights(case),
        inputs=next((row for row in view.record.inputs if row.case == case), None),
        lines=view.lines(case),
        plots=[chart for chart in plots if chart],
        sweep=charts.sweep(f"{name}-sweep", view.sweep, case),
        beside=published(f"{name}-published", editions, cells) if case == TUTORIAL_CASE else None,
    )


def _part(name: str) -> Markup:
    """Return a file beside the template, which is ours and has nothing to escape."""
    return Markup(_TEMPLATE.with_name(name).read_text(encoding="utf-8").strip())  # noqa: S704
