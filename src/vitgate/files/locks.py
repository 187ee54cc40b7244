"""Who uses an environment shares its lock, who makes or removes it holds the lock alone.

`flock` and not the filelock of other modules, which cannot share; and because a lock handed to a child process stays
held until the child has ended too: a uv that outlives its killed parent goes on writing, and nobody may clear the
folder under it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Hold the lock beside other users; gives its descriptor."""
    with _locked(path, fcntl.LOCK_SH) as descriptor:
        yield descriptor


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock alone; calls `waiting` before it waits for others. Gives the descriptor."""
    with _opened(path) as descriptor:
        if not _taken(descriptor):
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


@contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock alone if nobody else holds it; gives whether it is held."""
    with _opened(path) as descriptor:
        yield _taken(descriptor)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[int]:
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, how)
        yield descriptor


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
