"""The copy of the suite that runs in a version's environment: made once, whole, of the files of this run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitgate.upgrade.runs import suite_folder, suite_variables

from .environment_maker import Maker, quickest


def test_the_suite_runs_from_its_copy(maker: Maker) -> None:
    suite = suite_folder(maker.cache)
    assert suite_folder(maker.cache) == suite
    assert quickest(lambda: suite_folder(maker.cache)) < 0.3
    tests = suite / "tests" / "conformance"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(tests), "--case", "digits"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=suite_variables(suite), cwd=maker.cache
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_table.py::test_table[digits-fbgemm]" in done.stdout
    where = (
        "import vitgate, vitgate.files.schemas; print(vitgate.__file__); print(vitgate.files.schemas.fixtures_folder())"
    )
    shown = subprocess.check_output([sys.executable, "-c", where], text=True, env=suite_variables(suite), cwd=suite)
    assert shown.splitlines() == [str(suite / "vitgate" / "__init__.py"), str(suite / "vitgate" / "fixtures")]


def test_suite_folder_within_a_copy_is_the_same(maker: Maker) -> None:
    suite = suite_folder(maker.cache)
    code = "import sys; from pathlib import Path; from vitgate.upgrade.runs import suite_folder\n"
    command = [sys.executable, "-c", f"{code}print(suite_folder(Path(sys.argv[1])))", str(maker.cache)]
    assert subprocess.check_output(command, text=True, env=suite_variables(suite)).strip() == str(suite)


def test_the_copy_holds_the_data_files_of_this_run(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = suite_folder(maker.cache)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cases.toml").write_text("# mine", encoding="utf-8")
    monkeypatch.setenv("VITGATE_FIXTURES", str(tmp_path / "mine"))
    changed = suite_folder(maker.cache)
    assert changed != plain
    assert (changed / "vitgate" / "fixtures" / "cases.toml").read_text(encoding="utf-8") == "# mine"
    assert "VITGATE_FIXTURES" not in suite_variables(changed)


def test_interrupted_suite_copy_is_completed(maker: Maker) -> None:
    suite = suite_folder(maker.cache)
    suite.rename(suite.with_name(f".{suite.name}.tmp"))
    (suite.with_name(f".{suite.name}.tmp") / "rubbish").touch()
    assert suite_folder(maker.cache) == suite
    assert not (suite / "rubbish").exists()


def test_old_suite_copies_are_removed(maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = suite_folder(maker.cache)
    os.utime(old, (1, 1))
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("VITGATE_FIXTURES", str(tmp_path / "mine"))
    suite_folder(maker.cache)
    assert not old.exists()
