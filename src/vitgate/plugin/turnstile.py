"""Tests share the machine; a latency test has it alone, among all workers of its session.

A reader-writer lock on two files: whoever wants the machine alone closes the gate, waits until the running tests have
ended, and no other test starts meanwhile. The kernel frees both locks when a process dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """The locks of one session's folder."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, which all workers share."""
        self._gate, self._room = folder / "gate.lock", folder / "room.lock"

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others."""
        with _locked(self._gate, fcntl.LOCK_EX):
            room = _locked(self._room, fcntl.LOCK_SH)
            room.__enter__()
        try:
            yield
        finally:
            room.__exit__(None, None, None)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run while no other test of the session runs."""
        with _locked(self._gate, fcntl.LOCK_EX), _locked(self._room, fcntl.LOCK_EX):
            yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield
