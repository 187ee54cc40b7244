"""A verdict as Markdown, for a pull request's comment or a job's summary: the answer first, the details folded.

A comment holds 65,536 characters; what would go beyond `_ROOM` is left out, the last lists first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitgate.compare.causes import Cause
from vitgate.compare.verdict import Verdict
from vitgate.files.text import code, markdown, markdown_link, short
from vitgate.report.verdict import views
from vitgate.spec.versions import titled

_ROOM = 60_000  # characters of the whole text
_ROWS = 40  # of a table
_NAMES = 5  # of a cause
_NAME = 120  # characters of a name
_MARKS = {0: "✅", 1: "❌"}


def render(verdict: Verdict) -> str:
    """Return the whole text: the verdict in its heading, the causes, folded details, the answer as the last line."""
    mark = _MARKS.get(verdict.exit_status, "⚠️")
    head = (
        f"## {mark} {markdown(views.headline(verdict))}: {markdown(views.title(verdict))}\n\n{_paragraph(verdict)}\n\n"
    )
    answer = f"\n{markdown(verdict.answer)}\n"
    room, kept = _ROOM - len(head) - len(answer), []
    for block in _blocks(verdict):
        room -= len(block)
        if room < 0:
            kept.append("\n… the rest is in the other reports.\n")
            break
        kept.append(block)
    return "".join((head, *kept, answer))


def _blocks(verdict: Verdict) -> Iterable[str]:
    """Yield the parts, the most important first."""
    old, new = map(titled, views.versions(verdict))
    yield from (f"- ❌ {markdown(short(problem))}\n" for problem in verdict.problems)
    yield from (f"- {markdown(note)}\n" for note in verdict.notes)
    yield from map(_cause, verdict.causes)
    yield from (f"- accepted: {code(short(row.id, _NAME))} {markdown(short(row.reason))}\n" for row in verdict.accepted)
    yield "\n"
    if (found := views.grid(verdict)).lines:
        lines = [(cell, *(text for text, _ in crossings)) for cell, crossings in found.lines]
        yield _table("Files of one version under the other", ("Cell", *found.headings), lines)
    if latencies := [views.latency_cells(item.row) for item in verdict.latency]:
        yield _table("Latency, measured in pairs", views.LATENCY_HEADINGS, latencies)
    rows = [(row.word, row.name, views.side(row.old), views.side(row.new), row.cause) for row in views.news(verdict)]
    if rows:
        headings = ("Verdict", "Claim", old, new, "Cause")
        yield _folded(f"Claims that are not the same ({len(rows)})", headings, rows)
    for section in views.sections(verdict):
        yield _folded(f"{section.title} ({len(section.lines)})", section.headings, section.lines)


def _paragraph(verdict: Verdict) -> str:
    words = ", ".join(f"{count} {word}" for word, count in views.counts(verdict).items())
    red = sum(cause.red for cause in verdict.causes)
    things = f" {red} {'cause' if red == 1 else 'causes'}." if red else ""
    return f"**{markdown(views.headline(verdict))}.**{things} Of the claims: {markdown(words or 'none')}."


def _cause(cause: Cause) -> str:
    names = ", ".join(code(short(name, _NAME)) for name in cause.rows[:_NAMES])
    more = f" and {len(cause.rows) - _NAMES} more" if len(cause.rows) > _NAMES else ""
    instead = f" *Instead:* {markdown(short(cause.advice))}" if cause.advice else ""
    see = f" ({markdown_link('upstream', cause.link)})" if cause.link else ""
    title = f"**{markdown(short(cause.id, _NAME))}** ({views.standing(cause)})"
    return f"- {title}: {markdown(short(cause.says))}{instead}{see}\n  <br>{names}{more}\n"


def _table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return f"**{markdown(title)}**\n\n{_grid(headings, lines)}\n"


def _folded(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return f"<details><summary>{markdown(title)}</summary>\n\n{_grid(headings, lines)}\n</details>\n\n"


def _grid(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    shown = [_line(map(short, line)) for line in lines[:_ROWS]]
    more = [f"\n… and {len(lines) - _ROWS} more."] if len(lines) > _ROWS else []
    return "\n".join([_line(headings), "|" + " --- |" * len(headings), *shown, *more, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(markdown(cell) for cell in cells)} |"
