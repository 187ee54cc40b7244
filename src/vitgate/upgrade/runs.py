"""Runs of the conformance suite in another environment, each of which leaves a record.

Both sides of an upgrade are judged by the same code: a copy of the running suite. vitgate may be a checkout that is
being edited, or an installed wheel, and neither can be installed through an index. So its files are copied once to a
folder named by their content, from which any environment runs them:

    PYTHONPATH=SUITE PYTHON -m pytest SUITE/tests/conformance

    SUITE/vitgate/           the package, with the data files inside
    SUITE/tests/conformance  the tests
    SUITE/conftest.py        and pytest.ini, which makes SUITE pytest's root folder
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import vitgate
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import digest, key_of
from vitgate.files.locks import locked
from vitgate.files.schemas import fixtures_folder
from vitgate.records.consistency import read_consistent
from vitgate.records.record import Record
from vitgate.spec.options import RunRequest
from vitgate.upgrade.environments import in_use
from vitgate.upgrade.installer import clean_variables
from vitgate.upgrade.interpreters import Environment

_WHEEL_SUITE = "_suite"  # the folder of a wheel that stands for the checkout's: see pyproject.toml
_APART = ("fixtures", _WHEEL_SUITE)  # folders of an installed package that the copy has elsewhere
_KEPT_DAYS = 30  # a copy that nobody has used for so long goes when the next one is made
_SETTINGS = Path(vitgate.__file__).parent / "plugin" / "suite.ini"  # pytest's, wherever the suite is not a checkout
_CONFTEST = b'"""Nothing but the plugin."""\n\npytest_plugins = ("vitgate.plugin",)\n'


def suite_settings() -> Path:
    """Return the file of pytest's settings for a suite that is no checkout."""
    return _SETTINGS


def suite_folder(cache: Path) -> Path:
    """Return the copy of the running suite, made if it is not there; MachineError where it cannot be written."""
    contents = _contents()
    return unpacked_suite(cache, _digest(contents), contents)


def suite_contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a copy by name, to be unpacked on another machine; MachineError where it is not whole."""
    contents = {name: path.read_bytes() for name, path in _files(folder)}
    if _digest(contents) != folder.name:
        raise MachineError("the copy of the suite was changed", where=folder, do="delete that folder")
    return contents


def unpacked_suite(cache: Path, name: str, contents: Mapping[str, bytes]) -> Path:
    """Return the copy of these files, made if it is not there.

    Args:
        cache: vitgate's own folder.
        name: The digest of the files.
        contents: Their bytes by path.

    Raises:
        MachineError: It cannot be written.
    """
    folder = cache / "suites" / name
    try:
        with locked(folder.parent / "locks" / folder.name):
            if not folder.is_dir():
                _clear_old(folder.parent)
                _write(folder, contents)
        os.utime(folder)
    except OSError as error:
        raise MachineError(f"cannot copy the suite: {error}", where=folder, do="choose another cache") from None
    return folder


def suite_variables(suite: Path) -> dict[str, str]:
    """Return the variables with which an environment's Python finds the copy, with the data files inside it.

    The running environment's programs come last: both sides find its ninja.
    """
    variables = {name: value for name, value in clean_variables().items() if name != "VITGATE_FIXTURES"}
    programs = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return {**variables, "PYTHONPATH": str(suite), "PATH": programs}


def conformance_folder() -> Path:
    """Return the conformance tests of the running vitgate: of its wheel, its checkout, or its copy."""
    package = Path(vitgate.__file__).parent
    for root in (package / _WHEEL_SUITE, package.parents[1], package.parent):
        place = root / "tests" / "conformance"
        if (place / "test_label.py").is_file():
            return place
    raise MachineError("the conformance tests are missing", where=package, do="install vitgate again")


def _contents() -> dict[str, bytes]:
    """Read everything at once: digest and copy are of the same bytes, whoever edits meanwhile."""
    package = Path(vitgate.__file__).parent
    own = {f"vitgate/{name}": path for name, path in _files(package) if name.split("/")[0] not in _APART}
    data = {f"vitgate/fixtures/{name}": path for name, path in _files(fixtures_folder())}
    tests = {f"tests/conformance/{name}": path for name, path in _files(conformance_folder())}
    read = {name: path.read_bytes() for name, path in {**own, **data, **tests}.items()}
    return {**read, "conftest.py": _CONFTEST, "pytest.ini": _SETTINGS.read_bytes()}


def _files(folder: Path, inside: str = "") -> Iterator[tuple[str, Path]]:
    """Yield names and paths of the files below, without what Python or an editor keeps beside them."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        if path.is_dir():
            yield from _files(path, f"{inside}{path.name}/")
        else:
            yield f"{inside}{path.name}", path


def _digest(contents: Mapping[str, bytes]) -> str:
    return key_of({name: digest(data) for name, data in contents.items()})


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp")  # the digest's lock is ours, so that nobody else writes there
    shutil.rmtree(temporary, ignore_errors=True)
    for name, data in contents.items():
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)  # edited by mistake, it would no longer be what its name says
    temporary.rename(folder)


def _clear_old(home: Path) -> None:
    before = time.time() - _KEPT_DAYS * 24 * 3600
    for path in home.iterdir():
        if path.name != "locks" and path.stat().st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)


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
_SIGNALLED = 128  # what a shell, and the watchdog, add to the number of the signal that ended a command
_RECORDED = (0, 1)  # pytest's exit statuses after which the record says all: passed, and tests failed


@dataclass(frozen=True, kw_only=True)
class Request(RunRequest):
    """What every run of one gate or sweep has in common: the options of pytest, and xdist's number of workers."""

    workers: str = "auto"

    def arguments(self) -> list[str]:
        """Return them as pytest's arguments."""
        return ["-n", self.workers, *super().arguments()]


def command_line(python: Path, suite: Path, request: Request) -> list[str]:
    """Return the command that runs the suite.

    Args:
        python: The environment's interpreter.
        suite: The copy of the suite.
        request: What the run is asked, with absolute paths: it runs in another folder.
    """
    return [
        *(sys.executable, "-m", "vitgate.upgrade.watchdog"),
        *(str(python), "-m", "pytest", "--color=no", str(suite / "tests" / "conformance")),
        *request.arguments(),
    ]


def run_suite(
    environment: Environment, suite: Path, request: Request, log: Path, progress: Progress = lambda part: None
) -> Record:
    """Run the suite and return its record.

    Args:
        environment: Whose Python runs it.
        suite: The copy of the suite.
        request: What the run is asked, with absolute paths; where its record goes among them.
        log: The file for all that it prints.
        progress: Is told which part of the run is done.

    Raises:
        UsageError: The suite itself calls it a usage error.
        MachineError: The environment stands in the way of the run, or it ended without a record.
    """
    record = Path(request.record)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    with in_use(environment) as keep, log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(  # noqa: S603  # the environment's own interpreter, arguments apart
            command_line(environment.python, suite, request),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_variables(suite),
            pass_fds=keep,
            cwd=suite,
            start_new_session=True,  # the watchdog's own group; see there
        )
        with process:
            for line in _lines(process):
                file.write(line)
                if found := _PERCENT.search(line):
                    progress(int(found[1]) / 100)
    if process.returncode not in _RECORDED or not record.exists():
        raise _explained(environment, process.returncode, log)
    return read_consistent(record)


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
