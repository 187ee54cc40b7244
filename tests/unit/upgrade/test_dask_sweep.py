"""A sweep on a cluster gives the table of a sweep without one, also when a worker is killed midway."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.upgrade.dask_sweep import forget, joined, Part, Payload, run_task, shards_of, sweep_on, Task
from vitgate.upgrade.environment_cache import listing
from vitgate.upgrade.runs import Request, suite_contents, suite_folder
from vitgate.upgrade.sweep import exit_status, sweep

from .world import World

PATIENCE = 60.0
DIGITS = {"case": ("digits",), "engine": ("qnnpack", "x86")}
_COLUMNS = ("status", "outcome", "deviation", "findings")


def quiet(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Cluster:
    """A scheduler and workers on the loopback interface, each with folders of its own."""

    address: str
    workers: list[subprocess.Popen[bytes]]
    folders: list[Path]


@pytest.fixture
def cluster(world: World) -> Iterator[Callable[..., Cluster]]:
    """Return a function that starts a cluster of two workers."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> Cluster:
        path = os.pathsep.join(text for text in sys.path if text)
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        log = world.folder / "scheduler.log"
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        with log.open("wb") as file:
            started.append(subprocess.Popen([*command, *options], env=environment, stdout=file, stderr=file))
        address = _until(lambda: re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text(encoding="utf-8")))[1]
        folders = [world.folder / f"worker{number}" for number in (1, 2)]
        workers = [_worker(address, folder, environment) for folder in folders]
        started.extend(workers)
        return Cluster(address, workers, folders)

    yield start
    for process in started:
        process.kill()
        process.wait()


def _worker(address: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    folder.mkdir()
    own = {**environment, "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder), "RUNS": str(folder / "runs")}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder / "dask")]
    with (folder / "log").open("wb") as file:
        return subprocess.Popen([*command, *options], env=own, stdout=file, stderr=file)


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.05)
    return found


def _table(record: Any) -> dict[Any, object]:
    claims = {row.name: tuple(getattr(row, name) for name in _COLUMNS) for row in record.claims}
    cells = {(row.case, row.engine, row.variant): row for row in record.cells}
    return {**claims, **cells, "whole": (record.complete, record.shard, record.missing, record.cases, record.engines)}


def test_cluster_with_killed_worker_gives_same_table(world: World, cluster: Callable[..., Cluster]) -> None:
    alone = sweep(replace(world.order("2.12.1", "2.15.0"), records=world.folder / "alone"), quiet)
    made = cluster(SLOW="0.25")
    lines: list[str] = []

    def echo(line: str) -> None:
        lines.append(line)
        if "3 of 9 tasks done" in line:
            _until((made.folders[0] / "runs").exists)
            made.workers[0].send_signal(signal.SIGKILL)

    found = sweep_on(made.address, world.order("2.12.1", "2.15.0"), echo)

    assert made.workers[0].poll() == -signal.SIGKILL
    assert [_table(each.record) for each in found] == [_table(each.record) for each in alone]
    assert exit_status(found) == 0
    assert all(list(folder.glob("cache/vitgate/suites/*/conftest.py")) for folder in made.folders)
    runs = [(folder / "runs").read_text(encoding="utf-8").splitlines() for folder in made.folders]
    assert len(runs[0]) < len(runs[1])
    assert len(runs[0]) + len(runs[1]) >= 18


def test_records_with_and_without_cluster_are_interchangeable(world: World, cluster: Callable[..., Cluster]) -> None:
    made = cluster()
    order = world.order("2.12.1", **DIGITS)
    first = sweep_on(made.address, order, quiet)
    lines: list[str] = []

    assert sweep_on(made.address, order, lines.append) == first
    assert sweep(order, lines.append) == first
    assert all("kept from before" in line for line in lines)
    assert world.runs == []  # the workers have files of their own


def test_failed_version_is_reported_and_environments_are_pruned(world: World, cluster: Callable[..., Cluster]) -> None:
    made = cluster()

    found = sweep_on(made.address, world.order("9.9.9", "2.12.1", prune=True, **DIGITS), quiet)

    assert (found[0].record, exit_status(found)) == (None, 6)
    assert "no such release" in found[0].error
    assert found[1].record is not None
    assert found[1].record.complete
    assert [listing(folder / "cache" / "vitgate") for folder in made.folders] == [[], []]


def test_unreachable_scheduler_is_machine_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitgate.upgrade.dask_sweep._SECONDS", 1)

    with pytest.raises(MachineError, match="no dask scheduler answers"):
        sweep_on("tcp://127.0.0.1:9", world.order("2.12.1"), quiet)


def test_missing_dask_names_how_to_install_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(UsageError, match=r"vitgate\[dask\]"):
        sweep_on("tcp://127.0.0.1:9", world.order("2.12.1"), quiet)


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 9), (DIGITS, 3), ({"case": ("digits",), "shard": "1/1"}, 5), ({"engine": ("x86",)}, 3)],
)
def test_each_task_has_one_case_and_engine_and_one_has_the_rest(options: dict[str, Any], count: int) -> None:
    found = shards_of(Request(**options))

    assert len({(shard.number, shard.of) for shard in found}) == count


def test_the_parts_of_a_users_shard_are_those_of_its_groups() -> None:
    parts = [shards_of(Request(shard=f"{number}/3")) for number in (1, 2, 3)]

    assert sorted(shard.number for part in parts for shard in part) == list(range(1, 10))


def test_task_carries_inputs_and_records_name_user_paths(world: World) -> None:
    suite = suite_folder(world.means.cache)
    weights = str(world.folder / "gone.pth")
    payload = Payload(
        suite.name, suite_contents(suite), {"weights": (weights, b"w"), "assets": ("/my/image.png", b"p")}
    )
    request = Request(weights=weights, workers="0", shard="9/9")

    part = run_task(Task(world.side("2.12.1"), request, world.means), payload)

    assert part.error == ""
    assert part.record.startswith("{")
    (line,) = world.runs
    sent = {text.partition("=")[0]: Path(text.partition("=")[2]) for text in line.split()}
    assert sent["--weights"].read_bytes() == b"w"
    assert (sent["--assets"] / "image.png").read_bytes() == b"p"
    assert run_task(Task(world.side("9.9.9"), request, world.means), payload).usage is False
    forget(world.side("2.12.1"), world.means)
    assert listing(world.means.cache) == []


def test_parts_of_two_releases_are_refused(world: World) -> None:
    records = [found.record for found in sweep(world.order("2.12.1", "2.15.0"), quiet) if found.record]

    with pytest.raises(UsageError, match="different environments"):
        joined(records, "")
    assert Part() == Part(record="", error="", usage=False)
