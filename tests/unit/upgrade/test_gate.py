"""The gate: its steps are done once, whoever was killed meanwhile; what they leave becomes one verdict."""

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

import numpy as np
import pytest

from vitgate.files import locks
from vitgate.files.errors import MachineError
from vitgate.upgrade import gate as module
from vitgate.upgrade import paired_latency
from vitgate.upgrade.gate import disk_line
from vitgate.upgrade.interpreters import Environment

from ..conftest import Refuses
from ..processes import waited
from . import fake_gate
from .fake_gate import Fake, order, run

STEPS = ["old", "new", "crossing", "latency"]
TESTS = Path(__file__).parents[2]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return what stands in the place of environments, runs and latencies; nothing hangs or fails yet."""
    made = Fake(tmp_path / "cache")
    made.install(monkeypatch)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a user's folder of one lite file."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "phone-lite.ptl").write_bytes(b"phone")
    return folder


def left(cache: Any) -> Any:
    """Return the names of the gates' folders."""
    return sorted(path.name for path in (cache / "gates").iterdir() if path.name != "locks")


# ---- the verdict


def test_four_steps_make_one_verdict(fake: Fake) -> None:
    said: list[Any] = []

    verdict = run(order(fake.cache), said)

    assert fake.steps() == STEPS
    assert verdict.exit_status == 1
    crossed = {(item.row.maker, item.row.runner, item.row.variant): item for item in verdict.matrix}
    assert crossed["2.12.1", "2.15.0", "lite"].word == "regressed"
    assert crossed["2.12.1", "2.15.0", "lite"].cause == "xnnpack-gone-lite-files"
    assert crossed["2.12.1", "2.15.0", "lite_frozen"].word == crossed["2.15.0", "2.12.1", "lite_frozen"].word == "same"
    assert crossed["2.15.0", "2.12.1", "lite_frozen"].row.sqnr_db == 120.0
    assert ("2.15.0", "2.12.1", "lite") not in crossed
    assert [(item.row.variant, item.word) for item in verdict.latency] == [
        ("scripted_quantized", "same"),
        ("lite_frozen", "same"),
    ]
    assert said == [
        "old: the conformance suite on PyTorch 2.12.1",
        "new: the conformance suite on PyTorch 2.15.0",
        "crossing: the conformance suite on PyTorch 2.12.1",
        "latency: digits on qnnpack, pairs of processes",
    ]


