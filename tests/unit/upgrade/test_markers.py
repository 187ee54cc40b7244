"""Markers of a side's requirements hold for the environment's Python and platform, or torch is not what was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitgate.cli import main
from vitgate.files.errors import MachineError, UsageError
from vitgate.upgrade import environments
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.requirements import applicable, own_needs, parse_side, Side, unlike, whole_set

NOWHERE = "sys_platform == 'no such platform'"


def side_of(tmp_path: Path, *lines: str) -> Side:
    path = tmp_path / "requirements.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return parse_side(str(path), where="OLD")


@pytest.mark.refuses("requirements", "torch that is required on another platform alone")
@pytest.mark.parametrize("marker", [NOWHERE, "python_version < '3.0'", "extra == 'gpu'"])
def test_torch_with_false_marker_is_refused(marker: str, tmp_path: Path) -> None:
    side = side_of(tmp_path, f"torch==2.12.1; {marker}")

    with pytest.raises(UsageError, match="torch is not required for Python"):
        applicable(side, None)


@pytest.mark.accepts("requirements", "environment markers, of the environment's own Python and platform")
def test_only_requirements_with_true_markers_are_installed(tmp_path: Path) -> None:
    side = side_of(tmp_path, "torch==2.12.1; python_version >= '3.0'", f"torch==2.9.1; {NOWHERE}", f"timm; {NOWHERE}")

    held = applicable(side, None)

    assert [text.partition(";")[0].strip() for text in held.requirements] == ["torch==2.12.1"]
    assert not [text for text in whole_set(held, own_needs()) if "no such platform" in text]


@pytest.mark.parametrize(("python", "version"), [("3.10", "2.9.1"), ("3.12", "2.12.1"), ("3.12.4", "2.12.1")])
def test_markers_are_about_the_python_that_is_asked_for(python: str, version: str, tmp_path: Path) -> None:
    side = side_of(tmp_path, "torch==2.9.1; python_version < '3.12'", "torch==2.12.1; python_version >= '3.12'")

    held = applicable(side, python)

    assert [text.partition(";")[0].strip() for text in held.requirements] == [f"torch=={version}"]


def test_upgrade_ends_before_any_environment_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"torch==2.12.1; {NOWHERE}\n", encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        main(["upgrade", "2.15.0", str(path), "--case", "digits"])

    told = capsys.readouterr()
    assert ended.value.code == 4 and "torch is not required for Python" in told.err, told.err
    assert "making an environment" not in told.err


@pytest.mark.parametrize(
    ("asked", "installed", "met"),
    [
        ("2.12.1", "2.12.1+cu130", True),
        ("2.12.1", "2.15.0", False),
        ("torch>=2.9", "2.16.0.dev20261101", True),
        ("2.12", "2.13.0", False),
    ],
)
def test_installed_torch_is_compared_with_request(asked: str, installed: str, met: bool) -> None:
    assert (unlike(parse_side(asked, where="OLD"), installed) == "") is met


def test_environment_with_another_torch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Environment("2.12.1", tmp_path / "python", "2.15.0", {}, tmp_path, reused=True, bytes=0, lock=None)
    monkeypatch.setattr(environments, "_made", lambda *arguments: other)

    with pytest.raises(MachineError, match=r"torch 2\.15\.0 is installed, and torch==2\.12\.1 was asked for"):
        environments.make(parse_side("2.12.1", where="OLD"), cache=tmp_path, echo=print)
