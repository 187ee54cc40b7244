"""Files that appear whole or not at all, and whether there is room for them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_place(path: Path) -> None:
    """Raise OSError where no file can be put at that path; its folder is made."""
    check_folder(path.parent)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def check_folder(folder: Path) -> None:
    """Raise OSError where nothing can be put into that folder; it is made."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "not writable")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Atomically replace `path`: yield a temporary sibling and rename it on success."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


_LEAST_FREE_BYTES = 16 << 20  # torch only says "failed writing file", or ends the whole process


def is_full(folder: Path) -> bool:
    """Whether so little room is left that what failed to be written there failed for that."""
    return shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
