"""Removing environments that do not let themselves be removed, and looking at folders that go away meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vitgate.cli.environments import size_text
from vitgate.files import locks
from vitgate.files.disk_usage import Usage, usage
from vitgate.files.errors import MachineError
from vitgate.upgrade import environment_cache
from vitgate.upgrade.environments import environments_folder
from vitgate.upgrade.progress import Steps


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """Return the folder of a half-made environment in a cache."""
    folder = environments_folder(tmp_path) / "half"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def unremovable(monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(environment_cache, "remove", remove)


def test_unremovable_environment_is_named(half_made: Path, unremovable: None, tmp_path: Path) -> None:
    for call in (lambda: environment_cache.discard(half_made), lambda: environment_cache.prune(tmp_path)):
        with pytest.raises(MachineError) as caught:
            call()
        said = str(caught.value)
        assert said.startswith("cannot remove an environment: ")
        assert str(half_made) in said
        assert said.endswith("remove it by hand")


def test_unused_environment_is_discarded(half_made: Path) -> None:
    assert environment_cache.discard(half_made)
    assert not half_made.exists()


def test_environment_removed_meanwhile_is_not_listed(
    half_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_cache, "usage", lambda folder: folder.rmdir() or Usage({}))

    assert environment_cache.listing(tmp_path) == []


def test_environment_used_meanwhile_is_kept(half_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = locks.if_free

    @contextmanager
    def used(lock: Any) -> Iterator[Any]:
        os.utime(half_made, (1, 1))
        with free(lock) as found:
            yield found

    rows = environment_cache.listing(tmp_path)
    monkeypatch.setattr(locks, "if_free", used)
    monkeypatch.setattr(environment_cache, "listing", lambda cache: rows)

    assert environment_cache.prune(tmp_path).rows == ()
    assert half_made.exists()


def test_vanished_files_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stays").write_bytes(b"x" * 9000)
    (tmp_path / "goes").mkdir()
    (tmp_path / "a link").symlink_to(tmp_path / "stays")
    entries = list(os.scandir(tmp_path))
    (tmp_path / "goes").rmdir()
    (tmp_path / "a link").unlink()
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entries if path == tmp_path else real(path))

    assert 9000 <= usage(tmp_path).bytes < 14000


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 kB"), (1_400, "1 kB"), (999_999, "1000 kB"), (10**6, "1.0 MB"), (25 * 10**8, "2.5 GB")]
)
def test_sizes_are_shown_in_fitting_unit(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_step_is_shown_as_line_or_spinner(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[Any] = []
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    steps = Steps(said.append)

    with steps.step("installing [torch]") as detail:
        detail("Prepared 3 packages")

    shown = capsys.readouterr().err
    assert said == ([] if terminal else ["installing [torch]"])
    assert ("installing [torch]" in shown) is terminal
