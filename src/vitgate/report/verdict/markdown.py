"""A verdict as Markdown, for a pull request's comment or a job's summary: the answer first, the details folded.

A comment holds 65,536 characters; the lists are cut so that this one never comes near.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitgate.judge.causes import Cause
from vitgate.judge.verdict import Verdict
from vitgate.report.verdict import views
from vitgate.report.verdict.safe import code, markdown, markdown_link, short

_ROWS = 40  # of a folded table
_NAMES = 5  # of a cause
_CAUSES = 20
_MARKS = {0: "✅", 1: "❌"}


def render(verdict: Verdict) -> str:
    """Return the whole text; the answer is its first paragraph, and its last line once more."""
    old, new = views.versions(verdict)
    mark = _MARKS.get(verdict.exit_status, "⚠️")
    lines = [
        f"## {mark} {markdown(views.headline(verdict))}: {markdown(views.title(verdict))}",
        "",
        _paragraph(verdict),
        "",
        *_causes(verdict.causes),
        *(f"- ❌ {markdown(short(problem))}" for problem in verdict.problems[:_CAUSES]),
        *(f"- accepted: {code(entry.id)} {markdown(short(entry.reason))}" for entry in verdict.accepted[:_CAUSES]),
        "",
        *_matrix(verdict),
        *_latency(verdict),
        *_rows(verdict, old, new),
    ]
    for section in views.sections(verdict):
        lines += _folded(f"{section.title} ({len(section.lines)})", section.headings, section.lines)
    lines += [markdown(verdict.answer) if len(verdict.answer) < 8 * _ROWS * _NAMES else _paragraph(verdict)]
    return "\n".join(lines) + "\n"


def _paragraph(verdict: Verdict) -> str:
    words = ", ".join(f"{count} {word}" for word, count in views.counts(verdict).items())
    red = sum(cause.red for cause in verdict.causes)
    things = f" {red} {'cause' if red == 1 else 'causes'}." if red else ""
    return f"**{markdown(views.headline(verdict))}.**{things} Of the claims: {markdown(words or 'none')}."


def _causes(causes: Sequence[Cause]) -> Iterable[str]:
    for cause in causes[:_CAUSES]:
        names = ", ".join(code(short(name)) for name in cause.rows[:_NAMES])
        more = f" and {len(cause.rows) - _NAMES} more" if len(cause.rows) > _NAMES else ""
        instead = f" *Instead:* {markdown(short(cause.advice))}" if cause.advice else ""
        see = f" ({markdown_link('upstream', cause.link)})" if cause.link else ""
        yield f"- **{markdown(short(cause.id))}** ({views.standing(cause)}): {markdown(short(cause.says))}{instead}{see}"
        yield f"  {names}{more}"
    if len(causes) > _CAUSES:
        yield f"- and {len(causes) - _CAUSES} more causes"


def _matrix(verdict: Verdict) -> list[str]:
    found = views.grid(verdict)
    lines = [(cell, *(text for text, _ in crossings)) for cell, crossings in found.lines]
    return _table("Files of one version under the other", ("Cell", *found.headings), lines) if lines else []


def _latency(verdict: Verdict) -> list[str]:
    lines = [views.latency_cells(item.row) for item in verdict.latency]
    return _table("Latency, measured in pairs", views.LATENCY_HEADINGS, lines) if lines else []


def _rows(verdict: Verdict, old: str, new: str) -> list[str]:
    rows = views.news(verdict)
    lines = [(row.word, row.name, views.side(row.old), views.side(row.new), row.cause) for row in rows]
    headings = ("Verdict", "Claim", f"PyTorch {old}", f"PyTorch {new}", "Cause")
    return _folded(f"Claims that are not the same ({len(lines)})", headings, lines) if lines else []


def _table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"**{markdown(title)}**", "", *_grid(headings, lines), ""]


def _folded(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"<details><summary>{markdown(title)}</summary>", "", *_grid(headings, lines), "", "</details>", ""]


def _grid(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    shown = [_line(map(short, line)) for line in lines[:_ROWS]]
    more = [f"\n… and {len(lines) - _ROWS} more."] if len(lines) > _ROWS else []
    return [_line(headings), "|" + " --- |" * len(headings), *shown, *more]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"
