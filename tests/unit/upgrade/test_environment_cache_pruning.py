"""Environments are listed with their sizes, and pruned by age and size; also by the commands for that."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from vitgate.cli import environments
from vitgate.files.disk_usage import usage
from vitgate.upgrade.environment_cache import disk_use, HALF_MADE, listing, prune, READY
from vitgate.upgrade.environments import lock_of, read_marker

from .environment_maker import aged, Maker


def test_listing_has_state_use_and_shared_size(maker: Maker) -> None:
    assert listing(maker.cache) == []
    old, new = aged(maker.make("2.11.0"), 3), maker.make("2.12.1")
    half = maker.cache / "environments" / "half"
    half.mkdir()
    (half / "file").write_bytes(b"x" * 10_000)
    rows = {row.key: row for row in listing(maker.cache)}
    assert [rows[each.folder.name].torch for each in (old, new)] == ["2.11.0", "2.12.1"]
    assert (rows[old.folder.name].state, rows["half"].state) == (READY, HALF_MADE)
    assert rows["half"].own_bytes >= 10_000 > rows["half"].shared_bytes == 0
    assert rows[new.folder.name].shared_bytes > 0
    each = sum(row.own_bytes + row.shared_bytes for row in rows.values())
    assert disk_use(rows.values()) < each  # the timm that both have counts once
    assert list(rows)[-1] == old.folder.name
    assert json.loads(json.dumps([row.to_json() for row in rows.values()]))[0]["state"] in (READY, HALF_MADE)


def test_disk_usage_counts_hard_links_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "shared").write_bytes(b"x" * 9000)
    (tmp_path / "two" / "shared").hardlink_to(tmp_path / "one" / "shared")
    (tmp_path / "one" / "own").write_bytes(b"x" * 5000)
    (tmp_path / "one" / "own too").hardlink_to(tmp_path / "one" / "own")
    (tmp_path / "one" / "away").symlink_to("/")
    one = usage(tmp_path / "one")
    assert 9000 <= one.shared < 5000 + 9000
    assert 5000 <= one.own < 9000
    both = usage(tmp_path)
    assert (both.shared, both.bytes) == (0, one.bytes)


def test_prune_by_age_removes_older_environments(maker: Maker) -> None:
    aged(maker.make("2.11.0"), 31), aged(maker.make("2.12.1"), 29)
    done = prune(maker.cache, older_than=datetime.timedelta(days=30))
    assert [row.torch for row in done.rows] == ["2.11.0"]
    assert done.freed > 0
    assert [row.torch for row in listing(maker.cache)] == ["2.12.1"]
    assert not maker.make("2.11.0").reused


def test_prune_by_size_takes_the_least_recently_used(maker: Maker) -> None:
    for days, text in enumerate(("2.12.1", "2.11.0", "torch==2.12.1 timm==1.0.20")):
        aged(maker.make(text), days)
    limit = disk_use(listing(maker.cache)) - 1
    assert [row.name for row in prune(maker.cache, max_bytes=limit).rows] == ["torch==2.12.1 timm==1.0.20"]
    assert [row.name for row in prune(maker.cache, max_bytes=0).rows] == ["2.11.0", "2.12.1"]


def test_prune_without_a_condition_takes_half_made_folders_only(maker: Maker) -> None:
    maker.make()
    (maker.cache / "environments" / "half").mkdir()
    assert [row.key for row in prune(maker.cache).rows] == ["half"]


def test_a_dry_run_removes_nothing(maker: Maker) -> None:
    aged(maker.make(), 100)
    (maker.cache / "environments" / "half").mkdir()
    before = listing(maker.cache)
    done = prune(maker.cache, max_bytes=0, dry_run=True)
    assert len(done.rows) == 2
    assert listing(maker.cache) == before


def test_interrupted_removal_leaves_no_valid_environment(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = maker.make()
    monkeypatch.setattr("vitgate.upgrade.environments.shutil.rmtree", lambda path: None)
    prune(maker.cache, max_bytes=0)
    monkeypatch.undo()
    assert environment.folder.is_dir()
    assert read_marker(environment.folder) is None
    assert lock_of(environment.folder).exists()


@pytest.fixture
def run(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(environments, "default_cache", lambda: maker.cache)

    def call(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(environments.environments, arguments)
        assert result.exit_code == status, result.output
        return result.output if status else result.stdout

    return call


def test_environments_commands_list_and_prune(run: Callable[..., str], maker: Maker) -> None:
    assert "no environments" in run("list")
    aged(maker.make("torch==2.12.1 timm==1.0.20"), 40)
    shown = json.loads(run("list", "--json"))
    assert (shown["environments"][0]["torch"], shown["bytes"] > 0) == ("2.12.1", True)
    assert "2.12.1" in run("list")
    assert json.loads(run("list", "--json", "-")) == shown
    assert "nothing to do" in run("prune", "--older-than", "41d", "--max-size", "20GB")
    assert "would remove 1" in run("prune", "--older-than", "30d", "--dry-run")
    done = json.loads(run("prune", "--max-size", "0.5kB", "--json", "-"))
    assert (done["removed"][0]["torch"], done["dry_run"]) == ("2.12.1", False)
    assert "no environments" in run("list")


@pytest.mark.parametrize("arguments", [("--older-than", "soon"), ("--older-than", "-1d"), ("--max-size", "20XB")])
def test_invalid_prune_arguments_are_refused(arguments: tuple[str, str], run: Callable[..., str]) -> None:
    assert arguments[1] in run("prune", *arguments, status=2)


@pytest.mark.parametrize(("text", "expected"), [("500MB", 500 * 10**6), ("10GiB", 10 * 2**30), ("1.5g", 15 * 10**8)])
def test_sizes_are_parsed_with_units(text: str, expected: int) -> None:
    assert environments.size(text) == expected
