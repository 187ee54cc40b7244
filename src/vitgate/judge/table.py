"""The benchmark table as readable text, and its comparison with the accepted one, column by column.

A table is the tutorial's, grown by the numbers that decide: one line a variant, columns separated by `|`, preceded by
`# key: value` lines that say where it was measured. Nothing is masked: each column has a declared tolerance, and a
column that cannot be compared (another processor) is reported with the reason instead. The SQNR is shown beside the
expected one, and held against that by the claim `logits_original`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vitgate.files.errors import UsageError
from vitgate.files.schemas import MOST_TOML, read_text, unique
from vitgate.judge.tolerances import Tolerances
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named
from vitgate.spec.outcome import Finding

COLUMNS = ("variant", "size_mb", "size_reduction", "latency_ms", "latency_ratio", "label", "sqnr_db", "outcome")
EMPTY = "-"
DECLARED = ", declared as "


@dataclass(frozen=True)
class Table:
    """Where it was measured, and its lines by variant, each with the text of every column."""

    about: Mapping[str, str]
    lines: Mapping[str, Mapping[str, str]]


def render(table: Table) -> str:
    """Return the table as text with aligned columns, ending in a newline."""
    widths = {name: max([len(name), *(len(line[name]) for line in table.lines.values())]) for name in COLUMNS}
    head = [f"# {key}: {value}" for key, value in table.about.items()]
    rows = [{name: name for name in COLUMNS}, *table.lines.values()]
    body = [" | ".join(row[name].ljust(widths[name]) for name in COLUMNS).rstrip() for row in rows]
    return "\n".join([*head, *body]) + "\n"


def read_table(path: Path) -> Table:
    """Read an accepted table; UsageError where it is none."""
    try:
        return parse(read_text(path, MOST_TOML), where=path)
    except (OSError, ValueError) as error:
        do = "accept it anew with --snapshot-update"
        raise UsageError(f"cannot read this table: {error}", where=path, do=do) from None


def parse(text: str, where: object = "") -> Table:
    """Read what `render` wrote; UsageError where it is not that, has no line, or two for one variant."""
    lines = text.splitlines()
    about = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    rows = [[part.strip() for part in line.split(" | ")] for line in lines if line and not line.startswith("#")]
    if len(rows) < 2 or tuple(rows[0]) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise UsageError("not a benchmark table", where=where, do="accept it anew with --snapshot-update")
    unique([row[0] for row in rows], where=where)
    return Table(about, {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]})


def differences(own: Table, accepted: Table) -> list[Finding]:
    """Return one finding per compared number, against "accepted", and one `lines_that_differ` for the words.

    A line whose outcome a deviation declares has no numbers to compare; the build claim holds it to that outcome.
    """
    words: list[str] = []
    if list(own.lines) != list(accepted.lines):
        words.append(f"variants {', '.join(own.lines)} instead of {', '.join(accepted.lines)}")
    found: list[Finding] = []
    for variant in [name for name in own.lines if name in accepted.lines]:
        mine, theirs = own.lines[variant], accepted.lines[variant]
        if DECLARED in mine["outcome"]:
            continue
        words += [
            f"{variant}: {name} {mine[name]!r}, accepted {theirs[name]!r}"
            for name in ("label", "outcome")
            if mine[name] != theirs[name]
        ]
        found += [column.finding(variant, own, accepted) for column in _NUMBERS]
    return [Finding("lines_that_differ", float(len(words)), "1", against="accepted", note="; ".join(words)), *found]


def judged(own: Table, accepted: Table, tolerances: Tolerances) -> list[Finding]:
    """Return the differences with their bounds.

    Args:
        own: This run's table, whose case, engine, weights and machine select the bounds.
        accepted: The committed one.
        tolerances: Of the claim `table`.

    Raises:
        UsageError: A number is not one, or no single tolerance is about it.
    """
    about = own.about
    cell = CellId(about["case"], engine_named(about["engine"]), "original")
    return [
        tolerances.bounded("table", finding, cell, about["weights"], about["machine"])
        for finding in differences(own, accepted)
    ]


def _number(text: str) -> float:
    if text == EMPTY:
        return math.nan
    try:
        return float(text)
    except ValueError:
        do = "accept the table anew with --snapshot-update"
        raise UsageError(f"{text!r} is not a number", where="benchmark table", do=do) from None


def _distance(mine: float, theirs: float) -> float:
    return abs(math.log(mine) - math.log(theirs)) if mine > 0 and theirs > 0 else math.nan


@dataclass(frozen=True)
class _Column:
    """How one column of numbers is compared: by the logarithm of the ratio.

    It is judged where both tables say the same of `same`, a word of their heads.
    """

    name: str
    statistic: str
    same: str = ""

    def finding(self, variant: str, own: Table, accepted: Table) -> Finding:
        """Return by how much the variant's line differs from the accepted one.

        Args:
            variant: A line that both tables have.
            own: This run's table.
            accepted: The committed one.

        Raises:
            UsageError: What stands in the column is not a number.
        """
        mine, theirs = own.lines[variant][self.name], accepted.lines[variant][self.name]
        if mine == theirs == EMPTY:
            note = f"{variant}: no {self.name} in either"
            return Finding(self.statistic, 0.0, "log ratio", against="accepted", judged=False, note=note)
        why_not = "" if EMPTY in (mine, theirs) else self._elsewhere(own, accepted)
        note = f"{variant}: {mine}, accepted {theirs}{why_not}"
        value = _distance(_number(mine), _number(theirs))
        return Finding(self.statistic, value, "log ratio", against="accepted", judged=not why_not, note=note)

    def _elsewhere(self, own: Table, accepted: Table) -> str:
        here, there = own.about.get(self.same), accepted.about.get(self.same)
        return "" if here == there else f"; not judged, {self.same} is {here}, accepted on {there}"


_NUMBERS = (
    _Column("size_mb", "size_change"),
    _Column("latency_ratio", "latency_ratio_change", same="cpu"),
)
