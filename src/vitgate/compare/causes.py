"""Group regressions by root cause: a hundred red rows with one cause are read about, and decided on, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from packaging.version import InvalidVersion

from vitgate.compare.pairing import Judged, JudgedLatency, JudgedMatrixRow, Side, VerdictRow
from vitgate.files.schemas import Strict
from vitgate.judge.deviations import Deviation
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import cell_name
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.versions import within

Kind = Literal["deviation", "undeclared", "engine", "missing", "crossing", "latency", "environment error"]
_LONGEST = 240  # characters of a message that are shown as what a cause says


class Cause(Strict):
    """One reason for red rows. `says` is never empty.

    `reason`, `link` and `advice` are a declared deviation's: the rows' own, or another's that shows in the same way.

    `red` is false once every row of it is accepted.
    """

    id: str
    kind: Kind
    says: str
    reason: str = ""
    link: str = ""
    advice: str = ""
    rows: tuple[str, ...]
    regressed: bool
    red: bool


Key = tuple[Kind, str]


class Causes:
    """Names the cause of each red row of one comparison, from what the new record holds."""

    def __init__(self, claims: Iterable[ClaimRow], declared: Sequence[Deviation], torch: str) -> None:
        """Look up builds in `claims`, reasons in `declared`; `torch` is the new version."""
        self._here = [row for row in declared if row.message and _within(row, torch)]
        self._builds = {row.subject: row for row in claims if row.claim == "build"}
        self._declared: Mapping[str, Deviation] = {row.id: row for row in declared}

    def key(self, item: Judged) -> Key:
        """Return kind and id of the cause."""
        if item.word == "environment error":
            return "environment error", "environment error"
        if isinstance(item, JudgedLatency):
            return "latency", "slower"
        if isinstance(item, JudgedMatrixRow):
            row = item.row
            crossing: Key = ("crossing", f"files of {row.maker} under {row.runner}")
            return ("deviation", row.deviation) if row.status == "declared" and row.deviation else crossing
        assert isinstance(item, VerdictRow)
        return self._of_row(item)

    def _of_row(self, row: VerdictRow) -> Key:
        if row.new is None:
            return "missing", "missing"
        if row.note:  # its outcome is as before, and whatever declares that declares no such step
            return "undeclared", row.claim
        if row.new.status == "unsupported" and row.new.error == NO_TOOLS:
            build = self._builds.get(cell_name(row.case, row.engine, row.variant))
            lacks_all = row.engine == NO_ENGINE and build is not None and build.error == NO_TOOLS
            return "missing", f"no tools for {row.variant if lacks_all else row.claim}"
        if row.new.status == "unsupported":
            return "engine", f"no engine {row.engine}".strip()
        kind, name = self._of_outcome(row.claim, row, row.new)
        alike = self._alike(row) if kind == "undeclared" else None
        return kind, f"{name} like {alike.id}" if alike else name

    def _alike(self, item: Judged) -> Deviation | None:
        """Return what is declared elsewhere and shows in the same way.

        Deviations select by variant, which a user's own file has none of; what its users can do is the same.
        """
        new = item.new if isinstance(item, VerdictRow) else None
        if not isinstance(item, VerdictRow) or new is None or new.status != "failed" or new.deviation:
            return None
        shown = (new.outcome_text, new.error)
        rows = [row for row in self._here if item.claim in row.claims and (row.outcome, row.error) == shown]
        return next((row for row in rows if row.message in new.message), None)

    def _of_outcome(self, claim: str, row: VerdictRow, found: ClaimRow | Side) -> Key:
        """Follow a blocked row to the build that stopped; it is the cause, whatever was claimed."""
        if found.status == "declared":
            return "deviation", found.deviation
        if found.outcome == "blocked by":
            build = self._builds.get(cell_name(row.case, row.engine, found.at))
            if build is not None and build.outcome != "passed" and build.outcome_text != found.outcome_text:
                return self._of_outcome("build", row, build)
            return "undeclared", found.outcome_text
        return "undeclared", found.outcome_text if found.outcome == "failed at" else claim

    def grouped(self, items: Sequence[Judged], keys: Mapping[str, Key]) -> tuple[Cause, ...]:
        """Return the causes of all items that have one, in the order of their first row."""
        groups: dict[Key, list[Judged]] = {}
        for item in items:
            if item.name in keys:
                groups.setdefault(keys[item.name], []).append(item)
        return tuple(self._cause(key, rows) for key, rows in groups.items())

    def _cause(self, key: Key, rows: list[Judged]) -> Cause:
        kind, name = key
        declared = self._declared.get(name) if kind == "deviation" else self._alike(rows[0])
        own = declared.reason if declared and kind == "deviation" else _says(key, rows)
        return Cause(
            id=name,
            kind=kind,
            says=f"{own}. So it is with {declared.id}: {declared.reason}"
            if declared and own != declared.reason
            else own,
            reason=declared.reason if declared else "",
            link=declared.link if declared else "",
            advice=declared.advice if declared else "",
            rows=tuple(row.name for row in rows),
            regressed=any(row.word == "regressed" for row in rows),
            red=any(row.red for row in rows),
        )


def _within(row: Deviation, torch: str) -> bool:
    """Whether the deviation is about this version; a record's may be no version at all."""
    try:
        return within(row.torch, torch)
    except InvalidVersion:
        return False


def _says(key: Key, rows: list[Judged]) -> str:
    """Say what an undeclared cause is, by the first row that has words of its own."""
    kind, _name = key
    if kind == "engine":
        return "this build lacks the engine that the earlier one had."
    if kind == "latency":
        return f"{_slowest(rows)}."
    message = next((text for text in map(_message, rows) if text), "")
    if kind == "missing":
        return f"what is not checked says nothing{': ' + message if message else '.'}"
    if kind in ("deviation", "environment error"):
        return message or "no reason is given."
    again = "" if any(row.word != "broken in both" for row in rows) else "it failed before too, which excuses nothing; "
    return f"{again}declared nowhere{': ' + message if message else ''}"


def _slowest(rows: list[Judged]) -> str:
    ratios = [row.row for row in rows if isinstance(row, JudgedLatency)]
    worst = max(ratios, key=lambda row: row.ratio or 0.0)
    note = f"; {worst.note}" if worst.note else ""
    return f"{worst.ratio:.2f} times the latency (from {worst.old_ms:.2f} to {worst.new_ms:.2f} ms) at worst{note}"


def _message(item: Judged) -> str:
    """Return what the record says of the row, in one line of bounded length."""
    if isinstance(item, JudgedMatrixRow):
        text = item.row.message or item.row.outcome_text
    elif isinstance(item, VerdictRow):
        sides: list[Side] = [side for side in (item.new, item.old) if side is not None]
        ill = [side for side in sides if item.word != "environment error" or side.status == "environment error"]
        text = item.note or next((side.message for side in ill if side.message), "")
    else:
        text = ""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
