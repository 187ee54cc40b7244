"""The plots of a run's page: each an SVG that describes itself, with its numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup
from matplotlib.axes import Axes

from vitgate.files.text import short
from vitgate.judge.metrics import ROUNDING_DB
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, Status
from vitgate.report.blocks import sqnr_by_block
from vitgate.report.page import fields
from vitgate.report.page.svg import About, colour, drawing, inline, marker
from vitgate.report.page.views import ABSENT, engines_in, RED, value, variants_in
from vitgate.spec.versions import public

Tone = Literal["good", "some", "none", "bad", "absent"]
_LINE = 0.17  # inches of a line of a plot
NAME = 26  # characters of a name in a plot
_INT8 = "scripted_quantized"


@dataclass(frozen=True)
class Chart:
    """One plot, and the table of its numbers."""

    about: About
    svg: Markup
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Square:
    """One place of a heat map."""

    text: str
    tone: Tone


def latency(name: str, cells: Sequence[CellRow]) -> Chart | None:
    """Show the latency of each variant under each engine, with its spread where the record has it."""
    rows = [cell for cell in cells if cell.latency_ms is not None]
    says = "CPU time of one call: the dot is what is judged, the mean of the fastest quarter."
    if any(spread_of(cell) for cell in rows):
        says += " The box holds the middle half of the calls, with the median; the whiskers reach to the extremes."
    bars = _Bars("Latency, ms", [(cell, cell.latency_ms or 0.0, _brief(cell.latency_ms or 0.0)) for cell in rows])
    headings = ("Variant", "Engine", "Latency, ms", "Least", "Lower quartile", "Median", "Upper quartile", "Most")
    lines = tuple((*_place(cell), f"{cell.latency_ms:.2f}", *_spread_texts(cell)) for cell in rows)
    return bars.chart(About(name, "Latency by variant", says), _draw_spread, headings, lines)


def size(name: str, cells: Sequence[CellRow]) -> Chart | None:
    """Show the size of each variant's file under each engine."""
    rows = [(cell, cell.size_bytes / 1e6) for cell in cells if cell.size_bytes]
    bars = _Bars("Size, MB", [(cell, megabytes, _brief(megabytes)) for cell, megabytes in rows])
    lines = tuple((*_place(cell), f"{megabytes:.3f}") for cell, megabytes in rows)
    about = About(name, "Size by variant", "The saved file of each variant.")
    return bars.chart(about, _draw_bar, ("Variant", "Engine", "Size, MB"), lines)


def _brief(number: float) -> str:
    """Return a number in about four digits, as there is room for in a plot."""
    return f"{number:.2f}" if 0 <= number < 10 else f"{number:.1f}" if 0 <= number < 1e5 else f"{number:.3g}"


def _place(cell: CellRow) -> tuple[str, str]:
    return cell.variant, cell.engine


def spread_of(cell: CellRow) -> tuple[float, ...]:
    """Return least, quartiles and most of one call in ms; nothing where the record has no such numbers, or not five."""
    return cell.latency_spread_ms if len(cell.latency_spread_ms) == 5 else ()


def _spread_texts(cell: CellRow) -> tuple[str, ...]:
    return tuple(f"{number:.2f}" for number in spread_of(cell)) or (ABSENT,) * 5


@dataclass(frozen=True)
class _Bars:
    """Lines under the names of their variants, one for each engine, from zero to the right."""

    unit: str
    rows: Sequence[tuple[CellRow, float, str]]

    def chart(
        self,
        about: About,
        draw: Callable[[Axes, float, CellRow, float], None],
        headings: tuple[str, ...],
        lines: tuple[tuple[str, ...], ...],
    ) -> Chart | None:
        """Draw all lines; None where there is none.

        Args:
            about: What the plot is called.
            draw: Draws one line: axes, height, cell and number.
            headings: Of the table.
            lines: Of the table, each with as many texts.
        """
        if not self.rows:
            return None
        variants = variants_in(cell.variant for cell, _, _ in self.rows)
        count = len(variants) + len(self.rows)
        with drawing(_LINE * count + 0.5) as (figure, axes):
            ticks = self._draw(axes, variants, draw)
            axes.set_yticks(list(ticks), [short(engine, NAME) for engine in ticks.values()])
            axes.set_ylim(count - 0.4, -0.8)
            axes.set_xlim(left=0)
            axes.set_xlabel(self.unit)
            axes.grid(axis="x")
            axes.tick_params(length=0)
            axes.spines[["left", "bottom"]].set_visible(False)
            return Chart(about, inline(figure, about), headings, lines)

    def _draw(
        self, axes: Axes, variants: Sequence[str], draw: Callable[[Axes, float, CellRow, float], None]
    ) -> dict[float, str]:
        """Draw line by line; return the engine of each by its place."""
        at, ticks = 0.0, {}
        beside = axes.get_yaxis_transform()
        for variant in variants:
            axes.text(0.0, at, short(variant, NAME), transform=beside, va="center", weight="bold")
            for cell, number, text in self.rows:
                if cell.variant == variant:
                    at += 1
                    draw(axes, at, cell, number)
                    axes.text(1.02, at, text, transform=beside, va="center")
                    ticks[at] = cell.engine
            at += 1
        return ticks


