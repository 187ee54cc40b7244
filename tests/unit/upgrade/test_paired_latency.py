"""The controller with this interpreter on both sides: a tiny model, real processes.

Where a test is about the processes alone, their torch is a stand-in that is imported at once.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.compare.latency_statistics import START_GROWTH
from vitgate.files.errors import MachineError
from vitgate.upgrade.latency_workers import Installation
from vitgate.upgrade.paired_latency import compare_latency, loaded_at_once, SamplingPlan

from .latency_models import DEADLINE, ENGINE, SOURCE

QUICK = SamplingPlan(rounds_at_least=4, rounds_at_most=8, seconds=0.5, timeout=60.0)
HANGS_SOON = replace(QUICK, timeout=2.0)
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers by /proc")


_STANDIN = """
from types import SimpleNamespace

__version__ = "stand-in"
backends = SimpleNamespace(quantized=SimpleNamespace(engine=""))
set_num_threads = set_grad_enabled = lambda value: None
from_numpy = lambda array: array

def _fail(x):
    raise RuntimeError("wants two")

def _load(path):
    return _fail if "fails" in path else lambda x: sum(range(30_000))

jit = SimpleNamespace(load=_load)
"""


@pytest.fixture
def real(saved: Path) -> Any:
    """A factory of sides that run this interpreter and its torch on both runtimes."""
    models = {"scripted": ("scripted.pt", "torchscript"), "lite": ("lite.ptl", "lite_interpreter")}
    files: dict[str, Any] = {name: (str(saved / file), runtime) for name, (file, runtime) in models.items()}
    return lambda *arguments: Installation(sys.executable, files, {"PYTHONPATH": SOURCE}, arguments)


@pytest.fixture
def side(tmp_path: Path) -> Callable[..., Installation]:
    """A factory of sides with a stand-in for torch; of one model unless told otherwise, which need not be there."""
    (tmp_path / "torch.py").write_text(_STANDIN)

    def make(*arguments: str, **models: str) -> Installation:
        files: dict[str, Any] = {name: (file, "torchscript") for name, file in (models or {"one": "fine.pt"}).items()}
        return Installation(sys.executable, files, {"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}, arguments)

    return make


@pytest.fixture
def compare(saved: Path, tmp_path: Path) -> Callable[..., Any]:
    """The comparison of two sides on the module's input; `told` hears its progress."""

    def run(
        old: Installation, new: Installation, told: Any = lambda text, left: None, plan: SamplingPlan = QUICK
    ) -> Any:
        return compare_latency(old, new, saved / "x.npy", ENGINE, plan=plan, echo=told, locks=tmp_path)

    return run


