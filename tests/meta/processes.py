"""Runs of pytest in a process of their own, as a user starts them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitgate.records.record import read_record, Record

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds
_MARK = "RUN_UNDER_TEST"  # the processes of one run are known by this variable, whoever their parent is by now


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    status: int
    stdout: str
    stderr: str
    record_file: Path

    @property
    def record(self) -> Record:
        """The run's record; UsageError where it left none."""
        return read_record(self.record_file)

    @property
    def text(self) -> str:
        """All that the user saw."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class Started:
    """A run on its way. `temporary` is the folder of its temporary files, and of its session."""

    process: subprocess.Popen[str]
    record_file: Path
    temporary: Path

    def members(self, word: str = "") -> list[int]:
        """Return the numbers of its living processes whose command line has that word in it."""
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        mark = f"{_MARK}={self.temporary}".encode()
        return [pid for pid in numbers if mark in _read(pid, "environ") and word.encode() in _read(pid, "cmdline")]

    def evidence(self, pattern: str) -> list[Path]:
        """Return what its session has observed so far, by kind and name."""
        return list(self.temporary.glob(f"vitgate-session-*/evidence/{pattern}.json"))

    def done(self) -> Done:
        """Wait for its end."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, stdout, stderr, self.record_file)

    def end(self) -> None:
        """Kill what is left of it."""
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        shutil.rmtree(self.temporary)


def _read(pid: int, name: str) -> list[bytes] | bytes:
    try:
        data = Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
    return data.split(b"\0") if name == "environ" else data


def run_pytest(*arguments: str, folder: Path, cwd: Path = ROOT, **environment: str) -> Done:
    """Run pytest with these arguments; the record goes to `folder`. Settings of our own run stay out of it."""
    record = folder / "record.json"
    command = _command(record, arguments)
    done = subprocess.run(
        command, cwd=cwd, env=_variables(environment), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return Done(done.returncode, done.stdout, done.stderr, record)


def start_pytest(*arguments: str, folder: Path, cwd: Path = ROOT, **environment: str) -> Started:
    """Start what `run_pytest` runs, in a process group and with a temporary folder of its own."""
    record = folder / "record.json"
    temporary = Path(tempfile.mkdtemp(prefix="run-"))  # not in pytest's own, whose path is too long for a socket's
    process = subprocess.Popen(
        _command(record, arguments),
        cwd=cwd,
        env=_variables({**environment, "TMPDIR": str(temporary), _MARK: str(temporary)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return Started(process, record, temporary)


def _command(record: Path, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--record", str(record), *arguments]


def _variables(own: dict[str, str]) -> dict[str, str]:
    hidden = ("PYTEST", "VITGATE", "COV_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(hidden)}, **own}


def waited(condition: Callable[[], object]) -> bool:
    """Return whether the condition comes true in time."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())
