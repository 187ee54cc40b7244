"""Tests share the machine; a latency test has it alone, among all workers of its session.

A reader-writer lock on two files: whoever wants the machine alone closes the gate, waits until the running tests have
ended, and no other test starts meanwhile. The kernel frees both locks when a process dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MachineLock:
    """The locks of one session's folder."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, which all workers share."""
        self._gate, self._room = folder / "gate.lock", folder / "room.lock"
        self._inside = False
        for path in (self._gate, self._room):
            path.touch()  # now, where a full disk is one line, and not around a test

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others; within a block that holds the machine_lock already, nothing more is needed."""
        if self._inside:
            yield
            return
        with _locked(self._gate, fcntl.LOCK_EX):
            room = _locked(self._room, fcntl.LOCK_SH)
            room.__enter__()
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            room.__exit__(None, None, None)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run while no other test of the session runs; not from within `shared`, which would wait for itself."""
        if self._inside:
            raise RuntimeError("the machine_lock is held already")
        with _locked(self._gate, fcntl.LOCK_EX), _locked(self._room, fcntl.LOCK_EX):
            self._inside = True
            try:
                yield
            finally:
                self._inside = False


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield
