"""Environments are made once, whole or not at all, and an interpreter of the user's own is only looked at."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.upgrade import installer
from vitgate.upgrade.environment_cache import listing
from vitgate.upgrade.environments import in_use, make, MARKER
from vitgate.upgrade.installer import clean_variables
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.requirements import Needs, parse_interpreter

from ..disk import SmallDisk
from .environment_maker import Maker, NEEDS, quickest
from .wheels import wheel

NMS = "operator torchvision::nms does not exist"


# ---- making


def test_environment_is_made_once_and_reused(maker: Maker) -> None:
    steps: list[str] = []
    first = maker.make(echo=steps.append)
    assert (first.torch, first.reused, len(steps)) == ("2.12.1", False, 3)
    assert first.versions["torchvision"] == "0.27.1"
    assert {"python", "timm", "helper"} <= set(first.versions)
    assert quickest(lambda: maker.make(echo=steps.append)) < 0.3
    second = maker.make(echo=steps.append)
    assert (second, len(steps)) == (replace(first, reused=True), 3)


def test_environment_has_bytecode_despite_dont_write_bytecode(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert list(maker.make().folder.glob("lib/python3*/site-packages/torch/__pycache__/*.pyc"))


def test_environment_is_isolated_from_current_one(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    code = "import importlib.util; print(importlib.util.find_spec('vitgate'), importlib.util.find_spec('pytest'))"
    command = [str(maker.make().python), "-c", code]
    assert subprocess.check_output(command, text=True, env=clean_variables()).split() == ["None", "None"]


def test_equivalent_requirements_share_an_environment(maker: Maker) -> None:
    assert maker.make("torch == 2.12.1").folder == maker.make("2.12.1").folder


def test_the_key_changes_with_every_part(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [maker.make().folder.name]
    keys.append(maker.make("2.11.0").folder.name)
    keys.append(maker.make("torch==2.12.1 timm==1.0.20").folder.name)
    keys.append(maker.make("torch").folder.name)
    keys.append(maker.make(needs=replace(NEEDS, requirements=NEEDS.requirements[:-1])).folder.name)
    keys.append(maker.make(needs=replace(NEEDS, imports=("torch",))).folder.name)
    keys.append(maker.make(uv_args=[*maker.uv_args, "--prerelease=allow"]).folder.name)
    keys.append(maker.make(python=sys.executable).folder.name)
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    keys.append(maker.make().folder.name)
    assert len(set(keys)) == len(keys)
    monkeypatch.delenv("UV_RESOLUTION")
    monkeypatch.setattr("vitgate.upgrade.environments.sysconfig.get_platform", lambda: "other-machine")
    assert maker.make().folder.name not in keys


def test_unpinned_environment_is_remade_each_day(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(datetime.date):
        @classmethod
        def today(cls) -> Tomorrow:
            return cls(2999, 1, 1)

    newest, exact = maker.make("torch").folder, maker.make("2.12.1").folder
    monkeypatch.setattr("vitgate.upgrade.environments.datetime.date", Tomorrow)
    assert maker.make("torch").folder != newest
    assert maker.make("2.12.1").folder == exact


def _without_marker(environment: Environment) -> None:
    (environment.folder / MARKER).unlink()


def _broken_marker(environment: Environment) -> None:
    (environment.folder / MARKER).write_text('{"format": 1, "nam', encoding="utf-8")


def _another_format(environment: Environment) -> None:
    path = environment.folder / MARKER
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 0'), encoding="utf-8")


def _without_python(environment: Environment) -> None:
    environment.python.unlink()


def _dangling_python(environment: Environment) -> None:
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3")


def _package_removed(environment: Environment) -> None:
    info = next(environment.folder.glob("lib/python3*/site-packages/torch-*.dist-info"))
    info.rename(info.with_name("torch-9.9.9.dist-info"))


@pytest.mark.parametrize(
    "spoil",
    [_without_marker, _broken_marker, _another_format, _without_python, _dangling_python, _package_removed],
)
def test_damaged_environment_is_remade(spoil: Callable[[Environment], None], maker: Maker) -> None:
    first = maker.make()
    (first.folder / "left over").write_text("rubbish", encoding="utf-8")
    spoil(first)
    again = maker.make()
    assert not again.reused
    assert not (again.folder / "left over").exists()
    assert maker.make().reused


def test_failed_import_gives_one_line_and_leaves_nothing(maker: Maker) -> None:
    wheel(maker.index, "torchvision", "0.27.1", f"raise RuntimeError({NMS!r})")
    with pytest.raises(MachineError, match=NMS) as caught:
        maker.make()
    assert "torch 2.12.1, torchvision 0.27.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert listing(maker.cache) == []


def test_crash_at_import_gives_one_line_error(maker: Maker) -> None:
    wheel(maker.index, "timm", "1.0.20", "import os\nos.kill(os.getpid(), 11)")
    with pytest.raises(MachineError, match="status -11"):
        maker.make()


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        ("9.9.9", UsageError, "no such release"),
        ("torch==2.12.1 torchvision==0.26.0", MachineError, "depends on torch==2.11.0 and you require torch==2.12.1"),
    ],
)
def test_failed_uv_leaves_nothing(text: str, error: type[VitgateError], word: str, maker: Maker) -> None:
    with pytest.raises(error, match=word) as caught:
        maker.make(text, uv_args=maker.uv_args[1:])
    assert str(caught.value).startswith(text)
    assert listing(maker.cache) == []


def test_missing_uv_names_how_to_install_it(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "find_uv_bin", lambda: "/nowhere/uv")
    with pytest.raises(MachineError, match="pip install uv"):
        maker.make()


def test_unwritable_cache_gives_one_line_error(maker: Maker) -> None:
    maker.cache.write_text("a file", encoding="utf-8")
    with pytest.raises(MachineError, match="the cache"):
        maker.make()


@pytest.mark.parametrize("leave", [0, 1 << 14], ids=["at-once", "in-the-middle"])
def test_full_disk_gives_one_line_error_and_leaves_nothing(leave: int, maker: Maker, small_disk: SmallDisk) -> None:
    there = replace(maker, cache=small_disk.folder / "cache")
    small_disk.fill(leave)
    with pytest.raises(MachineError, match="free disk space") as caught:
        there.make()
    assert "\n" not in str(caught.value)
    assert listing(there.cache) == []
    small_disk.clear()
    assert not there.make().reused
    assert there.make().reused


def test_write_protected_disk_gives_one_line_error(maker: Maker, small_disk: SmallDisk) -> None:
    small_disk.protect()
    with pytest.raises(MachineError, match="Read-only file system"):
        replace(maker, cache=small_disk.folder / "cache").make()


def test_settings_of_current_folder_are_ignored(maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv.toml").write_text("mend = 'me'", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert maker.make(cache=tmp_path.parent / f"{tmp_path.name} elsewhere").torch == "2.12.1"


# ---- an interpreter of the user's own


def test_existing_interpreter_is_inspected_and_never_removed(maker: Maker) -> None:
    made = maker.make()
    side = parse_interpreter(str(made.python), where="--old-python")
    found = make(side, cache=maker.cache / "other", echo=lambda _: None, needs=NEEDS)
    assert (found.python, found.torch, found.reused, found.lock) == (made.python, "2.12.1", True, None)
    with in_use(found) as descriptors:
        assert descriptors == ()
    broken = replace(NEEDS, imports=("torch", "no_such_module"))
    with pytest.raises(MachineError, match="no_such_module"):
        make(side, cache=maker.cache, echo=lambda _: None, needs=broken)
    assert made.python.exists()


def test_interpreter_lacking_packages_names_them(maker: Maker) -> None:
    side = parse_interpreter(str(maker.make().python), where="--old-python")
    lacking = Needs((*NEEDS.requirements, "helper>=2", "pytest>=8.0", "absent", "tomli>=2; python_version < '3'"))
    with pytest.raises(MachineError, match="helper>=2, pytest>=8.0, absent") as caught:
        make(side, cache=maker.cache, echo=lambda _: None, needs=lacking)
    assert "-m pip install 'helper>=2' 'pytest>=8.0'" in str(caught.value)
