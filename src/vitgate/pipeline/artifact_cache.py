"""Artifacts on disk, keyed by everything that decides their content: nothing is built twice, nothing altered is used.

An entry is a folder `KEY/` with the file and `entry.json` (its blake2b digest, its size, how it was made). It appears
by a rename, so it is whole or absent; a file that was altered later no longer matches its digest and is built again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from vitgate.files.atomic import check_folder
from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest_of
from vitgate.files.locks import if_free, locked


@dataclass(frozen=True)
class Entry:
    """One cached file.

    `stamp` is (size, mtime in ns, inode): while it is unchanged the digest is not taken anew, which would read hundreds
    of megabytes at each use. A file that is altered in place with size and time restored is not detected.
    """

    path: str
    bytes: int
    digest: str
    seconds: float
    stamp: tuple[int, int, int]


_ENTRY = TypeAdapter(Entry)


class ArtifactCache:
    """A folder of entries, shared by all workers, and between sessions if the user names it."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, created if need be; MachineError if that fails."""
        self.folder = folder
        try:
            check_folder(folder)
        except OSError as error:
            what = f"cannot keep artifacts: {error}"
            raise MachineError(what, where=folder, do="choose another --artifact-cache") from None

    def get(self, key: str, file: str, make: Callable[[Path], object]) -> Entry:
        """Return an entry, made if it is missing or was altered.

        Args:
            key: Digest of everything that decides the content.
            file: The name of its file.
            make: Writes the file to the path that it is given.
        """
        folder = self.folder / key
        with locked(self.folder / "locks" / key):
            entry = self._sound(folder)
            if entry is None:
                shutil.rmtree(folder, ignore_errors=True)
                entry = self._make(folder, file, make)
        return entry

    def drop(self, key: str) -> None:
        """Delete that entry."""
        with locked(self.folder / "locks" / key):
            shutil.rmtree(self.folder / key, ignore_errors=True)

    def clear_leftovers(self) -> None:
        """Remove temporary folders of processes that were killed; a process that still builds holds its key's lock."""
        for left in self.folder.glob(".*.tmp"):
            key = left.name.split(".")[1]
            with if_free(self.folder / "locks" / f"{key}.lock") as free:
                if free:
                    shutil.rmtree(left, ignore_errors=True)

    def _make(self, folder: Path, file: str, make: Callable[[Path], object]) -> Entry:
        for left in self.folder.glob(f".{folder.name}.*.tmp"):  # by makers that were killed: the key's lock is ours
            shutil.rmtree(left, ignore_errors=True)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        temporary.mkdir()
        try:
            start = time.perf_counter()
            make(temporary / file)
            entry = _entry(temporary / file, folder / file, time.perf_counter() - start)
            (temporary / "entry.json").write_text(json.dumps(asdict(entry)), encoding="utf-8")
            os.rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return entry

    def _sound(self, folder: Path) -> Entry | None:
        try:
            row = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            entry = _ENTRY.validate_python({**row, "path": str(folder / Path(row["path"]).name)})
            if _stamp(Path(entry.path)) == entry.stamp:
                return entry
            return entry if digest_of(Path(entry.path)) == entry.digest else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _entry(path: Path, final: Path, seconds: float) -> Entry:
    return Entry(str(final), path.stat().st_size, digest_of(path), seconds, _stamp(path))
