"""The worker, and the controller with this interpreter on both sides: a tiny model, real processes.

Where a test is about the processes alone, their torch is a stand-in that is imported at once.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vitgate
from vitgate.compare.latency_statistics import ASLEEP_GROWTH, pair_ratio, PROCESS_GROWTH, START_GROWTH, Timed
from vitgate.files.errors import MachineError
from vitgate.observe.session_directory import SETTINGS
from vitgate.upgrade.latency_workers import Installation, MeasuringLock, quietest_core
from vitgate.upgrade.paired_latency import compare_latency, loaded_at_once, SamplingPlan

ENGINE = torch.backends.quantized.supported_engines[-1]
SOURCE = str(Path(vitgate.__file__).parents[1])
QUICK = SamplingPlan(rounds_at_least=4, rounds_at_most=8, seconds=0.5, timeout=60.0)
HANGS_SOON = replace(QUICK, timeout=4.0)
DEADLINE = 120.0  # seconds after which a process that should have ended counts as left over

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


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(192, 192)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(8):
            x = torch.relu(self.linear(x))
        return x


class Fails(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] == 2, "wants two"
        return x


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an input and saved models: one for each runtime, and one that fails when it is called."""
    path = tmp_path_factory.mktemp("pairs")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all of this is deprecated, and what this package is about
        module = torch.jit.script(Block().eval())
        module.save(str(path / "scripted.pt"))
        module._save_for_lite_interpreter(str(path / "lite.ptl"))
        torch.jit.script(Fails()).save(str(path / "fails.pt"))
    (path / "broken.pt").write_bytes(b"no model")
    np.save(path / "x.npy", np.ones((64, 192), dtype=np.float32))
    return path


