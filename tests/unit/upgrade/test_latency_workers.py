"""The worker alone, with a tiny model in a real process, and the lock that lets one comparison measure at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from vitgate.compare.latency_statistics import ASLEEP_GROWTH, pair_ratio, PROCESS_GROWTH, Timed
from vitgate.files.errors import MachineError
from vitgate.observe.latency_worker import Worker
from vitgate.upgrade.latency_workers import MeasuringLock, quietest_core

from .latency_models import ask, DEADLINE, load, SOURCE, worker


def test_worker_returns_time_of_each_call_and_ends_at_eof(saved: Path) -> None:
    with worker() as process:
        loaded = ask(process, **load(saved, a=("scripted.pt", "torchscript"), b=("lite.ptl", "lite_interpreter")))
        core = quietest_core()
        pinned = ask(process, pin=core) if core is not None else {"pinned": True}
        times = {name: ask(process, time=name, calls=3) for name in ("a", "b")}
        process.stdin.close()
        status = process.wait(DEADLINE)

    starts = [(loaded["load"][name], loaded["first"][name]) for name in ("a", "b")]
    assert {(len(load["process"]), len(first["process"])) for load, first in starts} == {(1, 3)}
    assert loaded["torch"] == torch.__version__
    assert loaded["failed"] == {}
    assert set(loaded["seconds"]) == {"a", "b"}
    assert pinned == {"pinned": True}
    for found in times.values():
        assert {key: len(of) for key, of in found.items()} == {"thread": 3, "process": 3, "wall": 3, "waited": 3}
        assert all(0.0 <= value < 5.0 for of in found.values() for value in of)
    assert status == 0


def test_worker_error_is_returned_with_its_stage(saved: Path) -> None:
    models = {"broken": ("broken.pt", "torchscript"), "fails": ("fails.pt", "torchscript"), "odd": ("x.npy", "eager")}
    with worker() as process:
        failed = ask(process, **load(saved, **models))["failed"]
        unknown = ask(process, time="nothing", calls=1)["error"]
        senseless = ask(process, sing="a song")["error"]
        missing = ask(process, **{**load(saved), "input": "/no/such.npy"})["error"]

    assert {name: error["stage"] for name, error in failed.items()} == {"broken": "load", "fails": "run", "odd": "load"}
    assert "wants two" in failed["fails"]["message"]
    assert all("\n" not in error["message"] for error in failed.values())
    assert [unknown["stage"], senseless["stage"], missing["stage"]] == ["request", "request", "set up"]


def test_library_output_does_not_disturb_worker_protocol(saved: Path) -> None:
    noisy = "import sys; sys.argv = ['w']; print('before'); from vitgate.observe import latency_worker as w; "
    noisy += "own = w.own_stdout; w.own_stdout = lambda: (own(), print('within', flush=True))[0]; w.main()"
    done = subprocess.run(
        [sys.executable, "-c", noisy],
        input=json.dumps(load(saved)) + "\n",
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


def test_worker_imports_nothing_heavier_than_torch(saved: Path) -> None:
    code = (
        "import sys, json; from vitgate.observe.latency_worker import Worker\n"
        "early = 'torch' in sys.modules\n"
        f"answer = Worker().answer({load(saved, a=('lite.ptl', 'lite_interpreter'))!r})\n"
        "heavy = [name for name in ('timm', 'torchvision', 'pydantic', 'pandas') if name in sys.modules]\n"
        "print(json.dumps([early, heavy, sorted(answer['failed'])]))"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert json.loads(done.stdout) == [False, [], []]


@pytest.mark.parametrize("kind", ["cpu", "sleep", "thread"])
def test_injected_delay_is_seen_by_its_clock(saved: Path, kind: str) -> None:
    with worker() as plain, worker("--inject", f"{kind}:2.0") as slowed:
        timed = []
        for process in (plain, slowed):
            ask(process, **load(saved, a=("scripted.pt", "torchscript")))
            times = ask(process, time="a", calls=20)
            timed.append(Timed(**{clock: tuple(seconds) for clock, seconds in times.items()}))

    found = pair_ratio(*timed)

    assert (found.ratio > 2.0) is (kind == "cpu")
    assert (found.process > PROCESS_GROWTH) is (kind == "thread")
    assert (found.asleep > ASLEEP_GROWTH) is (kind != "cpu")


@pytest.mark.parametrize(("warm", "count"), [({"warm": False}, 3), ({"warm": True}, 6), ({}, 6)], ids=str)
def test_each_timed_call_is_warmed_up_where_that_is_asked(warm: dict[str, bool], count: int) -> None:
    calls: list[int] = []
    own = Worker()
    own._runs["a"] = lambda: calls.append(1)

    answer = own.answer({"time": "a", "calls": 3, **warm})

    assert (len(answer["thread"]), len(calls)) == (3, count)


def test_request_beyond_time_limit_ends_worker(saved: Path) -> None:
    with worker("--inject", "sleep:100000") as process:
        ask(process, **load(saved, a=("scripted.pt", "torchscript")))
        process.stdin.write(json.dumps({"time": "a", "calls": 100, "limit": 1}) + "\n")
        process.stdin.flush()

        assert process.wait(DEADLINE) == -signal.SIGALRM


def test_injected_slow_start_affects_only_its_part(saved: Path) -> None:
    with worker("--inject", "load:50.0") as process:
        answer = ask(process, **load(saved, a=("scripted.pt", "torchscript")))
        times = ask(process, time="a", calls=4)

    (loading,), first = answer["load"]["a"]["process"], answer["first"]["a"]["process"]
    assert loading > 10.0 * min(first)
    assert loading > 10.0 * min(times["process"])


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
