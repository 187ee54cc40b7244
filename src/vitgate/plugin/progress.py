"""What a run is busy with, on the terminal: what shows nothing for minutes is taken for hung.

The processes that observe note in the session's folder what they build, and how far samples and pictures are; a thread
of the controller reads it once a second, which costs next to nothing beside the samples. It writes to a copy of
standard error, since pytest takes the real one for the time of a test, and only where that is a terminal, in the line
below pytest's own.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TextIO

import pytest
from tqdm import tqdm

from vitgate.observe.session_directory import counts

_SECONDS = 1.0  # between two looks
_BELOW, _BACK = "\n\x1b[K", "\x1b[A\r"  # to the next line, made empty; and up again, to the beginning
Found = dict[str, tuple[int, int]]


class Progress:
    """A line below pytest's, drawn while there is something to wait for, and cleared for what pytest writes."""

    def __init__(self, folder: Path, column: Callable[[], int], stream: TextIO) -> None:
        """Look into this session's folder from now on; `stream` is closed at the end.

        `column` says how much pytest has written of a line that it has not ended.
        """
        self._folder, self._column, self._stream = folder, column, stream
        self._names: tuple[str, ...] = ()
        self._since, self._drawn = time.monotonic(), False
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._thread.start()

    @classmethod
    def on_terminal(cls, folder: Path, column: Callable[[], int]) -> Progress | None:
        """Return one that writes to standard error as it is now; None if that or standard output is not a terminal.

        Nor on one that cannot move its cursor.
        """
        if not (sys.stderr.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            return None
        return cls(folder, column, os.fdopen(os.dup(sys.stderr.fileno()), "w"))

    def end(self) -> None:
        """Clear the line and stop."""
        self._ended.set()
        self._thread.join()
        self._stream.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        """Keep out of the way while pytest writes the mark of a test."""
        with self._lock:
            self._clear()
            return (yield)

    pytest_runtest_logstart = pytest_runtest_logfinish = pytest_runtest_logreport

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Show no more: the report follows."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS):
            with self._lock:
                self._show(counts(self._folder))
        with self._lock:
            self._clear()

    def _show(self, found: Found) -> None:
        """Draw what is under way; the time is that since something of it began or ended."""
        if tuple(found) != self._names:
            self._names, self._since = tuple(found), time.monotonic()
        self._clear()
        if found:
            width = shutil.get_terminal_size().columns - 1
            self._write(line(found, time.monotonic() - self._since, width))
            self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._write("")
        self._drawn = False

    def _write(self, text: str) -> None:
        column = self._column()
        self._stream.write(f"{_BELOW}{text}{_BACK}" + (f"\x1b[{column}C" if column else ""))
        self._stream.flush()


def line(found: Found, seconds: float, width: int) -> str:
    """Return one line: what is under way by kind, and a bar for a kind that is counted.

    Args:
        found: How much is done, and of how much (0 where that is not counted), by `kind: subject`.
        seconds: For how long.
        width: Columns at most.
    """
    kinds: dict[str, list[str]] = {}
    for name in found:
        kind, _, what = name.partition(": ")
        kinds.setdefault(kind, []).append(what)
    words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
    counted = [numbers for kind in kinds if (numbers := _sum(found, kind))[1]]
    if not counted:
        return f"{words} ({seconds:.0f} s)"[:width]
    (done, total), *_ = counted
    return str(tqdm.format_meter(done, total, seconds, ncols=width, prefix=words))[:width]


def _sum(found: Found, kind: str) -> tuple[int, int]:
    numbers = [each for name, each in found.items() if name.startswith(f"{kind}: ")]
    return sum(done for done, _ in numbers), sum(total for _, total in numbers)
