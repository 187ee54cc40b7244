"""Locks between processes: the kernel frees them when a process dies, however it dies.

`flock` itself, because a lock can then be shared, and handed to a child process, which holds it until it has ended too:
a uv that outlives its killed parent goes on writing, and nobody may clear the folder under it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from pathlib import Path

_POLL = 0.01  # seconds; flock itself knows no time limit


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Hold the lock beside others that share it; yield its descriptor."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor


@contextmanager
def alone(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold the lock alone; call `waiting` before waiting for others. Yield its descriptor."""
    with _opened(path) as descriptor:
        if not _taken(descriptor):
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


@contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock alone if nobody else holds it; yield whether it is held."""
    with _opened(path) as descriptor:
        yield _taken(descriptor)


@contextmanager
def locked(path: Path, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock beside that path, `PATH.lock`, alone; TimeoutError if it is not free within `timeout` seconds."""
    lock = path.with_name(f"{path.name}.lock")
    end = None if timeout is None else time.monotonic() + timeout
    with _opened(lock) as descriptor:
        while not _taken(descriptor):
            if end is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                break
            if time.monotonic() > end:
                raise TimeoutError(str(lock))
            time.sleep(_POLL)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that was forked meanwhile


class MachineLock:
    """Tests share the machine; a latency test has it alone, among all workers of its session.

    A reader-writer lock on two files: whoever wants the machine alone closes the gate, waits until the running tests
    have ended, and no other test starts meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        """Use the locks in this folder, which all workers share."""
        self._gate, self._room = folder / "gate.lock", folder / "room.lock"
        self._inside = False
        for path in (self._gate, self._room):
            path.touch()  # now, where a full disk is one line, and not around a test

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others; within a block that holds the lock already, nothing more is needed."""
        if self._inside:
            yield
            return
        with ExitStack() as room:
            with alone(self._gate):
                room.enter_context(shared(self._room))
            with self._entered():
                yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run while no other test of the session runs; not from within `shared`, which would wait for itself."""
        if self._inside:
            raise RuntimeError("the machine's lock is held already")
        with alone(self._gate), alone(self._room), self._entered():
            yield

    @contextmanager
    def _entered(self) -> Iterator[None]:
        self._inside = True
        try:
            yield
        finally:
            self._inside = False


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield file.fileno()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
