"""Runs of the conformance suite in another environment, each of which leaves a record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitgate.errors import MachineError, UsageError
from vitgate.judge.consistency import read_consistent
from vitgate.judge.record import Record
from vitgate.upgrade.environments import Environment, in_use
from vitgate.upgrade.suite import suite_variables

Progress = Callable[[float], None]
"""Is told which part of a run is done, from 0 to 1."""

_PERCENT = re.compile(r"\[\s*(\d+)%\]\s*$")
_ERROR = re.compile(r"^ERROR: (?P<text>.+)$", re.MULTILINE)
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
        weights = self.weights if self.weights in ("auto", "pretrained", "standin") else os.path.abspath(self.weights)
        assets = [f"--assets={os.path.abspath(self.assets)}"] if self.assets else []
        claims = [f"--claim={name}" for name in self.claims]
        shard = [f"--shard={self.shard}"] if self.shard else []
        return ["-n", self.workers, *chosen, *claims, *shard, f"--weights={weights}", *assets]


@dataclass(frozen=True)
class Run:
    """One run: where its record and its log go, what it exports and which folders of files it checks.

    `only` names the test file that alone is run, and `arguments` whatever else pytest is to be told.
    """

    record: Path
    log: Path
    export: Path | None = None
    field: tuple[Path, ...] = ()
    only: str = ""
    arguments: tuple[str, ...] = ()

    def command(self, python: Path, suite: Path, request: Request) -> list[str]:
        """Return the whole command line."""
        tests = suite / "tests" / "conformance"
        return [
            *(sys.executable, "-m", "vitgate.upgrade.leash"),
            *(str(python), "-m", "pytest", "-q", "--color=no", str(tests / self.only if self.only else tests)),
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
    found = _ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
    where = f"PyTorch {environment.torch}, {log}"
    if not found:
        return MachineError(f"the suite ended with status {status} and no record", where=where, do="read its output")
    kind = UsageError if status == UsageError.exit_status else MachineError
    return kind(found[-1].rpartition(": ")[0] or found[-1], where=where, do=found[-1].rpartition(": ")[2])


def narrowed(request: Request, case: str, engine: str) -> Request:
    """Return the same request for one case and engine."""
    return replace(request, cases=(case,), engines=(engine,))


def of_engines(record: Record) -> Sequence[tuple[str, str]]:
    """Return the pairs of case and engine of which the record has cells."""
    return list(dict.fromkeys((row.case, row.engine) for row in record.cells))
