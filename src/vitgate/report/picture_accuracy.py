"""What a run says of the folder of the user's pictures: a table on the terminal, and every changed label in a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.table import Table

from vitgate.files.atomic import replacing
from vitgate.files.outputs import check_target, unwritable
from vitgate.judge.picture_accuracy import of_variant, Predictions, predictions_from
from vitgate.observe.inputs import labelled
from vitgate.observe.predictions import images
from vitgate.observe.store import Store
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId
from vitgate.spec.claims import IMAGES, read_claims
from vitgate.spec.run_config import RunConfig

COLUMNS = ("cell", "picture", "label", "original_top1", "original_confidence", "top1", "confidence")
_HEADINGS = ("Variant", "Accuracy", "95% interval", "Change", "Agreement", "Changed labels", "Calibration error", "NLL")
_WHAT = "list of changed labels"


def list_beside(record: Path) -> Path:
    """Return where the list of changed labels goes: beside the record, under its name."""
    return record.with_name(f"{record.stem}-images.csv")


def check_list(record: Path) -> None:
    """MachineError where no list can be put: better known before the run than after it."""
    check_target(str(list_beside(record)), "--record", what=_WHAT)


def write_list(plan: RunConfig, store: Store, record: Path) -> Path:
    """Write a row for every picture whose label changed, cell by cell, whole or not at all; return where.

    Args:
        plan: Selects the cells.
        store: The run's evidence. A picture's name that is no text is written as the bytes it is.
        record: The record's file, beside which the list is put.

    Raises:
        MachineError: The list cannot be written.
    """
    path = list_beside(record)
    how = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    try:
        with replacing(path) as temporary, temporary.open("w", **how) as file:  # type: ignore[call-overload]  # of texts
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(_rows(plan, store))
    except OSError as error:
        raise unwritable(path, error, "--record", _WHAT) from None
    return path


def _rows(plan: RunConfig, store: Store) -> Iterator[tuple[object, ...]]:
    folder = labelled.find(store)
    if folder is None or folder.outcome is not None:
        return
    names, labels = folder.values["names"], folder.arrays["labels"]
    for cell in filter(plan.selects, read_claims()[IMAGES].cells()):
        original, own = _predictions(store, cell.at("original")), _predictions(store, cell)
        if original is None or own is None:
            continue
        for at in np.flatnonzero(own.top != original.top):
            seen = [(each.top[at], f"{each.confidence[at]:.4f}") for each in (original, own)]
            yield (cell, names[at], labels[at], *seen[0], *seen[1])


def _predictions(store: Store, cell: CellId) -> Predictions | None:
    """Return what the variant said, if it did so in this run."""
    found = images.find(store, cell)
    own = of_variant(found, cell.variant) if found else None
    return None if own is None or own.outcome is not None else predictions_from(own)


def tables(record: Record) -> Iterator[Table]:
    """Yield a table for each case and engine that went through the folder."""
    rows = [row for row in record.claims if row.claim == IMAGES and row.findings]
    for case, engine in dict.fromkeys((row.case, row.engine) for row in rows):
        table = Table(title=f"{case} on {engine}, your pictures", title_justify="left")
        for heading in _HEADINGS:
            table.add_column(heading, justify="left" if heading == "Variant" else "right")
        own = {row.variant: row for row in rows if (row.case, row.engine) == (case, engine)}
        cells = [cell for cell in read_claims()[IMAGES].cells() if (cell.case, cell.engine) == (case, engine)]
        for cell in [cell for cell in cells if cell.variant in own]:
            table.add_row(cell.variant, *_columns(own[cell.variant]))
        yield table


def _columns(row: ClaimRow) -> list[str]:
    values = {finding.statistic: finding.value for finding in row.findings}

    def show(name: str, form: str = "{:.4f}") -> str:
        value = values.get(name)
        return "-" if value is None else form.format(value)

    return [
        show("accuracy"),
        f"{show('accuracy_low')} to {show('accuracy_high')}",
        show("accuracy_change", "{:+.4f}"),
        show("agreement"),
        show("changed_labels", "{:.0f}"),
        show("calibration_error"),
        show("nll"),
    ]
