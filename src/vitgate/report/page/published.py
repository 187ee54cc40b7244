"""What the editions of the tutorial print as results (`fixtures/published.toml`): shown beside a run, never judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from vitgate.files.schemas import fixtures_folder, read_model, Strict, unique
from vitgate.files.text import short
from vitgate.records.rows import CellRow
from vitgate.report.page.charts import Chart, NAME
from vitgate.report.page.svg import About, colour, drawing, inline, marker
from vitgate.report.page.views import ABSENT, engines_in
from vitgate.spec.variants import VariantName

TUTORIAL: tuple[VariantName, ...] = ("original", "scripted", "scripted_quantized", "optimized", "lite")
"""The variants that the tutorial times, in its order."""

_Positive = Annotated[float, Field(gt=0)]


class Edition(Strict):
    """One table of results: latencies in ms of all five variants, sizes in MB of the files that it names.

    `torch` is the version that it prints and `machine` where it says that it ran; both are empty where it does not say.
    """

    id: str
    title: str
    url: str = Field(default="", pattern=r"^(https://[^\s\"'<>]+)?$")
    torch: str = ""
    machine: str = ""
    latency_ms: dict[VariantName, _Positive]
    size_mb: dict[VariantName, _Positive] = {}

    @field_validator("latency_ms")
    @classmethod
    def _is_whole(cls, found: dict[VariantName, float]) -> dict[VariantName, float]:
        if set(found) != set(TUTORIAL):
            raise ValueError(f"it must have {', '.join(TUTORIAL)}")
        return found

    def ratio(self, variant: VariantName) -> float:
        """Return the variant's latency as a share of the original's on the same machine."""
        return self.latency_ms[variant] / self.latency_ms["original"]


class PublishedFile(Strict):
    """The whole of `published.toml`."""

    edition: list[Edition]


@cache
def read_published(path: Path | None = None) -> tuple[Edition, ...]:
    """Return the editions in the file's order; UsageError for a duplicate or a table that is not whole."""
    path = path or fixtures_folder() / "published.toml"
    rows = read_model(PublishedFile, path).edition
    unique([row.id for row in rows], where=path)
    return tuple(rows)


def published(name: str, editions: Sequence[Edition], cells: Sequence[CellRow]) -> Chart:
    """Set the run's latencies beside those that the editions print, each as a share of its own original's.

    Args:
        name: Begins the ids within the SVG.
        editions: The tutorial's printed results.
        cells: The run's rows; those without a ratio are left out of the plot.
    """
    own = [cell for cell in cells if cell.variant in TUTORIAL[1:] and cell.latency_ratio is not None]
    says = "Latency as a share of the original's on the same machine: grey circles are the editions of the tutorial, "
    says += "coloured marks this run."
    about = About(name, "Beside the published results", says)
    with drawing(2.6) as (figure, axes):
        for at, variant in enumerate(TUTORIAL[1:]):
            ratios = [edition.ratio(variant) for edition in editions]
            label = "published" if at == 0 else None
            axes.plot(ratios, [at - 0.16] * len(ratios), "o", mfc="none", color=colour("dim"), label=label)
        seen: set[str] = set()
        for cell in own:
            at, label = TUTORIAL.index(cell.variant) - 1, None if cell.engine in seen else short(cell.engine, NAME)  # type: ignore[arg-type]  # one of them
            seen.add(cell.engine)
            axes.plot(cell.latency_ratio or 0.0, at + 0.16, marker(cell.engine), color=colour(cell.engine), label=label)
        axes.axvline(1.0, color=colour("dim"), linewidth=0.8)
        axes.set_yticks(range(len(TUTORIAL) - 1), TUTORIAL[1:])
        axes.set_ylim(len(TUTORIAL) - 1.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("× original")
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=5, handlelength=0.8, columnspacing=1.0, handletextpad=0.4)
        svg = inline(figure, about)
    return Chart(about, svg, *_published_lines(editions, cells))


def _published_lines(
    editions: Sequence[Edition], cells: Sequence[CellRow]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    lines = [
        (edition.title, *(f"{edition.latency_ms[variant]:.2f} ({edition.ratio(variant):.2f})" for variant in TUTORIAL))
        for edition in editions
    ]
    by = {(cell.engine, cell.variant): cell for cell in cells}
    kinds: dict[str, Callable[[CellRow], float | None]] = {
        "the profiler's, once": lambda cell: cell.profiler_ms,
        "CPU time, judged": lambda cell: cell.latency_ms,
    }
    for engine in engines_in(engine for engine, variant in by if variant in TUTORIAL):
        own = [by.get((engine, variant)) for variant in TUTORIAL]
        for kind, number in kinds.items():
            found = [number(cell) if cell else None for cell in own]
            lines.append((f"this run on {engine}, {kind}", *(_with_ratio(each, found[0]) for each in found)))
    return ("Latency, ms (× original)", *TUTORIAL), tuple(lines)


def _with_ratio(number: float | None, original: float | None) -> str:
    if number is None:
        return ABSENT
    return f"{number:.2f} ({number / original:.2f})" if original else f"{number:.2f}"
