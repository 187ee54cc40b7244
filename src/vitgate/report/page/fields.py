"""What the plots take from a record's rows: SQNR per block, and files that other releases made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vitgate.records.record import Record
from vitgate.records.rows import CellRow, Status
from vitgate.spec.cells import FieldFileId
from vitgate.spec.versions import age


@dataclass(frozen=True)
class File:
    """A file from the field: who made it, as which variant, and what became of it here."""

    maker: str
    variant: str
    status: Status


def files(record: Record) -> list[File]:
    """Return the files of the claim `field`, whose names are MAKER-CASE-ENGINE-VARIANT."""
    found = []
    for row in record.claims:
        if row.claim == "field":
            made = FieldFileId.parse(row.subject)
            found.append(File(made.maker, made.variant, row.status))
    return found


def makers(found: Iterable[File]) -> list[str]:
    """Return who made these files, the oldest release first."""
    return sorted({file.maker for file in found}, key=age)


def failed(cell: CellRow) -> bool:
    """Whether a claim about the cell failed that nothing declares."""
    return cell.outcome == "failed"
