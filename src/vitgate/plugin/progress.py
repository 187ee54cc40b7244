"""How far the pictures of a user's folder are, on the terminal: what shows nothing for an hour is taken for hung.

The processes that observe note in the session's folder what they have done; a thread of the controller reads it. It
writes to a copy of standard error, since pytest takes the real one for the time of a test, and only where that is a
terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pytest
from tqdm import tqdm

from vitgate.session import counts

_SECONDS = 0.5  # between two looks


class Progress:
    """A bar, drawn while there is something to wait for, and cleared for what pytest writes."""

    def __init__(self, folder: Path, within_line: Callable[[], bool], stream: TextIO) -> None:
        """Look into this session's folder from now on; `stream` is closed at the end.

        `within_line` says whether pytest has begun a line that it has not ended.
        """
        self._folder, self._within_line, self._stream = folder, within_line, stream
        self._bar: tqdm[Any] | None = None
        self._names: tuple[str, ...] = ()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress of pictures", daemon=True)
        self._thread.start()

    @classmethod
    def on_terminal(cls, folder: Path, within_line: Callable[[], bool]) -> Progress | None:
        """Return one that writes to standard error as it is now; None where that is no terminal."""
        if not sys.stderr.isatty():
            return None
        return cls(folder, within_line, os.fdopen(os.dup(sys.stderr.fileno()), "w"))

    def end(self) -> None:
        """Clear the bar and stop."""
        self._ended.set()
        self._thread.join()
        self._stream.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Make room for the mark that pytest is about to write."""
        with self._lock:
            self._close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Show no more: the report follows."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS):
            with self._lock:
                self._show(counts(self._folder))
        with self._lock:
            self._close()

    def _show(self, found: dict[str, tuple[int, int]]) -> None:
        """Draw what is under way in one bar; another one when something began or ended, whose pace is another."""
        if tuple(found) != self._names:
            self._close()
            self._names = tuple(found)
        if not found:
            return
        done, total = (sum(numbers) for numbers in zip(*found.values(), strict=True))
        bar = self._bar
        if bar is None:
            if self._within_line():  # what is there of the line stays
                self._stream.write("\n")
            names, width = f"pictures, {', '.join(found)}", shutil.get_terminal_size().columns - 1
            self._bar = bar = tqdm(total=total, initial=done, desc=names, leave=False, ncols=width, file=self._stream)
        bar.n = done
        bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
