"""Reports beside what a command shows: JSON in a file, or alone on standard output."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError
from vitgate.files.outputs import check_target, for_people, write_json, write_text


def test_parent_folder_is_created(tmp_path: Path) -> None:
    write_json(str(tmp_path / "new" / "x.json"), {"a": 1})

    assert json.loads((tmp_path / "new" / "x.json").read_text(encoding="utf-8")) == {"a": 1}


def test_json_on_stdout_moves_messages_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    write_json("-", {"a": 1})

    assert json.loads(capsys.readouterr().out) == {"a": 1}
    assert for_people("-") is sys.stderr
    assert for_people("x.json") is for_people(None) is sys.stdout


def test_text_without_path_is_not_rendered(capsys: pytest.CaptureFixture[str]) -> None:
    write_text(None, lambda: pytest.fail("made"), "--x")

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("call", [lambda path: check_target(path, "--x"), lambda path: write_text(path, str, "--x")])
def test_unwritable_output_names_its_option(call: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="cannot write the report: .* name another file with --x"):
        call(str(tmp_path / "file" / "x"))


class Terminal(io.StringIO):
    """A stream that says that somebody looks at it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("stream", "color", "no_color", "coloured"),
    [
        (Terminal, "auto", "", True),
        (Terminal, "auto", "1", False),
        (Terminal, "always", "1", True),
        (Terminal, "never", "", False),
        (io.StringIO, "auto", "", False),
        (io.StringIO, "always", "", True),
    ],
)
def test_colours_depend_on_terminal_and_no_color(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[Any] | type[Terminal],
    color: Any,
    no_color: Any,
    coloured: bool,
) -> None:
    from rich.text import Text

    from vitgate.report.console import console_for

    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    file = stream()

    console_for(file, color).print(Text("x", style="red"))

    assert ("\x1b[31m" in file.getvalue()) is coloured
