"""What loading and calling a saved file takes of memory, and whether calls leave some behind; see `memory_worker`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.memory_worker import private
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.session_directory import SETTINGS
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome
from vitgate.spec.variants import Runtime

CALLS, SAMPLES = 400, 40
"""How many calls are made, and how many samples are taken meanwhile."""

_SECONDS = 60.0  # after which the calls end, if there have been `_FEWEST`
_FEWEST = 100
_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Subject:
    """A file, the runtime that loads it, and the engine under which that packs weights."""

    path: Path
    runtime: Runtime
    engine: Engine


@observation()
def memory(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return what a fresh process says of the cell's file, as `vitgate.observe.memory_worker.measured`."""
    subject = Subject(path_of(observer, cell), cell.form.runtime, cell.engine)
    return Evidence(dict(measure(subject, observer.get(pictures, cell.case).arrays["x"])))


def uncounted() -> Outcome | None:
    """Return the `unsupported` outcome where no system says what a process has of its own."""
    try:
        private()
    except (OSError, KeyError, ValueError):
        what = "no /proc/self/smaps_rollup, which Linux has since 4.14 (macOS and emulators by user mode have none)"
        return Outcome("unsupported", message=what)
    return None


def measure(subject: Subject, x: npt.NDArray[np.float32], inject: str = "", *, calls: int = CALLS) -> Mapping[str, Any]:
    """Return what a fresh process measures.

    Args:
        subject: The file.
        x: Pictures, of which each call gets a new one, [N, ...].
        inject: What leaks besides, as `vitgate.observe.memory_worker.Injection` has it.
        calls: How many are made.

    Raises:
        ClaimFailed: The process could not load or call the file, or died.
    """
    with TemporaryDirectory(prefix="vitgate-memory-") as folder:
        given = Path(folder) / "x.npy"
        np.save(given, x, allow_pickle=False)
        request = {
            "path": str(subject.path),
            "runtime": subject.runtime,
            "engine": subject.engine,
            "input": str(given),
            "calls": calls,
            "every": calls // SAMPLES,
            "seconds": _SECONDS,
            "fewest": _FEWEST,
        }
        return _asked(request, [f"--inject={inject}"] if inject else [])


def _asked(request: Mapping[str, Any], options: list[str]) -> Mapping[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "vitgate.observe.memory_worker", *options]
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            command,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            env=_usual_allocator(),
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed("run", "TimeoutExpired", f"no answer within {_LIMIT:.0f} s") from None
    answer = json.loads(done.stdout or "null")
    if answer is None:
        said = done.stderr.strip().splitlines()[-1:] or [_ended(done.returncode)]
        raise _failed("run", "ProcessDied", f"the process died while its memory was measured: {said[0]}")
    if "error" in answer:
        raise _failed(answer["error"]["stage"], answer["error"]["type"], answer["error"]["message"])
    return dict(answer)


def _failed(stage: str, error: str, message: str) -> ClaimFailed:
    return ClaimFailed(Outcome("failed at", stage, error, message))


def _ended(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def _usual_allocator() -> dict[str, str]:
    """Return the environment without the settings by which this suite's own processes keep what they free."""
    ours = {name: value for name, value in SETTINGS.items() if name.startswith("MALLOC_")}
    return {name: value for name, value in os.environ.items() if ours.get(name) != value}
