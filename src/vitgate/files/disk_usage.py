"""Disk use of folders that share files by hard links: uv makes a second environment from the first one's files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 512  # bytes; the unit of `st_blocks`, whatever the file system's own


@dataclass(frozen=True)
class Usage:
    """The files of a folder by (device, inode): disk bytes, links that exist, links found here."""

    files: dict[tuple[int, int], tuple[int, int, int]]

    @property
    def bytes(self) -> int:
        """Disk bytes, each file counted once."""
        return sum(size for size, _, _ in self.files.values())

    @property
    def own(self) -> int:
        """Bytes that become free with the folder: all links to them are in it."""
        return sum(size for size, links, here in self.files.values() if here >= links)

    @property
    def shared(self) -> int:
        """Bytes that other environments or uv's cache hold too."""
        return self.bytes - self.own


def usage(folder: Path) -> Usage:
    """Look at all files below; those that vanish meanwhile are left out."""
    files: dict[tuple[int, int], tuple[int, int, int]] = {}
    for status in _statuses(folder):
        place = (status.st_dev, status.st_ino)
        here = files[place][2] if place in files else 0
        files[place] = (status.st_blocks * _BLOCK, status.st_nlink, here + 1)
    return Usage(files)


class Tally:
    """The use of several folders as of one, from which folders can be taken away again."""

    def __init__(self, usages: Iterable[Usage] = ()) -> None:
        """Count each file once, however many of the folders have it."""
        self._files: dict[tuple[int, int], tuple[int, int, int]] = {}
        self.bytes = 0
        for usage in usages:
            self.add(usage)

    def add(self, usage: Usage) -> None:
        """Count a folder in."""
        for place, (size, links, here) in usage.files.items():
            if place not in self._files:
                self.bytes += size
            self._files[place] = (size, links, here + self._files.get(place, (0, 0, 0))[2])

    def take(self, usage: Usage) -> None:
        """Count a folder out that was counted in."""
        for place, (size, links, here) in usage.files.items():
            left = self._files[place][2] - here
            if left:
                self._files[place] = (size, links, left)
            else:
                del self._files[place]
                self.bytes -= size

    def usage(self) -> Usage:
        """Return what is counted."""
        return Usage(dict(self._files))


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _statuses(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False)
        except OSError:
            continue
