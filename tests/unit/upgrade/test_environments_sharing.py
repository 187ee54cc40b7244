"""Environments that several processes make or use at once, and those whose maker was killed."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from uv import find_uv_bin

import vitgate
from vitgate.files.errors import MachineError
from vitgate.upgrade.environment_cache import BUSY, listing, prune, READY
from vitgate.upgrade.environments import in_use, MARKER, read_marker

from .environment_maker import aged, Maker, PATIENCE, until


@pytest.mark.parametrize(("moment", "wait"), [("making", 0), ("making", 0.1), ("installing", 0.05), ("importing", 0.1)])
def test_making_killed_at_any_moment_completes_next_time(moment: str, wait: float, maker: Maker) -> None:
    with subprocess.Popen(maker.command(slow="3"), stdout=subprocess.PIPE, text=True) as process:
        until(process, moment)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
    made = [path for path in (maker.cache / "environments").glob("*") if path.name != "locks"]
    assert len(made) <= 1
    assert all(read_marker(folder) is None for folder in made)
    assert not maker.make().reused
    assert [row.state for row in listing(maker.cache)] == [READY]


@pytest.fixture
def slow_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a uv in place that waits a second before it installs, and notes each beginning and end."""
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "site" / "uv").mkdir(parents=True)
    shim = tmp_path / "slow-uv"
    text = f'#!/bin/sh\necho begin $1 >> "{log}"\n[ "$1" = pip ] && sleep 1\n"{find_uv_bin()}" "$@"\n'
    shim.write_text(f'{text}status=$?\necho end $1 >> "{log}"\nexit $status\n', encoding="utf-8")
    shim.chmod(0o755)
    module = f"def find_uv_bin() -> str:\n    return {str(shim)!r}\n"
    (tmp_path / "site" / "uv" / "__init__.py").write_text(module, encoding="utf-8")
    source = Path(vitgate.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(source)]))
    return log


def test_orphaned_uv_is_awaited(maker: Maker, slow_uv: Path) -> None:
    with subprocess.Popen(maker.command(), stdout=subprocess.PIPE, text=True) as process:
        until(process, "installing")
        while "begin pip" not in slow_uv.read_text(encoding="utf-8"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    steps: list[str] = []
    assert not maker.make(echo=steps.append).reused
    assert "waiting" in steps[0]
    assert slow_uv.read_text(encoding="utf-8").count("end pip") == 1  # it had ended when its folder was cleared


def test_concurrent_makers_make_environment_once(maker: Maker, slow_uv: Path) -> None:
    started = [subprocess.Popen(maker.command(), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=PATIENCE)[0].splitlines() for process in started]
    assert sorted(lines[-1] for lines in said) == ["made", "reused", "reused"]
    assert slow_uv.read_text(encoding="utf-8").count("begin pip") == 1


def test_environment_in_use_is_kept(maker: Maker) -> None:
    environment = aged(maker.make(), 100)
    with in_use(environment), in_use(environment):  # two gates at once
        assert [row.state for row in listing(maker.cache)] == [BUSY]
        os.utime(environment.folder / MARKER, (1, 1))
        assert prune(maker.cache, max_bytes=0, older_than=datetime.timedelta(0)).rows == ()
        assert maker.make().reused  # another gate needs not wait
    assert (environment.folder / MARKER).stat().st_mtime > 1
    assert len(prune(maker.cache, max_bytes=0).rows) == 1
    with pytest.raises(MachineError, match="removed meanwhile"), in_use(environment):
        raise AssertionError("it is gone")


def test_inherited_lock_keeps_environment(maker: Maker) -> None:
    environment = maker.make()
    with in_use(environment) as descriptors:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=descriptors)
    try:
        assert prune(maker.cache, max_bytes=0).rows == ()
    finally:
        child.kill()
        child.wait()
    assert len(prune(maker.cache, max_bytes=0).rows) == 1


def test_environment_being_made_is_kept(maker: Maker) -> None:
    with subprocess.Popen(maker.command(slow="2"), stdout=subprocess.PIPE, text=True) as process:
        until(process, "importing")
        assert [row.state for row in listing(maker.cache)] == ["being made"]
        assert prune(maker.cache, max_bytes=0).rows == ()
        assert process.communicate(timeout=PATIENCE)[0].strip() == "made"
