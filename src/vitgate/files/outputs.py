"""Reports that a command writes beside what it shows: one convention and one error for all of them.

`--json FILE` writes a file, `--json -` writes to standard output; what is for people then goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from vitgate.files.atomic import check_place, replacing
from vitgate.files.errors import MachineError

STDOUT = "-"


def write_text(target: str | None, make: Callable[[], str], option: str) -> None:
    """Write a report whole or not at all.

    Args:
        target: A file's name, `-` for standard output, None for nowhere.
        make: Returns the text; not called without a target.
        option: The option that names the file, for the error.

    Raises:
        MachineError: The file cannot be written.
    """
    if target is None:
        return
    if target == STDOUT:
        sys.stdout.write(make())
        return
    write_file(Path(target), make, option, what="report")


def write_file(path: Path, make: Callable[[], str], option: str, *, what: str) -> None:
    """Write a file whole or not at all, with the folders on the way.

    Args:
        path: Where to write.
        make: Returns the text.
        option: The option that names the file, for the error.
        what: What is written, for the error: `report`, `record`.

    Raises:
        MachineError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(make(), encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error, option, what) from None


def write_json(target: str | None, data: Any) -> None:
    """Write plain values to where `--json` says."""
    write_text(target, lambda: json.dumps(data, indent=1) + "\n", "--json")


def for_people(json_target: str | None) -> TextIO:
    """Return the stream of what is not JSON."""
    return sys.stderr if json_target == STDOUT else sys.stdout


def check_target(target: str | None, option: str, *, what: str = "report") -> None:
    """Look whether a file can be written: better known before the work than after it.

    Args:
        target: As of `write_text`.
        option: The option that names the file, for the error.
        what: What is written, for the error: `report`, `record`.

    Raises:
        MachineError: No file can be put there.
    """
    if target in (None, STDOUT):
        return
    path = Path(target)
    try:
        check_place(path)
    except OSError as error:
        raise unwritable(path, error, option, what) from None


def unwritable(path: Path, error: OSError, option: str, what: str) -> MachineError:
    """Return the error of a file that cannot be written.

    Args:
        path: The file.
        error: What the system said.
        option: The option that names the file.
        what: What is written: `report`, `record`.
    """
    return MachineError(f"cannot write the {what}: {error.strerror}", where=path, do=f"name another file with {option}")
