"""One suite over many PyTorch versions: a record of each, one after another, and a table of all.

A version whose environment cannot be made, or in which the suite cannot run, is a line of its own in that table; the
sweep goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.outputs import for_people, write_json, write_text
from vitgate.files.schemas import unique
from vitgate.records.record import Record
from vitgate.report.compatibility import claim_counts, NOT_MADE, page
from vitgate.report.console import Color, console_for
from vitgate.spec.claims import read_claims
from vitgate.upgrade.installer import check_uv_args
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.record_cache import answered, file_name, Means, open_folder, Place
from vitgate.upgrade.requirements import check_python, Side
from vitgate.upgrade.runs import Request, suite_folder

_FAILED = ("failed", "environment error")
_WIDE = 400  # characters of a line in a file, where a table need not be folded
Echo = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep is asked: the versions, the suite's options, by what means, and the folder of the records."""

    sides: tuple[Side, ...]
    request: Request
    means: Means
    records: Path


@dataclass(frozen=True)
class Swept:
    """What became of one version: its record, or the one line that says what stood in its way."""

    name: str
    record: Record | None = None
    error: str = ""

    @property
    def is_red(self) -> bool:
        """Whether a claim failed that is not declared, or was lost."""
        record = self.record
        return record is not None and bool(record.missing or any(row.status in _FAILED for row in record.claims))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the state, PyTorch's version, and the number of rows of each status by claim."""
        record = self.record
        if record is None:
            return {"name": self.name, "state": NOT_MADE, "error": self.error}
        counts: dict[str, dict[str, int]] = {}
        for row in record.claims:
            statuses = counts.setdefault(row.claim, {})
            statuses[row.status] = statuses.get(row.status, 0) + 1
        return {"name": self.name, "state": state(record), "torch": record.environment.torch, "claims": counts}


def sweep(order: Sweep, echo: Echo) -> list[Swept]:
    """Run the suite on each version; UsageError for what is wrong whatever the version."""
    places = prepared(order)
    suite = suite_folder(order.means.cache)
    steps = Steps(echo)
    return [_swept(order, side, place, suite, steps) for side, place in zip(order.sides, places, strict=True)]


def prepared(order: Sweep) -> list[Place]:
    """Check the order, make the folder of the records, and return the place of each in it."""
    if not order.sides:
        raise UsageError("no version is named", where="vitgate sweep", do="give versions, such as 2.12.1 2.15.0")
    check_uv_args(order.means.uv_args)
    check_python(order.means.python)
    names = [file_name(side.name) for side in order.sides]
    unique(names, where="vitgate sweep")
    folder = open_folder(order.records)
    return [Place(folder, name) for name in names]


def _swept(order: Sweep, side: Side, place: Place, suite: Path, steps: Steps) -> Swept:
    try:
        record, made = answered(side, order.request, order.means, suite, place, steps)
    except MachineError as error:
        steps.say(f"{side.name}: {NOT_MADE}: {error}")
        return Swept(place.name, error=str(error))
    steps.say(f"{side.name}: {'' if made else 'kept from before: '}{summary(record)}")
    return Swept(place.name, record)


def state(record: Record) -> str:
    """Say in a word how much of the suite the record holds."""
    if record.complete:
        return "whole"
    return f"shard {record.shard}" if record.shard and not record.missing else "narrowed"


def summary(record: Record) -> str:
    """Say in one line what a record came to."""
    red = [row for row in record.claims if row.status in _FAILED]
    declared = sum(row.status == "declared" for row in record.claims)
    lost = f", {len(record.missing)} missing" if record.missing else ""
    return f"{len(record.claims)} claims checked, {len(red)} failed, {declared} deviate as declared{lost}"


def exit_status(found: Iterable[Swept]) -> int:
    """Return 6 where a version could not be checked, else 1 where a claim failed undeclared, else 0."""
    versions = list(found)
    if any(each.record is None for each in versions):
        return MachineError.exit_status
    return int(any(each.is_red for each in versions))


# ---- what a user sees of it


def table(found: Sequence[Swept]) -> Table:
    """Return the table for the terminal: a column a version, a row a claim."""
    shown = Table("", *(Column(Text(each.name)) for each in found), box=None)
    shown.add_row("run", *(state(each.record) if each.record else NOT_MADE for each in found))
    for name, cells in _rows(found):
        shown.add_row(name, *(Text(cell.replace("*", "")) for cell in cells))
    return shown


def _rows(found: Sequence[Swept]) -> Iterator[tuple[str, list[str]]]:
    columns = [claim_counts(each.record) if each.record else {} for each in found]
    for claim in read_claims():
        if any(claim in column for column in columns):
            yield claim, [column.get(claim, "-") for column in columns]


def show(found: Sequence[Swept], *, markdown: str | None, json_file: str | None, color: Color = "auto") -> None:
    """Print the table, after the files that were asked for are written.

    Args:
        found: What became of each version.
        markdown: File for the compatibility page.
        json_file: File for the table as JSON; `-` is standard output, and then the table goes to standard error.
        color: Whether the table has colours.

    Raises:
        MachineError: One of the files cannot be written.
    """
    write_json(json_file, {"versions": [each.to_json() for each in found], "exit_status": exit_status(found)})
    records = {each.name: each.record for each in found if each.record}
    errors = {each.name: each.error for each in found if not each.record}
    write_text(markdown, lambda: page(records, maker="`vitgate sweep`", errors=errors), "--markdown")
    console_for(for_people(json_file), color, plain_width=_WIDE).print(table(found))
