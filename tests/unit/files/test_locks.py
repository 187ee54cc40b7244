"""The machine_lock between real processes: tests run beside each other, and a latency test alone."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.locks import MachineLock

from ..conftest import Processes

PATIENCE = 10.0
A_WHILE = 0.3  # long enough for a process that is not held up to have gone in


@pytest.fixture
def events(processes: Processes) -> Callable[..., Any]:
    """Return a maker of events that all processes see."""
    return processes.context.Event


def hold(how: str, folder: Path, inside: Any, leave: Any) -> None:
    """Go in, say so, and stay until told to leave."""
    with getattr(MachineLock(folder), how)():
        inside.set()
        assert leave.wait(PATIENCE)


def write(how: str, folder: Path) -> None:
    """Go in and write down who was there."""
    with getattr(MachineLock(folder), how)(), (folder / "log").open("a") as log:
        log.write(f"{how}\n")


def gate_is_closed(folder: Path) -> bool:
    with (folder / "gate.lock").open("a") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition: Callable[..., Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_shared_lock_admits_many_holders(processes: Processes, tmp_path: Path) -> None:
    together = processes.context.Barrier(3)

    def meet() -> None:
        with MachineLock(tmp_path).shared():
            together.wait(PATIENCE)

    for _ in range(3):
        processes.start(meet)

    assert processes.statuses() == [0, 0, 0]


@pytest.mark.parametrize("other", ["shared", "alone"])
def test_exclusive_lock_keeps_others_out(
    other: str, processes: Processes, events: Callable[..., Any], tmp_path: Path
) -> None:
    inside, leave, late = events(), events(), events()
    processes.start(hold, "alone", tmp_path, inside, leave)
    assert inside.wait(PATIENCE)
    processes.start(hold, other, tmp_path, late, leave)

    early = late.wait(A_WHILE)
    leave.set()

    assert not early
    assert late.wait(PATIENCE)
    assert processes.statuses() == [0, 0]


def test_exclusive_lock_waits_for_shared_holders(
    processes: Processes, events: Callable[..., Any], tmp_path: Path
) -> None:
    inside, leave, alone = events(), events(), events()
    processes.start(hold, "shared", tmp_path, inside, leave)
    assert inside.wait(PATIENCE)
    processes.start(hold, "alone", tmp_path, alone, leave)

    early = alone.wait(A_WHILE)
    leave.set()

    assert not early
    assert alone.wait(PATIENCE)
    assert processes.statuses() == [0, 0]


def test_exclusive_lock_is_not_starved_by_later_shared_locks(
    processes: Processes, events: Callable[..., Any], tmp_path: Path
) -> None:
    inside, leave = events(), events()
    processes.start(hold, "shared", tmp_path, inside, leave)
    assert inside.wait(PATIENCE)
    processes.start(write, "alone", tmp_path)
    wait_until(lambda: gate_is_closed(tmp_path))
    for _ in range(3):
        processes.start(write, "shared", tmp_path)
    time.sleep(A_WHILE)

    leave.set()

    assert processes.statuses() == [0] * 5
    assert (tmp_path / "log").read_text().split() == ["alone", "shared", "shared", "shared"]


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_killed_holder_releases_lock(
    how: str, processes: Processes, events: Callable[..., Any], tmp_path: Path
) -> None:
    inside = events()
    holder = processes.start(hold, how, tmp_path, inside, events())
    assert inside.wait(PATIENCE)

    holder.kill()
    processes.start(write, "alone", tmp_path)

    assert processes.statuses() == [-signal.SIGKILL, 0]


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_exception_inside_releases_lock(how: str, processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), getattr(MachineLock(tmp_path), how)():
        raise ZeroDivisionError

    processes.start(write, "alone", tmp_path)

    assert processes.statuses() == [0]


def test_locks_of_other_sessions_are_independent(
    processes: Processes, events: Callable[..., Any], tmp_path: Path
) -> None:
    inside, leave = events(), events()
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    processes.start(hold, "alone", one, inside, leave)
    assert inside.wait(PATIENCE)

    processes.start(write, "alone", other)
    wait_until((other / "log").exists)
    leave.set()

    assert processes.statuses() == [0, 0]


def test_shared_lock_is_reentrant_and_cannot_be_upgraded(tmp_path: Path) -> None:
    machine_lock = MachineLock(tmp_path)

    with machine_lock.shared():
        with machine_lock.shared():
            assert not gate_is_closed(tmp_path)
        with pytest.raises(RuntimeError, match="held already"), machine_lock.alone():
            raise AssertionError("went in")

    with machine_lock.alone(), machine_lock.shared():  # one that measures shares nothing with itself
        assert gate_is_closed(tmp_path)
