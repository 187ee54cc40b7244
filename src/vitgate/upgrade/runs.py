"""Runs of the conformance suite in another environment, each of which leaves a record."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vitgate.files.errors import MachineError, UsageError
from vitgate.records.consistency import read_consistent
from vitgate.records.record import Record
from vitgate.spec.options import WEIGHTS_WORDS
from vitgate.upgrade.environments import Environment, in_use
from vitgate.upgrade.suite import suite_variables

Progress = Callable[[float], None]
"""Is told which part of a run is done, from 0 to 1."""

_PERCENT = re.compile(r"\[\s*(\d+)%\]\s*$")
_ERRORS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^(?:Exit: )?ERROR: (?!usage: )(.+)$",  # vitgate's own
        r"^\S+: error: (.+)$",  # pytest's about its options; the line before only says how it is used
        r"^E {3,}(\S.*)$",  # of a test file that cannot be imported
        r"^(?:INTERNALERROR> )?(\S.*)$",
    )
)
_QUOTED = 300  # characters of a line that is not our own
_SIGNALLED = 128  # what a shell, and the leash, add to the number of the signal that ended a command
_RECORDED = (0, 1)  # pytest's exit statuses after which the record says all: passed, and tests failed


@dataclass(frozen=True)
class Request:
    """What every run of one gate or sweep has in common: the options of the same names in pytest."""

    cases: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    weights: str = "auto"
    assets: str | None = None
    workers: str = "auto"
    claims: tuple[str, ...] = ()
    shard: str = ""

    def arguments(self) -> list[str]:
        """Return them as pytest's arguments."""
        chosen = [f"--case={name}" for name in self.cases] + [f"--engine={name}" for name in self.engines]
        weights = self.weights if self.weights in WEIGHTS_WORDS else os.path.abspath(self.weights)
        assets = [f"--assets={os.path.abspath(self.assets)}"] if self.assets else []
        claims = [f"--claim={name}" for name in self.claims]
        shard = [f"--shard={self.shard}"] if self.shard else []
        return ["-n", self.workers, *chosen, *claims, *shard, f"--weights={weights}", *assets]


@dataclass(frozen=True)
class Run:
    """One run: where its record and its log go, what it exports and which folders of files it checks.

    `arguments` is whatever else pytest is to be told.
    """

    record: Path
    log: Path
    export: Path | None = None
    field: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()

    def command(self, python: Path, suite: Path, request: Request) -> list[str]:
        """Return the whole command line."""
        tests = suite / "tests" / "conformance"
        return [
            *(sys.executable, "-m", "vitgate.upgrade.watchdog"),
            *(str(python), "-m", "pytest", "--color=no", str(tests)),
            *request.arguments(),
            f"--record={self.record}",
            *([f"--export={self.export}"] if self.export else []),
            *(f"--field={folder}" for folder in self.field),
            *self.arguments,
        ]


def run_suite(
    environment: Environment, suite: Path, request: Request, run: Run, progress: Progress = lambda part: None
) -> Record:
    """Run the suite and return its record.

    UsageError for what the suite itself calls a usage error; MachineError where the environment stands in its way, or
    where it ended without a record.
    """
    run.record.parent.mkdir(parents=True, exist_ok=True)
    run.record.unlink(missing_ok=True)
    with in_use(environment) as keep, run.log.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603  # the environment's own interpreter, arguments apart
            run.command(environment.python, suite, request),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_variables(suite),
            pass_fds=keep,
            cwd=suite,
            start_new_session=True,  # the leash's own; see there
        )
        with process:
            for line in _lines(process):
                log.write(line)
                if found := _PERCENT.search(line):
                    progress(int(found[1]) / 100)
    if process.returncode not in _RECORDED or not run.record.exists():
        raise _explained(environment, process.returncode, run.log)
    return read_consistent(run.record)


def _variables(suite: Path) -> dict[str, str]:
    """Leave out what would change which tests run, or how."""
    variables = suite_variables(suite)
    return {name: value for name, value in variables.items() if not name.startswith(("PYTEST_", "COV_"))}


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def _explained(environment: Environment, status: int, log: Path) -> UsageError | MachineError:
    """Say in one line which side stopped, how, and why: by its own error, or whatever it said last."""
    text = log.read_text(encoding="utf-8", errors="replace")
    said = next((found[-1] for pattern in _ERRORS if (found := pattern.findall(text))), "")
    where = f"PyTorch {environment.torch}, {log}"
    if said and status in (UsageError.exit_status, MachineError.exit_status):
        kind = UsageError if status == UsageError.exit_status else MachineError
        return kind(f"the suite cannot run on {environment.name}", where=where, do=said)
    what = f"the suite on {environment.name} {_ended(status)} and left no record"
    return MachineError(what, where=where, do=f"it said last: {said[:_QUOTED]}" if said else "it said nothing")


def _ended(status: int) -> str:
    number = -status if status < 0 else status - _SIGNALLED
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"ended with status {status}"
