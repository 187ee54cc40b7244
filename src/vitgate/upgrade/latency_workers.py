"""Worker processes that time calls for a paired latency comparison, and the lock that serializes comparisons.

A worker (`vitgate.observe.latency_worker`) runs in the interpreter that is compared; this module imports no torch.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitgate.files.errors import MachineError
from vitgate.files.locks import locked
from vitgate.observe.session_directory import SETTINGS
from vitgate.spec.variants import Runtime

SideName = Literal["OLD", "NEW"]
SIDES: tuple[SideName, SideName] = ("OLD", "NEW")
_GRACE = 2.0  # seconds that a worker has to end by itself once it should
_WATCHED = 0.1  # seconds between the two readings of idle time


@dataclass(frozen=True)
class Installation:
    """One PyTorch installation: its interpreter, each variant's file and runtime, and environment variables to add.

    The interpreter must be able to import `vitgate`, installed or by PYTHONPATH in `env`. `arguments` are the worker's.
    """

    python: str
    models: Mapping[str, tuple[str, Runtime]]
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


class MeasuringLock:
    """A lock that all latency comparisons of this user share, fair between them.

    A comparison that waits for the inner lock holds the outer one; a comparison that releases the inner lock finds the
    outer one taken and queues behind. So two comparisons alternate by rounds, and neither starves.
    """

    def __init__(self, folder: Path) -> None:
        """Use the locks in this folder, which is made if need be."""
        self._outer, self._inner = folder / "measuring-gate", folder / "measuring-room"

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock within the block; MachineError if it is not free within `timeout` seconds."""
        with ExitStack() as room:
            try:
                with locked(self._outer, timeout):
                    room.enter_context(locked(self._inner, timeout))
            except TimeoutError as error:
                what = "timed out waiting for another vitgate latency comparison"
                raise MachineError(what, where=error, do="wait for it to end, or stop it") from None
            yield


class PairLost(Exception):
    """A pair cannot be used: a worker died, hung, or could not do what every pair needs."""


class Worker:
    """The controller's end of a worker process."""

    def __init__(self, side: Installation, name: SideName, timeout: float) -> None:
        """Start the process; it imports torch at its first request."""
        self.name, self._timeout, self._buffer = name, timeout, b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker; an unread pipe would block it
        command = [side.python, "-W", "ignore", "-m", "vitgate.observe.latency_worker", *side.arguments]
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter that the user compares
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **SETTINGS, **side.env},
            )
        except OSError as error:
            self._stderr.close()
            do = f"name a working interpreter for {name}"
            raise MachineError(f"cannot start Python: {error.strerror}", where=side.python, do=do) from None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        self.send(**request)
        return self.receive()

    def send(self, **request: Any) -> None:
        """Send a request; its answer must be received before the next."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({**request, "limit": self._timeout}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death() from None

    def receive(self) -> dict[str, Any]:
        """Return the answer to the last request; PairLost if the worker dies or does not answer in time."""
        assert self._process.stdout is not None
        end = time.monotonic() + self._timeout + _GRACE
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise PairLost(self._silence())
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._death()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def demand(self, answer: Mapping[str, Any]) -> None:
        """Raise PairLost if the answer is an error."""
        if "error" in answer:
            raise PairLost(failure(self.name, answer["error"]))

    def _silence(self) -> str:
        return f"the worker of {self.name} did not answer within {self._timeout:g} s"

    def _death(self) -> PairLost:
        try:
            status = self._process.wait(_GRACE)  # its end of a pipe is closed already
        except subprocess.TimeoutExpired:
            return PairLost(self._silence())
        if status == -signal.SIGALRM:
            return PairLost(self._silence())
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        return PairLost(f"the worker of {self.name} {how}" + (f": {said[-1]}" if said else ""))

    def end(self) -> None:
        """Kill the process if it still runs and reap it."""
        self._process.kill()
        self._process.communicate()
        self._stderr.close()


def failure(side: SideName, error: Mapping[str, str]) -> str:
    """Return one line about an error that a worker answered with."""
    return f"{side} failed at {error['stage']}: {error['type']}: {error['message']}"


@contextmanager
def started_workers(sides: Mapping[SideName, Installation], timeout: float) -> Iterator[dict[SideName, Worker]]:
    """Yield one fresh worker for each side; kill both when the block ends."""
    with ExitStack() as stack:
        workers = {}
        for name in SIDES:
            workers[name] = Worker(sides[name], name, timeout)
            stack.callback(workers[name].end)
        yield workers


def quietest_core() -> int | None:
    """Return the core with the most idle time among those that this process may use; None if affinity is unsupported.

    Without /proc/stat it is the last core: the first one handles most interrupts.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    before = _idle()
    time.sleep(_WATCHED)
    after = _idle()
    return max(allowed, key=lambda core: (after.get(core, 0) - before.get(core, 0), core))


def _idle() -> dict[int, int]:
    """Return the idle ticks of each core so far; empty without /proc/stat."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    rows = [line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit()]
    return {int(row[0][3:]): int(row[4]) for row in rows}
