"""Runs of pytest in a process of their own, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from vitgate.judge.record import read_record, Record

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds


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


def run_pytest(*arguments: str, folder: Path, cwd: Path = ROOT, **environment: str) -> Done:
    """Run pytest with these arguments; the record goes to `folder`. Settings of our own run stay out of it."""
    own = ("PYTEST", "VITGATE", "COV")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment = {**inherited, **environment}
    record = folder / "record.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--record", str(record), *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return Done(done.returncode, done.stdout, done.stderr, record)
