"""What all reports of a verdict show, before it takes a form: the same rows, figures and words in each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vitgate.compare.causes import Cause
from vitgate.compare.changes import Change
from vitgate.compare.pairing import JudgedMatrixRow, PairedLatency, Side, VerdictRow, Word, WORDS
from vitgate.compare.verdict import Verdict
from vitgate.report.formats import decibels, interval, megabytes, shown
from vitgate.spec.versions import release_names, titled


@dataclass(frozen=True)
class Grid:
    """The matrix maker × runner: a heading for each pair of versions, and a line for each cell.

    `short` are the headings for where there is little room.
    """

    headings: tuple[str, ...]
    short: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[str, Word | None], ...]], ...]


def versions(verdict: Verdict) -> tuple[str, str]:
    """Return what the sides are called: PyTorch's versions, or what else tells them apart."""
    return release_names(verdict.old, verdict.new)


def title(verdict: Verdict) -> str:
    """Return what the report is about."""
    old, new = versions(verdict)
    return f"{titled(old)} → {new}"


def headline(verdict: Verdict) -> str:
    """Return the verdict in two or three words."""
    return {0: "May upgrade", 1: "Do not upgrade"}.get(verdict.exit_status, "No answer")


def counts(verdict: Verdict) -> dict[Word, int]:
    """Return how many rows each word has, in the order of `WORDS`, without those that have none."""
    words = [row.word for row in verdict.rows]
    return {word: words.count(word) for word in WORDS if word in words}


def news(verdict: Verdict) -> list[VerdictRow]:
    """Return the rows that are not the same as before, by word."""
    rows = [row for row in verdict.rows if row.word != "same"]
    return sorted(rows, key=lambda row: WORDS.index(row.word))


def side(found: Side | None) -> str:
    """Say what became of a claim in one record."""
    if found is None:
        return "no row"
    error = f" with {found.error}" if found.error else ""
    declared = f" ({found.deviation})" if found.status == "declared" else ""
    return f"{found.outcome_text}{error}{declared}"


def standing(cause: Cause) -> str:
    """Say what a cause means for the upgrade."""
    if not cause.red:
        return "accepted"
    return "breaks" if cause.regressed else "in the way"


def grid(verdict: Verdict) -> Grid:
    """Return the matrix as a table: maker and runner across, cells down."""
    old, new = versions(verdict)
    pairs = list(dict.fromkeys(((old, old), (old, new), (new, old), (new, new))))
    found = {(_cell(item), item.row.maker, item.row.runner): item for item in verdict.matrix}
    cells = dict.fromkeys(_cell(item) for item in verdict.matrix)
    lines = tuple((cell, tuple(_crossing(found.get((cell, *pair))) for pair in pairs)) for cell in cells)
    headings = tuple(f"made by {maker}, run by {runner}" for maker, runner in pairs)
    return Grid(headings, tuple(f"{maker} on {runner}" for maker, runner in pairs), lines)


def _cell(item: JudgedMatrixRow) -> str:
    return item.row.cell


def _crossing(item: JudgedMatrixRow | None) -> tuple[str, Word | None]:
    if item is None:
        return "not tried", None
    row = item.row
    exact = f", {decibels(row.sqnr_db)}" if row.sqnr_db is not None else ""
    accepted = ", accepted" if item.accepted else ""
    word = f": {item.word}" if row.maker != row.runner else ""
    return f"{row.outcome_text}{exact}{word}{accepted}", item.word


def latency_cells(row: PairedLatency) -> tuple[str, ...]:
    """Return the columns of one paired latency; see `LATENCY_HEADINGS`."""
    return (
        row.cell,
        shown(row.old_ms, "{:.2f} ms"),
        shown(row.new_ms, "{:.2f} ms"),
        shown(row.ratio, "{:.3f}"),
        interval(row.low, row.high),
        str(row.pairs),
        f"{row.verdict} ({row.note})" if row.note else row.verdict,
    )


LATENCY_HEADINGS = ("Cell", "Old", "New", "Ratio", "Interval", "Pairs", "Verdict")
CHANGE_HEADINGS = ("What", "Old", "New")
SIZE_HEADINGS = ("File", "Old", "New", "Change")
DRIFT_HEADINGS = ("Logits of", "Against", "Old", "New", "Change")


@dataclass(frozen=True)
class Section:
    """One list of what differs: a title, the columns' headings, and the lines."""

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def sections(verdict: Verdict) -> Iterable[Section]:
    """Yield what differs beside the outcomes, kind by kind; nothing for a kind without differences."""
    changes = verdict.changes
    words = {
        "Preprocessed inputs": changes.inputs,
        "Calls": changes.calls,
        "Warnings": changes.warnings,
        "Operators of lite files": changes.operators,
        "Bytecode of lite files": changes.bytecode,
        "Packages and machine": changes.environment,
    }
    sizes = tuple(
        (row.cell, megabytes(row.old_bytes), megabytes(row.new_bytes), _percent(row.change_percent))
        for row in changes.sizes
    )
    drift = tuple(
        (row.cell, row.against, decibels(row.old_sqnr_db), decibels(row.new_sqnr_db), f"{row.change_db:+.2f} dB")
        for row in changes.drift
    )
    found = [
        Section("File sizes", SIZE_HEADINGS, sizes),
        Section("Numeric drift", DRIFT_HEADINGS, drift),
        *(Section(name, CHANGE_HEADINGS, tuple(map(_change, rows))) for name, rows in words.items()),
    ]
    return [section for section in found if section.lines]


def _percent(value: float) -> str:
    return f"{value:+.2f} %" if abs(value) >= 0.005 else f"{value:+.0e} %"


def _change(row: Change) -> tuple[str, ...]:
    return row.what, row.old or "-", row.new or "-"
