"""Writing the page of a run: whole or not at all. What draws its plots is imported once one is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vitgate.errors import MachineError
from vitgate.evidence import check_place, replacing
from vitgate.judge.record import Record


def check_target(path: Path, *, option: str) -> None:
    """MachineError for a place that takes no page: better known before a run than after it."""
    try:
        check_place(path)
    except OSError as error:
        raise _unwritable(path, error, option) from None


def write(records: Sequence[Record], path: Path, *, option: str) -> None:
    """Write the page of these records; UsageError as `render`, MachineError where the file cannot be written."""
    from vitgate.report.page.html import render

    text = render(records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error, option) from None


def _unwritable(path: Path, error: OSError, option: str) -> MachineError:
    what = f"cannot write the report: {error.strerror}"
    return MachineError(what, where=path, do=f"name another file with {option}")
