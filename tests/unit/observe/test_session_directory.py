"""The session's folder ends with its session, and those of killed sessions are cleared away, and no others."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError
from vitgate.observe.session_directory import apply_settings, counting, counts, held_session, SessionDirectory, SETTINGS

from ..conftest import Processes


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let sessions of these tests see no folders but their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def killed_session(processes: Processes, tmp_path: Path) -> Path:
    """Return the folder of a session whose process was killed."""
    ready = processes.context.Event()
    receive, send = processes.context.Pipe(duplex=False)

    def run() -> None:
        session = SessionDirectory()
        (session.path / "evidence").mkdir()
        send.send(str(session.path))
        ready.set()
        signal.pause()

    process = processes.start(run)
    assert ready.wait(10)
    process.kill()
    process.join(10)
    return Path(receive.recv())


def test_a_session_removes_its_folder(tmp_path: Path) -> None:
    session = SessionDirectory()
    (session.path / "evidence").mkdir()

    session.remove()

    assert list(tmp_path.iterdir()) == []


def test_held_session_shares_inputs_and_cleanup() -> None:
    session = SessionDirectory()
    folder = held_session(session.path, "avx2", ["weights"])
    (session.path / "evidence" / "weights" / "digits.json").write_text("{}", encoding="utf-8")

    assert held_session(session.path, "avx2", ["weights"]) == folder  # as another worker finds it
    assert (folder / "evidence" / "weights" / "digits.json").read_text(encoding="utf-8") == "{}"
    assert [path.name for path in (folder / "evidence").iterdir()] == ["weights"]
    assert (folder / "owner.lock").samefile(session.path / "owner.lock")


def test_folder_of_killed_session_is_removed_by_next(killed_session: Path) -> None:
    assert (killed_session / "evidence").is_dir()

    own = SessionDirectory()

    assert not killed_session.exists()
    assert own.path.is_dir()
    own.remove()


def test_folder_of_running_session_is_kept(processes: Processes, tmp_path: Path) -> None:
    running, done = processes.context.Event(), processes.context.Event()

    def run() -> None:
        session = SessionDirectory()
        running.set()
        assert done.wait(10)
        assert session.path.is_dir()

    processes.start(run)
    assert running.wait(10)
    (live,) = tmp_path.iterdir()
    own = SessionDirectory()

    assert live.is_dir()
    own.remove()
    done.set()
    assert processes.statuses() == [0]


def test_two_sessions_of_one_process_keep_their_folders() -> None:
    first = SessionDirectory()
    second = SessionDirectory()

    assert first.path.is_dir()
    assert second.path.is_dir()
    assert first.path != second.path
    first.remove()
    second.remove()


@pytest.mark.parametrize("name", ["vitgate-session-new", "someone-elses"])
def test_foreign_and_unfinished_folders_are_kept(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "owner.new").touch()

    SessionDirectory().remove()

    assert (folder / "owner.new").exists()


def test_target_of_symbolic_link_is_not_removed(killed_session: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    killed_session.rename(target)
    killed_session.symlink_to(target)

    SessionDirectory().remove()

    assert (target / "evidence").is_dir()


def test_missing_temporary_folder_is_machine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: Any) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "mkdtemp", full)

    with pytest.raises(MachineError, match="cannot make the session's folder: No usable .*TMPDIR"):
        SessionDirectory()


def test_settings_are_applied_and_the_users_own_choice_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    surroundings = {"OMP_NUM_THREADS": "7"}
    monkeypatch.setattr(os, "environ", surroundings)

    apply_settings()

    assert surroundings == {**SETTINGS, "OMP_NUM_THREADS": "7"}


def test_running_counts_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitgate.observe.session_directory._NOTE_SECONDS", -1.0)
    with counting(tmp_path, "deit_tiny float", 60) as each, counting(tmp_path, "reading", 7):
        assert counts(tmp_path) == {"deit_tiny float": (0, 60), "reading": (0, 7)}
        each(25)
        assert counts(tmp_path)["deit_tiny float"] == (25, 60)
    assert counts(tmp_path) == {}


def test_count_is_written_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitgate.observe.session_directory._NOTE_SECONDS", 3600.0)
    with counting(tmp_path, "a", 10_000) as each:
        for done in range(10_000):
            each(done)
        assert counts(tmp_path) == {"a": (0, 10_000)}


def test_count_that_ends_during_reading_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "gone").symlink_to(tmp_path / "nowhere")

    assert counts(tmp_path) == {}
    assert counts(tmp_path / "nowhere") == {}


def test_folder_of_another_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "vitgate-session-other"
    other.mkdir()

    def closed(path: Path, **_options: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", closed)
    own = SessionDirectory()
    monkeypatch.undo()
    own.remove()
    assert other.is_dir()
