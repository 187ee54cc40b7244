"""What the records of released versions say of a declared deviation: does it cover something that holds?"""

from __future__ import annotations

from functools import cache

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed
from vitgate.judge.deviations import Deviation, Place
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named
from vitgate.spec.variants import VariantName, VARIANTS
from vitgate.spec.versions import public

WIDEST = 0.1  # of a window's middle: more would let a file grow by a tenth unseen


def holds_where_declared(deviation: Deviation) -> list[str]:
    """Return the claims, with the release, that passed on a recorded one where the deviation says that they fail."""
    return [
        f"{row.name} on {public(record.environment.torch)}"
        for record in _records()
        for row in record.claims
        if row.status == "passed" and _covers(deviation, row, record)
    ]


@cache
def _records() -> tuple[Record, ...]:
    return tuple(read_record(path) for path in sorted((fixtures_folder() / "records").glob("*.json")))


def _covers(deviation: Deviation, row: ClaimRow, record: Record) -> bool:
    cell, maker = _place(row)
    environment = record.environment
    torch, machine = public(environment.torch), environment.machine
    return deviation.applies(Place(row.claim, row.subject, cell, torch, machine, maker))


def _place(row: ClaimRow) -> tuple[CellId | None, str]:
    """Return the cell and the maker that the row is about, where it is about any."""
    if item := _files().get(row.subject):
        return item
    variant: VariantName = next((name for name in VARIANTS if name == row.variant), "original")
    return (CellId(row.case, engine_named(row.engine), variant), "") if row.engine else (None, "")


@cache
def _files() -> dict[str, tuple[CellId | None, str]]:
    return {item.row.id: (item.cell, item.maker) for item in committed()}


def too_wide(deviation: Deviation) -> bool:
    """Whether the number that the deviation expects may be almost any."""
    number = deviation.number
    return number is not None and number.upper - number.lower > WIDEST * abs(number.upper + number.lower) / 2