def _draw_bar(axes: Axes, at: float, cell: CellRow, number: float) -> None:
    axes.barh(at, number, height=0.62, color=colour(cell.engine))


def _draw_spread(axes: Axes, at: float, cell: CellRow, number: float) -> None:
    own = colour(cell.engine)
    if found := spread_of(cell):
        least, low, middle, high, most = found
        axes.plot([least, most], [at, at], color=own, linewidth=1.0)
        axes.barh(at, high - low, left=low, height=0.55, color=colour("page"), edgecolor=own, linewidth=1.0)
        axes.plot([middle, middle], [at - 0.27, at + 0.27], color=own)
    else:
        axes.plot([0, number], [at, at], color=own, linewidth=1.0)
    axes.plot(number, at, marker="o", markersize=4.5, color=own)


@dataclass(frozen=True)
class _Curve:
    """One engine's numbers along an axis of names; None where there is none."""

    engine: str
    numbers: tuple[float | None, ...]


def _curves(
    about: About,
    axis: str,
    places: Sequence[str],
    unit: str,
    curves: Sequence[_Curve],
    most: float = math.inf,
) -> Chart | None:
    """Draw numbers by place, a line for each engine; None where there is no number.

    `axis` says what the places are. Numbers from `most` on are in the table alone: they would press the others
    together.
    """
    if not any(number is not None for curve in curves for number in curve.numbers):
        return None
    names = [short(place, NAME) for place in places]
    with drawing(2.5) as (figure, axes):
        for curve in curves:
            found = [(at, number) for at, number in enumerate(curve.numbers) if number is not None and number < most]
            label, own = short(curve.engine, NAME), colour(curve.engine)
            axes.plot(*zip(*found, strict=True), marker=marker(curve.engine), color=own, label=label) if found else None
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.3, len(names) - 0.7)
        axes.set_ylabel(unit)
        axes.tick_params(length=0, axis="y", labelcolor=colour("dim"))
        axes.margins(y=0.15)
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=4, handlelength=1.6, columnspacing=1.2)
        svg = inline(figure, about)
    lines = tuple(
        (place, *(value(curve.numbers[at], "{:.4g}").text for curve in curves)) for at, place in enumerate(places)
    )
    return Chart(about, svg, (axis, *(curve.engine for curve in curves)), lines)


def blocks(name: str, record: Record, case: str) -> Chart | None:
    """Show how the SQNR falls from block to block, where the record has that.

    Args:
        name: Begins the ids within the SVG.
        record: Of a run.
        case: Its id.
    """
    found = sqnr_by_block(record, case)
    places = list(dict.fromkeys(place for numbers in found.values() for place in numbers))
    curves = [_Curve(engine, tuple(numbers.get(place) for place in places)) for engine, numbers in found.items()]
    says = f"SQNR of {_INT8} against the original, in dB, after the embedding, each block and the head: where it falls"
    says += f" at once, there the numbers part ways. Above {ROUNDING_DB:.0f} dB, mere rounding, nothing is drawn."
    names = [place.removeprefix("blocks.").replace("patch_embed", "in").replace("head", "out") for place in places]
    return _curves(About(name, "SQNR per block", says), "After", names, "SQNR, dB", curves, ROUNDING_DB)


def sweep(name: str, records: Sequence[Record], case: str) -> list[Chart]:
    """Show how SQNR, latency and outcomes of one case went from version to version; nothing of fewer than two.

    Args:
        name: Begins the ids within the SVGs.
        records: One a version, in their order.
        case: Its id.
    """
    if len(records) < 2:
        return []
    versions = [short(public(record.environment.torch), NAME) for record in records]
    engines = engines_in({cell.engine for record in records for cell in record.cells if cell.case == case})
    tables = [{(cell.engine, cell.variant): cell for cell in record.cells if cell.case == case} for record in records]

    def curves(number: Callable[[CellRow], float | None]) -> list[_Curve]:
        rows = [[table.get((engine, _INT8)) for table in tables] for engine in engines]
        numbers = [tuple(number(cell) if cell else None for cell in row) for row in rows]
        return [_Curve(engine, own) for engine, own in zip(engines, numbers, strict=True) if any(own)]

    says = f"{_INT8} on each PyTorch"
    found = [
        _curves(
            About(f"{name}-sqnr", "SQNR by version", f"SQNR of {says}, against the float original, in dB."),
            *("PyTorch", versions, "SQNR, dB"),
            curves(lambda cell: cell.sqnr_db),
        ),
        _curves(
            About(f"{name}-ratio", "Latency by version", f"Latency of {says}, as a share of the float original's."),
            *("PyTorch", versions, "× original"),
            curves(lambda cell: cell.latency_ratio),
        ),
        _outcomes(f"{name}-outcomes", versions, tables),
    ]
    return [chart for chart in found if chart]


