"""`vitgate check` from outside pytest: which arguments pytest gets, and what comes of its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vitgate.cli import check, main
from vitgate.plugin.options import add_options
from vitgate.records.record import Record
from vitgate.upgrade.runs import conformance_folder


class Pytest:
    """Stands for pytest: keeps its arguments, prints a line, and ends as it is told."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.status = 0
        self.record: Record | None = None

    def main(self, arguments: list[str], plugins: list[Any]) -> int:
        """Do as pytest does at the end of a session."""
        self.arguments, self.environment = arguments, dict(os.environ)
        print("the table")
        manager = SimpleNamespace(getplugin=lambda name: SimpleNamespace(record=self.record))
        for plugin in plugins:
            plugin.pytest_unconfigure(SimpleNamespace(pluginmanager=manager))
        return self.status


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Pytest:
    fake = Pytest()
    monkeypatch.setattr(pytest, "main", fake.main)
    monkeypatch.delenv("VITGATE_ASSETS", raising=False)
    return fake


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], fake: Pytest) -> Callable[..., tuple[Any, str, str]]:
    def call(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        return ended.value.code, *capsys.readouterr()

    return call


def test_suite_runs_with_its_own_pytest_settings(run: Callable[..., tuple[int, str, str]], fake: Pytest) -> None:
    assert run() == (0, "the table\n", "")

    root = conformance_folder().parents[1]
    assert fake.arguments[0] == "-c"
    assert fake.arguments[1].endswith("suite.ini")
    assert fake.arguments[2:9] == [
        *(f"--rootdir={root}", f"--confcutdir={root}", "-p", "vitgate.plugin", "-n", "auto", str(conformance_folder())),
    ]
    assert fake.arguments[9:] == ["--color=auto"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--case", "a", "--case=b"), ["--case=a", "--case=b"]),
        (("--successors", "--weights", "standin"), ["--successors", "--weights=standin"]),
        (("--claim", "build[digits-x86-lite]"), ["--claim=build[digits-x86-lite]"]),
        (("-n", "2", "--images-accuracy", "0.5"), ["--images-accuracy=0.5", "-n", "2"]),
        (("-k", "label or size", "-x", "--junitxml=a.xml"), ["-k", "label or size", "-x", "--junitxml=a.xml"]),
        (("-khuge",), ["-khuge"]),
        (("-q",), ["--tb=no", "-rN", "-q"]),
        (("--color", "never"), []),
    ],
    ids=str,
)
def test_options_are_passed_to_pytest(
    run: Callable[..., tuple[int, str, str]], fake: Pytest, given: tuple[str, ...], expected: list[str]
) -> None:
    assert run(*given)[0] == 0

    assert fake.arguments[10:] == expected
    assert fake.arguments[9] == ("--color=no" if "--color" in given else "--color=auto")


def test_every_suite_option_is_a_command_option() -> None:
    class Parser:
        names: list[str] = []

        def getgroup(self, *_: str) -> Any:
            return self

        def addoption(self, name: str, **_: Any) -> None:
            self.names.append(name)

    add_options(cast(pytest.Parser, Parser()))
    known = {name for option in check.check.params for name in option.opts}
    assert set(Parser.names) <= known
    assert len(Parser.names) > 10


@pytest.mark.parametrize("status", [0, 1, 2, 4, 6])
def test_exit_status_is_that_of_pytest(run: Callable[..., tuple[int, str, str]], fake: Pytest, status: int) -> None:
    fake.status = status

    assert run()[0] == status


def test_json_on_stdout_is_only_the_record(
    run: Callable[..., tuple[int, str, str]], fake: Pytest, record: Callable[..., Record]
) -> None:
    fake.record = record()

    code, out, err = run("--json", "-")

    assert (code, err) == (0, "the table\n")
    assert out == record().text()
    assert json.loads(out)["seal"]


def test_json_is_written_to_file(
    run: Callable[..., tuple[int, str, str]], fake: Pytest, record: Callable[..., Record], tmp_path: Path
) -> None:
    fake.record = record()

    assert run("--json", str(tmp_path / "new" / "x.json"))[1] == "the table\n"
    assert (tmp_path / "new" / "x.json").read_text(encoding="utf-8") == record().text()


def test_run_without_record_writes_no_json(run: Callable[..., tuple[int, str, str]], fake: Pytest) -> None:
    fake.status = 2

    assert run("--json", "-") == (2, "", "the table\n")


def test_unwritable_json_path_is_reported_before_run(
    run: Callable[..., tuple[int, str, str]], fake: Pytest, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    code, _, err = run("--json", str(tmp_path / "file" / "x.json"))

    assert code == 6
    assert "--json" in err
    assert fake.arguments == []


def test_snapshot_update_of_installed_package_is_refused(
    run: Callable[..., tuple[int, str, str]], fake: Pytest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "vitgate"
    monkeypatch.setattr(check, "__file__", str(package / "check.py"))
    monkeypatch.setattr(check, "fixtures_folder", lambda: package / "fixtures")

    code, _, err = run("--snapshot-update")

    assert code == 4
    assert "VITGATE_FIXTURES" in err
    assert err.count("\n") == 1
    assert fake.arguments == []


def test_short_option_h_shows_help(run: Callable[..., tuple[int, str, str]], fake: Pytest) -> None:
    code, out, _ = run("-h")

    assert code == 0
    assert "Exit status:" in out
    assert fake.arguments == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["--maxfail", "many"], "argument --maxfail: invalid int value: 'many'"),
    ],
    ids=["unknown", "no-number"],
)
def test_option_refused_by_pytest_gives_one_line_error(given: list[str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vitgate", "check", *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"ERROR: {said} ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("PYTEST_ADDOPTS", "--cov=src"), ("PYTEST_PLUGINS", "nothing"), ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")],
)
def test_pytest_settings_of_other_projects_are_ignored(
    name: str, value: str, run: Callable[..., tuple[Any, str, str]], fake: Pytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    run("--case", "digits")

    assert name not in fake.environment
