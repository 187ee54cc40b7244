"""Runs that are killed or interrupted: nothing goes on running, nothing is lost, and the next run is none the worse.

`benchmarks/kills.py` does the same at random moments; here the moments are decided by what the run has done.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import Record

from .processes import Done, run_pytest, start_pytest, Started, waited

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes by /proc"),
]

TESTS = ("tests/conformance/test_build.py", "tests/conformance/test_logits.py", "-n", "2")
CELLS = ("--case", "digits", "--engine", "fbgemm")
SERVER = "vitgate.observe.server"
ENDLESS = """
import pathlib, pytest, time

@pytest.mark.claim("label")
def test_label(cell):
    pathlib.Path("began").touch()
    time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Return a helper that starts a run; what is left of it at the end of the test is killed."""
    started: list[Started] = []

    def call(*arguments: str, **options: object) -> Started:
        started.append(start_pytest(*arguments, folder=tmp_path, **options))  # type: ignore[arg-type]
        return started[-1]

    yield call
    for run in started:
        run.end()


def _outcomes(record: Record) -> dict[str, object]:
    return {row.name: (row.status, row.outcome_text) for row in record.claims}


# Killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return the outcomes of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_pytest(*TESTS, *CELLS, "--artifact-cache", str(folder / "artifacts"), folder=folder)
    assert done.status == 0, done.text
    return _outcomes(done.record)


def _controller(run: Started) -> int:
    return run.process.pid


def _server(run: Started) -> int:
    return min(run.members(SERVER))  # which started before all its children


def _child(run: Started) -> int:
    return max(run.members(SERVER))


@pytest.mark.parametrize(
    ("victim", "status"), [(_controller, -9), (_server, 6), (_child, 1)], ids=["controller", "server", "child"]
)
def test_run_after_kill_during_build_has_same_outcomes(
    victim: Callable[[Started], int],
    status: int,
    start: Callable[..., Started],
    undisturbed: dict[str, object],
    tmp_path: Path,
) -> None:
    cache = tmp_path / "artifacts"
    command = (*TESTS, *CELLS, "--artifact-cache", str(cache))
    killed = start(*command)
    assert waited(lambda: killed.evidence("artifact/*"))  # some files are there, others are not
    os.kill(victim(killed), signal.SIGKILL)

    done = killed.done()
    assert waited(lambda: not killed.members()), "something goes on running"
    again = run_pytest(*command, folder=tmp_path, TMPDIR=str(killed.temporary))

    assert done.status == status and "Traceback" not in done.text, done.text
    assert (again.status, _outcomes(again.record)) == (0, undisturbed), again.text
    assert [path.name for path in cache.glob(".*")] == []
    assert list(killed.temporary.glob("vitgate-session-*")) == []


# Interrupted


@pytest.fixture
def endless(tmp_path: Path, start: Callable[..., Started]) -> Callable[..., Started]:
    """Return a helper that starts a run whose first test never ends, and waits until it is in there."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ("vitgate.plugin",)\n', encoding="utf-8")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "test_label.py").write_text(ENDLESS, encoding="utf-8")
    shutil.copyfile(fixtures_folder() / "records" / "2.12.1.json", tmp_path / "record.json")

    def call(*arguments: str) -> Started:
        run = start("suite", *CELLS, *arguments, cwd=tmp_path)
        assert waited((tmp_path / "began").exists)
        return run

    return call


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("send", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["ctrl-c", "sigterm"],  # a terminal sends the one to all processes, a scheduler the other to the first
)
def test_interrupted_run_reports_one_line_and_loses_nothing(
    send: Callable[[int, int], None], number: signal.Signals, workers: str, endless: Callable[..., Started]
) -> None:
    run = endless("-n", workers)
    earlier = run.record_file.read_bytes()

    send(run.process.pid, number)
    done = run.done()

    assert done.status == 2 and "Traceback" not in done.text, done.text
    assert _errors(done) == ["ERROR: interrupted, and no record was written: start again"], done.text
    assert waited(lambda: not run.members()), "something goes on running"
    assert list(run.temporary.glob("vitgate-session-*")) == []
    assert run.record_file.read_bytes() == earlier


# Stands in the place of a download that takes long.
HANGS = """
import pathlib, time, vitgate.inputs.sources

def hang(*arguments):
    pathlib.Path("began").touch()
    time.sleep(600)

vitgate.inputs.sources.weights_source = hang
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_interrupted_before_first_test_reports_one_line(
    number: signal.Signals, start: Callable[..., Started], tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(HANGS, encoding="utf-8")
    (tmp_path / "tests" / "conformance").mkdir(parents=True)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ("slow", "vitgate.plugin")\n', encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = start("tests/conformance", *CELLS, "--rootdir", str(tmp_path), cwd=tmp_path, PYTHONPATH=path)
    assert waited((tmp_path / "began").exists)

    os.kill(run.process.pid, number)
    done = run.done()

    assert done.status == 2 and "Traceback" not in done.text, done.text
    assert "ERROR: interrupted, and no record was written: start again" in done.text
    assert waited(lambda: not run.members()), "something goes on running"
    assert list(run.temporary.glob("vitgate-session-*")) == []


def _errors(done: Done) -> list[str]:
    lines = [line.partition(";")[0] for line in done.text.splitlines()]
    return [line for line in lines if line.startswith("ERROR")]