def test_time_on_an_emulated_processor_is_not_compared(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake_gate._record

    def emulated(torch: str) -> Any:
        record = real(torch)
        return record.model_copy(
            update={"environment": record.environment.model_copy(update={"cpu": "emulated aarch64"})}
        )

    monkeypatch.setattr(fake_gate, "_record", emulated)
    verdict = run(order(fake.cache))

    assert fake.steps() == ["old", "new", "crossing"]
    assert {(item.word, item.red) for item in verdict.latency} == {("not comparable", False)}
    assert "emulated aarch64 says nothing of the time" in verdict.latency[0].row.note


def test_latency_can_be_left_out(fake: Fake) -> None:
    assert run(order(fake.cache, latency=False)).latency == ()
    assert fake.steps() == STEPS[:3]


def test_empty_export_of_new_version_skips_crossing(fake: Fake) -> None:
    fake.nothing = "2.15.0"

    verdict = run(order(fake.cache))

    assert fake.steps() == ["old", "new", "latency"]
    assert verdict.exit_status == 1
    assert {(item.row.maker, item.row.runner) for item in verdict.matrix if item.row.sqnr_db} == {("2.12.1", "2.15.0")}


def test_empty_export_of_old_version_still_compares_records(fake: Fake) -> None:
    fake.nothing = "2.12.1"

    verdict = run(order(fake.cache))

    assert verdict.exit_status == 1
    assert verdict.latency == ()


@pytest.mark.parametrize("new", ["2.12.1", "2.12.1+cpu"])
def test_version_against_itself_may_upgrade(fake: Fake, new: str) -> None:
    verdict = run(order(fake.cache, new=new))

    assert verdict.exit_status == 0, verdict.answer
    assert fake.steps() == ["old", "new", "latency"]
    assert {item.word for item in verdict.matrix} == {"same"}


def test_user_file_that_no_longer_loads_is_regression_with_advice(fake: Fake, own: Path) -> None:
    verdict = run(order(fake.cache, field=(str(own),)))

    (row,) = [row for row in verdict.rows if row.name == "artifacts[own-phone-lite.ptl]"]
    assert row.new is not None
    assert (row.word, row.red, row.new.outcome_text) == ("regressed", True, "failed at load")
    (cause,) = [cause for cause in verdict.causes if row.name in cause.rows]
    assert cause.id == "failed at load like xnnpack-gone-lite-files"
    assert cause.advice
    assert any(row.name in cause.rows for cause in verdict.causes)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of one labelled picture."""
    (tmp_path / "pictures" / "3").mkdir(parents=True)
    (tmp_path / "pictures" / "3" / "a.png").touch()
    return tmp_path / "pictures"


def test_user_pictures_are_checked_on_both_sides_and_not_in_crossing(
    fake: Fake, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, real = {}, module.run_suite  # type: ignore[attr-defined]  # the fake's

    def run_suite(environment: Any, suite: Any, request: Any, log: Any, progress: Any) -> Any:
        said = (text for text in request.arguments() if not text.startswith(("--export", "--field", "--record")))
        told[Path(request.record).stem] = (*said,)
        return real(environment, suite, request, log, progress)

    monkeypatch.setattr(module, "run_suite", run_suite)
    run(order(fake.cache, images=str(pictures), images_accuracy=0.8))

    common = ("-n", "auto", "--case=digits", "--engine=qnnpack")
    own = (*common, "--no-latency", f"--images={pictures}", "--images-accuracy=0.8")
    assert told == {"old": own, "new": own, "crossing": (*common, "--claim=artifacts")}


def test_added_picture_restarts_gate(fake: Fake, pictures: Path) -> None:
    fake.fail = "new"
    for _ in range(2):
        with pytest.raises(MachineError):
            run(order(fake.cache, images=str(pictures)))
    assert fake.steps() == ["old", "new", "new"]
    (pictures / "3" / "b.png").touch()
    with pytest.raises(MachineError):
        run(order(fake.cache, images=str(pictures)))
    assert fake.steps() == ["old", "new", "new", "old", "new"]


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


def test_records_and_logs_are_kept_in_given_folder(fake: Fake, tmp_path: Path) -> None:
    run(order(fake.cache, keep=tmp_path / "a" / "kept"))

    assert sorted(path.name for path in (tmp_path / "a" / "kept").iterdir()) == [
        *("crossing.json", "crossing.log", "latency.json", "new.json", "new.log", "old.json", "old.log")
    ]


def test_unwritable_keep_folder_is_reported_first(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="cannot keep the records: .*--keep"):
        run(order(fake.cache, keep=tmp_path / "file" / "kept"))

    assert fake.steps() == []


def test_full_disk_gives_one_line_error(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **keywords: Any) -> None:
        raise OSError(28, "No space left on device", str(fake.cache / "x"))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(MachineError, match="No space left on device") as caught:
        run(order(fake.cache))

    assert "\n" not in str(caught.value)
    assert "free disk space" in str(caught.value)


def test_disk_usage_counts_only_own_environments(tmp_path: Path) -> None:
    theirs = Environment("a", Path("python"), "2.12.1", {}, tmp_path, True, 0, None)
    ours = Environment("b", Path("python"), "2.12.1", {}, tmp_path, True, 0, tmp_path / "lock")

    assert disk_line([theirs, theirs]) == ""
    assert "GB on disk" in disk_line([theirs, ours])


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