def _outcomes(name: str, versions: Sequence[str], tables: Sequence[Mapping[tuple[str, str], CellRow]]) -> Chart | None:
    variants = variants_in(variant for table in tables for _, variant in table)
    squares = {
        (variant, version): _worst([cell for (_, of), cell in table.items() if of == variant])
        for variant in variants
        for version, table in zip(versions, tables, strict=True)
    }
    says = "What became of each variant: works under every engine; differs under some, or stops, as declared; fails."
    return heat(About(name, "Outcome by version", says), "Variant", variants, versions, squares)


def _worst(cells: Sequence[CellRow]) -> Square:
    if not cells:
        return Square(ABSENT, "absent")
    if failed := sum(fields.failed(cell) for cell in cells):
        return Square(f"{failed} fail", "bad")
    if stopped := sum(cell.outcome != "passed" for cell in cells):
        return Square("stops" if stopped == len(cells) else f"{stopped} stop", "none")
    declared = sum(bool(cell.deviation) for cell in cells)
    return Square(f"{declared} differ", "some") if declared else Square("works", "good")


def heat(
    about: About,
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    squares: Mapping[tuple[str, str], Square],
) -> Chart | None:
    """Draw a heat map whose squares say in words what their colour says; None for one without squares.

    Args:
        about: What the plot is called.
        corner: What the rows are, for the table.
        rows: Their names, from above.
        columns: Their names, from the left.
        squares: By row and column; one that is missing is shown as absent.
    """
    if not squares:
        return None
    names = [short(column, NAME).replace("_", "_\n", 1) for column in columns]
    lines_above = max(name.count("\n") for name in names) + 1
    with drawing(0.3 * len(rows) + 0.15 + 0.17 * lines_above) as (figure, axes):
        for down, row in enumerate(rows):
            for across, column in enumerate(columns):
                square = squares.get((row, column), Square(ABSENT, "absent"))
                fill = colour(f"fill-{square.tone}")
                axes.barh(down, 0.94, left=across - 0.47, height=0.88, color=fill, linewidth=0)
                axes.text(across, down, short(square.text, 14), ha="center", va="center")
        axes.set_xticks(range(len(columns)), names)
        axes.set_yticks(range(len(rows)), [short(row, NAME) for row in rows])
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        svg = inline(figure, about)
    lines = tuple((row, *(squares.get((row, each), Square(ABSENT, "absent")).text for each in columns)) for row in rows)
    return Chart(about, svg, (corner, *columns), lines)


def files(name: str, records: Sequence[Record]) -> list[Chart]:
    """Show which releases run the files of which: all pairs of the records, and by variant on the newest."""
    runners = {short(public(record.environment.torch), NAME): fields.files(record) for record in records}
    newest = short(public(records[-1].environment.torch), NAME)
    pairs = counts(((file.maker, runner), file.status) for runner, found in runners.items() for file in found)
    kinds = counts(((file.maker, file.variant), file.status) for file in runners[newest])
    makers = fields.makers(file for found in runners.values() for file in found)
    says = "How many of the files that one PyTorch made (rows) load, run and give its numbers on another (columns)."
    own = f"The same on {newest}, by variant of the file."
    charts = [
        heat(About(f"{name}-makers", "Files: maker × runner", says), "Made by", makers, list(runners), pairs),
        heat(
            About(f"{name}-variants", f"Files on {newest}, by variant", own),
            *("Made by", fields.makers(runners[newest]), variants_in(variant for _, variant in kinds), kinds),
        ),
    ]
    return [chart for chart in charts if chart]


def counts(found: Iterable[tuple[tuple[str, str], Status]]) -> dict[tuple[str, str], Square]:
    """Count the files of each pair: how many run of how many, and whether those that do not are declared."""
    by: dict[tuple[str, str], list[Status]] = {}
    for pair, status in found:
        by.setdefault(pair, []).append(status)
    return {pair: _counted(own) for pair, own in by.items()}


def _counted(own: Sequence[Status]) -> Square:
    passed, red = own.count("passed"), any(status in RED for status in own)
    tone: Tone = "bad" if red else "good" if passed == len(own) else "some" if passed else "none"
    return Square(f"{passed} of {len(own)}", tone)
