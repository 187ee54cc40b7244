"""The folder that the workers of one run share, and the process settings that its measurements need."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, ExitStack, suppress
from pathlib import Path

from vitgate.files.atomic import replacing
from vitgate.files.errors import MachineError
from vitgate.files.locks import alone, if_free, locked

_COUNTS = "counts"
_NOTE_SECONDS = 1.0  # between two notes of one observation
_PREFIX = "vitgate-session-"
SOCKET = "server.sock"

# One thread a worker and passive waiting keep workers from starving one another; the malloc settings keep large
# buffers from being returned to the system and faulted in again at each call. They count for processes started later.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONHASHSEED": "0",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "134217728",
}


class SessionDirectory:
    """A temporary directory for one session; directories of sessions that were killed are removed."""

    def __init__(self) -> None:
        """Create the directory and hold its lock while this process lives; MachineError if there is no room."""
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            what, do = "cannot make the session's folder", "free disk space, or name another folder with TMPDIR"
            raise MachineError(f"{what}: {error.strerror or error}", do=do) from None
        unlocked, self._lock = self.path / "owner.new", ExitStack()
        self._lock.enter_context(alone(unlocked))
        unlocked.rename(self.path / "owner.lock")  # seen by others only once it is locked
        _clear_abandoned(self.path)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def held_session(folder: Path, processor: str, shared: Iterable[str]) -> Path:
    """Return the folder, within a session's, of what is observed with kernels that are held to a processor.

    Args:
        folder: The session's, whose owner is this one's too.
        processor: Its name, which becomes the folder's.
        shared: Kinds of evidence that are the session's own, whatever the processor.
    """
    own = folder / processor
    with locked(folder / f"{processor}.held"):
        (own / "evidence").mkdir(parents=True, exist_ok=True)
        for kind in shared:
            (folder / "evidence" / kind).mkdir(parents=True, exist_ok=True)
            _link(own / "evidence" / kind, folder / "evidence" / kind)
        _link(own / "owner.lock", folder / "owner.lock")
    return own


def _link(path: Path, target: Path) -> None:
    if not path.is_symlink():
        path.symlink_to(target)


def _clear_abandoned(own: Path) -> None:
    for folder in own.parent.glob(f"{_PREFIX}*"):
        if folder != own and is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_abandoned(folder: Path) -> bool:
    """Whether the process that made this session folder is gone."""
    lock = folder / "owner.lock"
    try:
        if not lock.exists():
            return False
        with if_free(lock) as free:
            return free
    except OSError:  # another user's, who may have closed the folder to others
        return False


def apply_settings() -> None:
    """Set the variables of SETTINGS that are not set already."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def counting(folder: Path, name: str, total: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function that notes how much of a long observation is done, for `counts`.

    Notes are only shown, so one that cannot be written is left out.

    Args:
        folder: The session directory.
        name: The observation's kind and subject, such as `building: digits-lite`.
        total: How much there is to do; 0 if that is not counted.
    """
    path, last = folder / _COUNTS / name, -math.inf  # the first note is always written

    def note(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > _NOTE_SECONDS:
            last = time.monotonic()
            with suppress(OSError), replacing(path) as temporary:
                path.parent.mkdir(exist_ok=True)
                temporary.write_text(json.dumps([done, total]), encoding="utf-8")

    try:
        note(0)
        yield note
    finally:
        with suppress(OSError):
            path.unlink()


def counts(folder: Path) -> dict[str, tuple[int, int]]:
    """Return (done, total) of each observation under way, by name."""
    found: dict[str, tuple[int, int]] = {}
    for path in sorted((folder / _COUNTS).glob("[!.]*")):
        with suppress(FileNotFoundError):  # it has just ended
            done, total = json.loads(path.read_text(encoding="utf-8"))
            found[path.name] = (int(done), int(total))
    return found
