"""A gate's steps are done once, whoever was killed meanwhile, and its folders go when they are of no use."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vitgate.files import locks
from vitgate.files.errors import MachineError
from vitgate.upgrade import gate as module
from vitgate.upgrade import paired_latency

from ..conftest import Refuses
from ..processes import waited
from .fake_gate import Fake, order, run, STEPS

TESTS = Path(__file__).parents[2]


def left(cache: Any) -> Any:
    """Return the names of the gates' folders."""
    return sorted(path.name for path in (cache / "gates").iterdir() if path.name != "locks")


# ---- once, and again


@pytest.mark.parametrize("step", STEPS)
def test_failed_step_is_repeated_without_earlier_ones(fake: Fake, step: str) -> None:
    fake.fail = step
    with pytest.raises(MachineError, match="no network"):
        run(order(fake.cache))
    assert len(left(fake.cache)) == 1

    fake.fail = ""
    verdict = run(order(fake.cache))

    at = STEPS.index(step)
    assert fake.steps() == [*STEPS[: at + 1], *STEPS[at:]]
    assert verdict.exit_status == 1
    assert left(fake.cache) == []


def start(cache: Any, *arguments: str) -> Any:
    """Start a gate in a process of its own."""
    paths = os.pathsep.join([str(TESTS), *(path for path in sys.path if path)])
    command = [sys.executable, "-m", "unit.upgrade.fake_gate", str(cache), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.parametrize("step", [*STEPS, "old-written", "new-written", "crossing-written"])
def test_killed_gate_is_resumed_with_same_verdict(
    fake: Fake, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = start(fake.cache, f"hang={step}")
    assert waited(lambda: list(fake.cache.glob("hangs-*")))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(left(fake.cache)) == 1

    verdict = run(order(fake.cache))

    at = STEPS.index(step.partition("-")[0])
    assert fake.steps() == [*STEPS[: at + 1], *STEPS[at:]]  # only the step that it was in is done twice
    assert left(fake.cache) == []
    undisturbed = Fake(tmp_path / "other")
    undisturbed.install(monkeypatch)
    assert verdict == run(order(undisturbed.cache))


def test_truncated_record_is_remade(fake: Fake, refuses: Refuses) -> None:
    fake.fail = "latency"
    with pytest.raises(MachineError):
        run(order(fake.cache))
    record = fake.cache / "gates" / left(fake.cache)[0] / "new.json"
    record.write_bytes(record.read_bytes()[:1000])
    fake.fail = ""

    refuses(lambda: run(order(fake.cache)), "not a readable record", record, "make it again")
    verdict = run(order(fake.cache))

    assert fake.steps() == [*STEPS, "new", "latency"]
    assert verdict.exit_status == 1


def test_ctrl_c_keeps_finished_steps(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **keywords: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(paired_latency, "compare_latency", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(order(fake.cache))
    fake.install(monkeypatch)
    run(order(fake.cache))

    assert fake.steps() == STEPS


def test_concurrent_equal_gates_have_separate_folders(fake: Fake) -> None:
    gates = [start(fake.cache, "hang=old") for _ in range(2)]
    assert waited(lambda: len(list(fake.cache.glob("hangs-*"))) == 2)
    assert len(left(fake.cache)) == 2
    assert len({name.rpartition("-")[0] for name in left(fake.cache)}) == 1

    (fake.cache / "go").touch()
    verdicts = [json.loads(gate.communicate(timeout=600)[0]) for gate in gates]

    assert verdicts[0] == verdicts[1]
    assert [gate.returncode for gate in gates] == [0, 0]
    assert sorted(fake.steps()) == sorted(STEPS * 2)
    assert left(fake.cache) == []


def test_too_many_concurrent_gates_are_refused(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLOTS", 1)
    gate = start(fake.cache, "hang=old")
    assert waited(lambda: list(fake.cache.glob("hangs-*")))

    with pytest.raises(MachineError, match="too many gates"):
        run(order(fake.cache))

    gate.kill()
    gate.communicate()


@pytest.mark.parametrize(
    "other",
    [
        {"old": "2.15.0"},
        {"new": "2.12.1"},
        {"field": "own"},
    ],
)
def test_other_request_uses_another_folder(fake: Fake, own: Any, other: dict[str, str]) -> None:
    fake.fail = "new"
    fields: dict[str, Any] = {name: (str(own),) if name == "field" else value for name, value in other.items()}
    for asked in (order(fake.cache), order(fake.cache, **fields)):
        with pytest.raises(MachineError):
            run(asked)

    assert len(left(fake.cache)) == 2


def test_changed_user_file_uses_another_folder(fake: Fake, own: Path) -> None:
    fake.fail = "new"
    (own / "dangling.pt").symlink_to(own / "nowhere")
    for content in (b"one", b"another"):
        (own / "phone-lite.ptl").write_bytes(content)
        with pytest.raises(MachineError):
            run(order(fake.cache, field=(str(own),)))

    assert len(left(fake.cache)) == 2


# ---- what is left behind


def _age(folder: Path, days: Any) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))


def test_results_of_yesterday_are_not_reused(fake: Fake) -> None:
    fake.fail = "new"
    with pytest.raises(MachineError):
        run(order(fake.cache))
    _age(fake.cache / "gates" / left(fake.cache)[0], 1.1)
    fake.fail = ""

    run(order(fake.cache))

    assert fake.steps() == ["old", "new", *STEPS]


def test_stale_folders_are_removed_unless_in_use(fake: Fake) -> None:
    home = fake.cache / "gates"
    for name in ("stale-0", "fresh-0", "used-0"):
        (home / name).mkdir(parents=True)
    for name in ("stale-0", "used-0"):
        _age(home / name, 2)

    with locks.if_free(home / "locks" / "used-0"):
        run(order(fake.cache))

    assert left(fake.cache) == ["fresh-0", "used-0"]


def test_folder_removed_meanwhile_is_ignored(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake.cache / "gates"
    (home / "theirs-0").mkdir(parents=True)
    _age(home / "theirs-0", 2)
    real = Path.stat

    def gone(path: Path, **options: Any) -> Any:
        if path.name == "theirs-0":
            shutil.rmtree(path, ignore_errors=True)
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", gone)

    assert run(order(fake.cache)).exit_status == 1


# ---- interrupted

# The whole command, with a gate of which no step is real.
COMMAND = """
import sys
from pathlib import Path
import pytest
from unit.upgrade.fake_gate import Fake
from vitgate.cli import main
Fake(Path(sys.argv[1]), hang="new").install(pytest.MonkeyPatch())
main(["upgrade", "2.12.1", "2.15.0", "--case", "digits", "--json", sys.argv[1] + "/verdict.json"])
"""


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [(signal.SIGINT, 130, "ERROR: interrupted"), (signal.SIGTERM, 143, "ERROR: terminated")],
    ids=["ctrl-c", "sigterm"],
)
def test_interrupted_command_reports_one_line_and_no_verdict(
    fake: Fake, number: Any, status: int, says: str, tmp_path: Path
) -> None:
    paths = os.pathsep.join([str(TESTS), *(path for path in sys.path if path)])
    environment = {**os.environ, "PYTHONPATH": paths, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", COMMAND, str(fake.cache)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as gate:
        assert waited(lambda: list(fake.cache.glob("hangs-*")))
        gate.send_signal(number)
        said = gate.communicate(timeout=60)[1].split("\n")

    assert gate.returncode == status
    assert said[-2:] == [says, ""]
    assert "Traceback" not in "".join(said)
    assert not (fake.cache / "verdict.json").exists()