def children() -> list[int]:
    """Processes that this one has started and that still run; pytest's and xdist's own do not count."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            line = Path(f"/proc/{pid}/cmdline")
            if line.exists() and b"vitgate.observe.latency_worker" in line.read_bytes():
                found.append(int(pid))
    return found


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ({}, []),
        ({"a": 0, "b": 0}, [["a", "b"]]),
        ({"a": 6, "b": 4, "c": 1}, [["a", "b"], ["c"]]),
        ({"a": 11, "b": 1, "c": 9, "d": 1}, [["a"], ["b", "c"], ["d"]]),
    ],
)
def test_workers_load_no_more_at_once_than_fits(sizes: dict[str, int], parts: list[list[str]]) -> None:
    assert loaded_at_once(sizes, most=10) == parts


def test_large_files_are_compared_one_part_after_the_other(
    side: Callable[..., Installation], compare: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: str(tmp_path / f"{name}.pt") for name in ("scripted", "lite")}
    for size, path in enumerate(files.values(), 1001):
        Path(path).write_bytes(bytes(size))
    sizes: list[dict[str, int]] = []

    def each_alone(given: dict[str, int]) -> list[list[str]]:
        sizes.append(given)
        return [[name] for name in given]

    monkeypatch.setattr("vitgate.upgrade.paired_latency.loaded_at_once", each_alone)
    told: list[str] = []
    found = compare(side(**files), side(**files), lambda text, left: told.append(text))

    assert sizes == [{"scripted": 1001, "lite": 1002}]
    assert list(found) == ["scripted", "lite"]
    assert {name: row.pairs >= 3 for name, row in found.items()} == {"scripted": True, "lite": True}
    assert "pair 1 of 3: loading 1 variant" in told
    assert not any("loading 2" in text for text in told)


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [
        (0.001, {"calls": 8, "warm": True}),
        (0.004, {"calls": 3, "warm": True}),
        (0.099, {"calls": 1, "warm": True}),
        (0.1, {"calls": 1, "warm": False}),
        (2.0, {"calls": 1, "warm": False}),
    ],
    ids=str,
)
def test_short_calls_are_timed_together_and_warmed_up(seconds: float, asked: dict[str, Any]) -> None:
    assert SamplingPlan().request(seconds) == asked


def test_equal_sides_are_the_same(real: Any, compare: Callable[..., Any]) -> None:
    told: list[tuple[str, float]] = []

    found = compare(real(), real(), lambda text, left: told.append((text, left)))

    assert list(found) == ["scripted", "lite"]
    for each in found.values():
        assert each.word == "same" and each.pairs == len(each.ratios) >= 3, each
        assert each.low < each.ratio < each.high
        assert each.old_ms > 0.0
    assert told[0][0] == "pair 1 of 3: loading 2 variants"
    assert all(math.isfinite(left) for _, left in told)


def test_a_slower_side_is_found(side: Callable[..., Installation], compare: Callable[..., Any]) -> None:
    found = compare(side(), side("--inject", "cpu:0.3"))

    assert {each.word for each in found.values()} == {"regressed"}
    assert all(1.2 < each.ratio < 1.4 for each in found.values())


def test_a_faster_side_is_found(side: Callable[..., Installation], compare: Callable[..., Any]) -> None:
    found = compare(side("--inject", "cpu:0.3"), side())["one"]

    assert found.word == "fixed" and found.note.startswith("faster"), found


@pytest.mark.parametrize(("injection", "word"), [("sleep:0.05", "time asleep"), ("thread:2.0", "more threads")])
def test_slowdown_outside_thread_cpu_time_is_found(
    side: Callable[..., Installation], compare: Callable[..., Any], injection: str, word: str
) -> None:
    found = compare(side(), side("--inject", injection))["one"]

    assert found.word == "regressed" and (word in found.note or found.ratio > 1.05), found


def test_slowdown_in_first_calls_alone_is_found(side: Callable[..., Installation], compare: Callable[..., Any]) -> None:
    found = compare(side(), side("--inject", "first:20.0"))["one"]

    assert found.word == "regressed" and found.first > START_GROWTH, found


def test_one_sided_variant_is_omitted_and_failing_one_not_comparable(
    side: Callable[..., Installation], compare: Callable[..., Any]
) -> None:
    told: list[str] = []
    old = side(one="fine.pt", other="fine.pt", gone="fine.pt")
    new = side(one="fine.pt", other="fails.pt")

    found = compare(old, new, lambda text, left: told.append(text))

    assert told[0] == "left out, because only one side has it: gone"
    assert {name: each.word for name, each in found.items()} == {"one": "same", "other": "not comparable"}
    assert found["other"].note == "NEW failed at run: RuntimeError: wants two"


@needs_proc
def test_pair_with_killed_worker_is_measured_again(
    side: Callable[..., Installation], compare: Callable[..., Any]
) -> None:
    told: list[str] = []

    def kill_once(text: str, left: float) -> None:
        if text.endswith("round 2") and not any("discarded" in each for each in told):
            os.kill(children()[0], signal.SIGKILL)
        told.append(text)

    found = compare(side(), side(), kill_once)

    assert [each for each in told if "discarded" in each] == [
        "pair 1 of 3: discarded: the worker of OLD was ended by SIGKILL"
    ]
    assert found["one"].word == "same"
    assert children() == []


@needs_proc
def test_hanging_workers_give_environment_error(side: Callable[..., Installation], compare: Callable[..., Any]) -> None:
    def stop(text: str, left: float) -> None:
        if text.endswith("round 2"):
            os.kill(children()[-1], signal.SIGSTOP)

    found = compare(side(), side(), stop, HANGS_SOON)

    assert {each.word for each in found.values()} == {"environment error"}
    assert {each.note for each in found.values()} == {"the worker of NEW did not answer within 2 s"}
    assert children() == []


@needs_proc
def test_interrupted_comparison_leaves_no_process(
    side: Callable[..., Installation], compare: Callable[..., Any]
) -> None:
    def interrupt(text: str, left: float) -> None:
        if "round" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(side(), side(), interrupt)

    assert children() == []


_KILLED_CONTROLLER = """
import os, sys
from pathlib import Path
from vitgate.upgrade import latency_workers, paired_latency as pairs

class Worker(latency_workers.Worker):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        print(self._process.pid, flush=True)

def end(text, left):
    if "round" in text:
        os._exit(9)

latency_workers.Worker = Worker
model, x, engine, locks = sys.argv[1:]
side = pairs.Installation(sys.executable, {"a": (model, "lite_interpreter")})
pairs.compare_latency(side, side, Path(x), engine, echo=end, locks=Path(locks))
"""


def test_killed_controller_leaves_no_process(saved: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        _KILLED_CONTROLLER,
        str(saved / "lite.ptl"),
        str(saved / "x.npy"),
        ENGINE,
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    pids = [int(pid) for pid in done.stdout.split()]

    assert done.returncode == 9 and len(pids) == 2, done.stderr
    end = time.monotonic() + DEADLINE
    while any(alive(pid) for pid in pids):  # they see that their input has ended
        assert time.monotonic() < end, "a worker was left over"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that has ended but that nobody has waited for is not alive
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_missing_interpreter_is_a_machine_error(side: Callable[..., Installation], compare: Callable[..., Any]) -> None:
    with pytest.raises(MachineError, match="cannot start Python.*/no/such/python"):
        compare(side(), replace(side(), python="/no/such/python"))


def test_failing_worker_interpreter_is_named_with_reason(
    side: Callable[..., Installation], compare: Callable[..., Any], tmp_path: Path
) -> None:
    package = tmp_path / "other" / "vitgate"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('of another time')\n")

    found = compare(side(), replace(side(), env={"PYTHONPATH": str(package.parent)}))["one"]

    assert found.word == "environment error"
    assert found.note == "the worker of NEW ended with status 1: ImportError: of another time"