@pytest.fixture
def real(folder: Path) -> Any:
    """A factory of sides that run this interpreter and its torch on both runtimes."""
    models = {"scripted": ("scripted.pt", "torchscript"), "lite": ("lite.ptl", "lite_interpreter")}
    files: dict[str, Any] = {name: (str(folder / file), runtime) for name, (file, runtime) in models.items()}
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
def compare(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """The comparison of two sides on the module's input; `told` hears its progress."""

    def run(
        old: Installation, new: Installation, told: Any = lambda text, left: None, plan: SamplingPlan = QUICK
    ) -> Any:
        return compare_latency(old, new, folder / "x.npy", ENGINE, plan=plan, echo=told, locks=tmp_path)

    return run


@contextmanager
def worker(*arguments: str) -> Iterator[Any]:
    command = [sys.executable, "-m", "vitgate.observe.latency_worker", *arguments]
    environment = {**os.environ, **SETTINGS, "PYTHONPATH": SOURCE}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for each in (process.stdin, process.stdout, process.stderr):
            each.close()  # type: ignore[union-attr]  # all three are pipes


def ask(process: Any, **request: Any) -> Any:
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def load(folder: Path, **models: tuple[str, str]) -> dict[str, Any]:
    files: dict[str, Any] = {name: (str(folder / file), runtime) for name, (file, runtime) in models.items()}
    return {"load": files, "engine": ENGINE, "input": str(folder / "x.npy")}


def children() -> list[int]:
    """Processes that this one has started and that still run; pytest's and xdist's own do not count."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            line = Path(f"/proc/{pid}/cmdline")
            if line.exists() and b"vitgate.observe.latency_worker" in line.read_bytes():
                found.append(int(pid))
    return found


# The worker alone


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
    real: Any, compare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[dict[str, int]] = []

    def each_alone(given: dict[str, int]) -> list[list[str]]:
        sizes.append(given)
        return [[name] for name in given]

    monkeypatch.setattr("vitgate.upgrade.paired_latency.loaded_at_once", each_alone)
    told: list[str] = []
    found = compare(real(), real(), lambda text, left: told.append(text))

    assert min(sizes[0].values()) > 1000
    assert list(found) == ["scripted", "lite"]
    assert {name: row.pairs >= 3 for name, row in found.items()} == {"scripted": True, "lite": True}
    assert "pair 1 of 3: loading 1 variant" in told
    assert not any("loading 2" in text for text in told)


def test_worker_returns_time_of_each_call_and_ends_at_eof(folder: Path) -> None:
    with worker() as process:
        loaded = ask(process, **load(folder, a=("scripted.pt", "torchscript"), b=("lite.ptl", "lite_interpreter")))
        core = quietest_core()
        pinned = ask(process, pin=core) if core is not None else {"pinned": True}
        times = {name: ask(process, time=name, calls=3) for name in ("a", "b")}
        process.stdin.close()
        status = process.wait(DEADLINE)

    starts = [(loaded["load"][name], loaded["first"][name]) for name in ("a", "b")]
    assert {(len(load["process"]), len(first["process"])) for load, first in starts} == {(1, 4)}
    assert loaded["torch"] == torch.__version__
    assert loaded["failed"] == {}
    assert set(loaded["seconds"]) == {"a", "b"}
    assert pinned == {"pinned": True}
    for found in times.values():
        assert {key: len(of) for key, of in found.items()} == {"thread": 3, "process": 3, "wall": 3, "waited": 3}
        assert all(0.0 <= value < 5.0 for of in found.values() for value in of)
    assert status == 0


def test_worker_error_is_returned_with_its_stage(folder: Path) -> None:
    models = {"broken": ("broken.pt", "torchscript"), "fails": ("fails.pt", "torchscript"), "odd": ("x.npy", "eager")}
    with worker() as process:
        failed = ask(process, **load(folder, **models))["failed"]
        unknown = ask(process, time="nothing", calls=1)["error"]
        senseless = ask(process, sing="a song")["error"]
        missing = ask(process, **{**load(folder), "input": "/no/such.npy"})["error"]

    assert {name: error["stage"] for name, error in failed.items()} == {"broken": "load", "fails": "run", "odd": "load"}
    assert "wants two" in failed["fails"]["message"]
    assert all("\n" not in error["message"] for error in failed.values())
    assert [unknown["stage"], senseless["stage"], missing["stage"]] == ["request", "request", "set up"]


def test_library_output_does_not_disturb_worker_protocol(folder: Path) -> None:
    noisy = "import sys; sys.argv = ['w']; print('before'); from vitgate.observe import latency_worker as w; "
    noisy += "own = w.own_stdout; w.own_stdout = lambda: (own(), print('within', flush=True))[0]; w.main()"
    done = subprocess.run(
        [sys.executable, "-c", noisy],
        input=json.dumps(load(folder)) + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        timeout=600,
        check=True,
    )

    before, answer = done.stdout.splitlines()
    assert before == "before"
    assert "torch" in json.loads(answer)
    assert "within" in done.stderr


def test_worker_imports_nothing_heavier_than_torch(folder: Path) -> None:
    code = (
        "import sys, json; from vitgate.observe.latency_worker import Worker\n"
        "early = 'torch' in sys.modules\n"
        f"answer = Worker().answer({load(folder, a=('lite.ptl', 'lite_interpreter'))!r})\n"
        "heavy = [name for name in ('timm', 'torchvision', 'pydantic', 'pandas') if name in sys.modules]\n"
        "print(json.dumps([early, heavy, sorted(answer['failed'])]))"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert json.loads(done.stdout) == [False, [], []]


@pytest.mark.parametrize("kind", ["cpu", "sleep", "thread"])
def test_injected_delay_is_seen_by_its_clock(folder: Path, kind: str) -> None:
    with worker() as plain, worker("--inject", f"{kind}:2.0") as slowed:
        timed = []
        for process in (plain, slowed):
            ask(process, **load(folder, a=("scripted.pt", "torchscript")))
            times = ask(process, time="a", calls=20)
            timed.append(Timed(**{clock: tuple(seconds) for clock, seconds in times.items()}))

    found = pair_ratio(*timed)

    assert (found.ratio > 2.0) is (kind == "cpu")
    assert (found.process > PROCESS_GROWTH) is (kind == "thread")
    assert (found.asleep > ASLEEP_GROWTH) is (kind != "cpu")


def test_request_beyond_time_limit_ends_worker(folder: Path) -> None:
    with worker("--inject", "sleep:100000") as process:
        ask(process, **load(folder, a=("scripted.pt", "torchscript")))
        process.stdin.write(json.dumps({"time": "a", "calls": 100, "limit": 1}) + "\n")
        process.stdin.flush()

        assert process.wait(DEADLINE) == -signal.SIGALRM


# The controller


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


def test_a_slower_side_is_found(real: Any, compare: Callable[..., Any]) -> None:
    found = compare(real(), real("--inject", "cpu:0.3"))

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


def test_injected_slow_start_affects_only_its_part(folder: Path) -> None:
    with worker("--inject", "load:50.0") as process:
        answer = ask(process, **load(folder, a=("scripted.pt", "torchscript")))
        times = ask(process, time="a", calls=4)

    (loading,), first = answer["load"]["a"]["process"], answer["first"]["a"]["process"]
    assert loading > 10.0 * min(first)
    assert loading > 10.0 * min(times["process"])


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
    assert {each.note for each in found.values()} == {"the worker of NEW did not answer within 4 s"}
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


def test_killed_controller_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        _KILLED_CONTROLLER,
        str(folder / "lite.ptl"),
        str(folder / "x.npy"),
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


# The lock


def test_two_comparisons_alternate(tmp_path: Path) -> None:
    order: list[str] = []

    def measure(name: str) -> None:
        lock = MeasuringLock(tmp_path)
        for _ in range(4):
            with lock.held(30.0):
                order.append(name)
                time.sleep(0.05)
                order.append(name)

    threads = [threading.Thread(target=measure, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)

    assert order[::2] == order[1::2]  # never both at once
    assert "".join(order[2:-2:2]) in ("ababab", "bababa")


def test_lock_timeout_is_machine_error(tmp_path: Path) -> None:
    with (
        MeasuringLock(tmp_path).held(1.0),
        pytest.raises(MachineError, match="timed out waiting for another vitgate latency comparison"),
    ):
        with MeasuringLock(tmp_path).held(0.1):
            pass
