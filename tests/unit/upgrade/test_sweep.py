"""A sweep leaves a record of each version, goes on where it stopped, and shows them side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from vitgate.files.errors import UsageError
from vitgate.records.consistency import read_consistent
from vitgate.records.merge import merge
from vitgate.upgrade.environment_cache import listing
from vitgate.upgrade.environments import environments_folder
from vitgate.upgrade.record_cache import file_name
from vitgate.upgrade.sweep import exit_status, show, state, sweep, Swept, table

from .world import World

VERSIONS = ("2.12.1", "2.15.0")


def quiet(line: str) -> None:
    """Say nothing."""


def text_of(found: list[Swept]) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table(found))
    return captured.get()


def test_each_version_leaves_its_record(world: World) -> None:
    found = sweep(world.order(*VERSIONS), quiet)

    assert [(each.name, each.error, each.record and state(each.record)) for each in found] == [
        (name, "", "whole") for name in VERSIONS
    ]
    for each in found:
        assert read_consistent(world.folder / "records" / f"{each.name}.json") == each.record
    assert exit_status(found) == 0
    rows = {line.split()[0]: line.split()[1:] for line in text_of(found).splitlines()[1:]}
    assert rows["run"] == ["whole", "whole"]
    assert rows["build"] == ["40", "24", "(16)"]


def test_existing_records_are_reused(world: World) -> None:
    first = sweep(world.order(*VERSIONS), quiet)
    lines: list[str] = []
    again = sweep(world.order(*VERSIONS), lines.append)

    assert again == first
    assert len(world.runs) == 2
    assert all("kept from before" in line for line in lines)


def test_changed_options_suite_or_record_is_rerun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(world.order("2.12.1"), quiet)
    sweep(world.order("2.12.1", case=("digits",)), quiet)
    assert len(world.runs) == 2
    path = world.folder / "records" / "2.12.1.json"
    path.write_text(path.read_text(encoding="utf-8").replace("2.12.1", "2.12.2", 1), encoding="utf-8")
    sweep(world.order("2.12.1", case=("digits",)), quiet)
    assert len(world.runs) == 3
    monkeypatch.setattr("vitgate.upgrade.runs._CONFTEST", b"# another suite\n")
    sweep(world.order("2.12.1", case=("digits",)), quiet)
    assert len(world.runs) == 4


def test_failed_version_is_reported_and_sweep_continues(world: World) -> None:
    lines: list[str] = []
    found = sweep(world.order("9.9.9", "2.14.0", "2.12.1"), lines.append)

    assert [bool(each.record) for each in found] == [False, False, True]
    assert exit_status(found) == 6
    assert sum("environment error" in line for line in lines) == 2
    assert text_of(found).count("environment error") == 2


def test_run_without_record_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD_RUN", "2.12.1")

    found = sweep(world.order(*VERSIONS), quiet)

    assert found[0].record is None
    assert "no room" in found[0].error
    assert found[1].record is not None
    assert not (world.folder / "records" / "2.12.1.json").exists()


def test_undeclared_failure_is_status_1(world: World) -> None:
    (found,) = sweep(world.order("2.12.1"), quiet)
    assert found.record is not None
    rows = [row.model_copy(update={"status": "failed"}) for row in found.record.claims[:1]]
    red = replace(found, record=found.record.model_copy(update={"claims": tuple(rows)}))

    assert (exit_status([found, red]), exit_status([found])) == (1, 0)
    assert exit_status([red, Swept("x", error="no")]) == 6


def test_prune_removes_environments_and_records_suffice(world: World) -> None:
    sweep(world.order(*VERSIONS, prune=True), quiet)

    assert listing(world.means.cache) == []
    sweep(world.order(*VERSIONS, prune=True), quiet)
    assert len(world.runs) == 2
    assert listing(world.means.cache) == []
    assert environments_folder(world.means.cache).is_dir()


def test_shard_is_passed_to_runs(world: World) -> None:
    parts = []
    for number in (1, 2):
        (found,) = sweep(world.order("2.12.1", shard=f"{number}/2"), quiet)
        assert found.record is not None
        parts.append(found.record)

    assert [part.shard for part in parts] == ["1/2", "2/2"]
    assert merge(parts).complete


def test_sweep_writes_markdown_and_json(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep(world.order(*VERSIONS, "9.9.9"), quiet)
    show(found, markdown=str(world.folder / "page.md"), json_file=str(world.folder / "table.json"))

    page = (world.folder / "page.md").read_text(encoding="utf-8")
    assert "|  | 2.12.1 | 2.15.0 |" in page
    assert "| build | 40 | 24 (16) |" in page
    assert "- 9.9.9: environment error: " in page
    whole = json.loads((world.folder / "table.json").read_text(encoding="utf-8"))
    assert whole["exit_status"] == 6
    assert [each["state"] for each in whole["versions"]] == ["whole", "whole", "environment error"]
    assert whole["versions"][1]["claims"]["build"] == {"passed": 24, "declared": 16}
    assert "environment error" in capsys.readouterr().out


def test_killed_sweep_resumes(world: World) -> None:
    code = (
        "import pathlib, sys\n"
        "from tests.unit.upgrade.world import World\nfrom vitgate.upgrade.sweep import sweep\n"
        f"sweep(World(pathlib.Path({str(world.folder)!r})).order(*{VERSIONS!r}), lambda line: None)"
    )
    path = os.pathsep.join([str(p) for p in sys.path if p] + [str(Path.cwd())])
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "SLOW": "2", "PYTHONPATH": path, "TMPDIR": str(world.folder)}
    )
    deadline = time.monotonic() + 60
    while len(world.runs) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert len(world.runs) == 2
    assert not (world.folder / "records" / "2.15.0.json").exists()
    found = sweep(world.order(*VERSIONS), quiet)
    assert [line.split()[0] for line in world.runs] == ["2.12.1", "2.15.0", "2.15.0"]
    assert exit_status(found) == 0


def test_missing_or_duplicate_version_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="no version"):
        sweep(world.order(), quiet)
    with pytest.raises(UsageError, match="duplicate"):
        sweep(world.order("2.12.1", "2.12.1"), quiet)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2.12.1", "2.12.1"),
        ("torch==2.12.1 timm>=1", "torch_2.12.1_timm_1"),
        ("requirements/old.txt", "requirements-old.txt"),
        ("/home/me/venv/bin/python3.11", "me-venv"),
        ("../..", "side"),
        ("x" * 300, "x" * 100),
    ],
)
def test_file_names_are_made_from_side(text: str, name: str) -> None:
    assert file_name(text) == name
