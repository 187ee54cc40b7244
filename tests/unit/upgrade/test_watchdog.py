"""The watchdog: nothing outlives whoever started it, however that ended, and the exit status is handed through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..processes import alive, PATIENCE, waited

# The command under the watchdog: writes its own number and a grandchild's, then sleeps. Each may ignore SIGTERM.
COMMAND = """
import os, signal, subprocess, sys, time
folder, deaf = sys.argv[1], sys.argv[2] == "deaf"
if deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen(["sleep", "120"])
with open(folder + "/new", "w") as file:
    file.write(f"{os.getpid()} {grandchild.pid}")
os.rename(folder + "/new", folder + "/pids")
time.sleep(120)
"""
# The parent that is killed: starts the watchdog as a gate does.
PARENT = """
import subprocess, sys
process = subprocess.Popen(
    [sys.executable, "-m", "vitgate.upgrade.watchdog", *sys.argv[1:]], stdin=subprocess.PIPE, start_new_session=True
)
print(process.pid, flush=True)
process.wait()
"""


def start(*command: str, **options: Any) -> Any:
    """Start the watchdog itself on a command, as a gate does."""
    watchdog = [sys.executable, "-m", "vitgate.upgrade.watchdog", *command]
    return subprocess.Popen(watchdog, stdin=subprocess.PIPE, start_new_session=True, **options)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Any]:
    """Return a helper that starts parent, watchdog, command and grandchild; gives the parent and their numbers."""
    started = []

    def make(hearing: Any = "hears") -> Any:
        process: Any = subprocess.Popen(
            [sys.executable, "-c", PARENT, sys.executable, "-c", COMMAND, str(tmp_path), hearing],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        watchdog = int(process.stdout.readline())
        assert waited(lambda: (tmp_path / "pids").exists())
        return process, [watchdog, *map(int, (tmp_path / "pids").read_text().split())]

    yield make
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("hearing", ["hears", "deaf"])
def test_children_end_when_parent_is_killed(parent: Any, hearing: str) -> None:
    process, others = parent(hearing)
    assert all(map(alive, others))

    process.kill()

    assert waited(lambda: not any(map(alive, others))), [pid for pid in others if alive(pid)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_children_end_when_process_group_is_killed(parent: Any, number: Any) -> None:
    process, others = parent()

    os.killpg(process.pid, number)

    assert waited(lambda: not any(map(alive, others))), [pid for pid in others if alive(pid)]


def test_children_end_when_pipe_is_closed() -> None:
    process = start("sleep", "120")
    assert process.poll() is None

    process.stdin.close()

    assert process.wait(PATIENCE) != 0


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(6)", 6),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),  # the watchdog's handler is not inherited
    ],
)
def test_exit_status_is_passed_through(code: str, status: int) -> None:
    with start(sys.executable, "-c", code, stderr=subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE) == status


def test_output_is_passed_through_and_stdin_is_empty() -> None:
    code = "import sys; print(repr(sys.stdin.read())); print('error', file=sys.stderr)"
    with start(sys.executable, "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert (process.stdout.read(), process.stderr.read()) == (b"''\n", b"error\n")


def test_leftover_processes_do_not_keep_output_open() -> None:
    code = "import subprocess; print('left'); subprocess.Popen(['sleep', '120'])"
    before = time.monotonic()
    with start(sys.executable, "-c", code, stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b"left\n"  # which ends only when nobody can write any more
        assert process.wait(PATIENCE) == 0
    assert time.monotonic() - before < PATIENCE
