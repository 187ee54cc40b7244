"""The list of files that a run passes: in the order of the first call, from the process that passes most."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError

CALLS = "from vitgate.files.text import clean; from vitgate.spec.engines import engine_named\n"


def walk(script: Any, code: str, *arguments: str, word: str = "", start: str = "") -> list[str]:
    found: list[str] = script.walk([sys.executable, "-c", CALLS + code, *arguments], word=word, start=start)
    return found


def test_files_stand_in_order_of_first_call(load: Callable[[str], Any]) -> None:
    found = walk(load("walks"), "engine_named('x86'); clean('a'); engine_named('x86')")

    assert found == ["src/vitgate/spec/engines.py (engine_named)", "src/vitgate/files/text.py (clean)"]


def test_files_before_the_start_function_do_not_count(load: Callable[[str], Any]) -> None:
    found = walk(load("walks"), "engine_named('x86'); clean('a')", start="clean")

    assert found == ["src/vitgate/files/text.py (clean)"]


def test_environment_inside_the_checkout_does_not_count(
    load: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("walks")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    for folder in ("src", ".venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder[-3:]}_module.py").write_text("def called(): pass\n", encoding="utf-8")
    code = f"import sys; sys.path.append({str(tmp_path / '.venv')!r}); import env_module, src_module; "

    found = script.walk([sys.executable, "-c", code + "env_module.called(); src_module.called()"], word="", start="")

    assert found == ["src/src_module.py (called)"]


def test_class_body_of_imported_module_does_not_count(
    load: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("walks")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    text = "import helper\n\nclass Thing:\n    field = helper.called()\n\ndef run(): pass\n"
    (tmp_path / "src" / "thing.py").write_text(text, encoding="utf-8")
    (tmp_path / "src" / "helper.py").write_text("def called(): pass\n", encoding="utf-8")

    found = script.walk([sys.executable, "-c", "import thing; thing.run()"], word="", start="")

    assert found == ["src/thing.py (run)"]


def test_process_with_most_files_is_listed(load: Callable[[str], Any]) -> None:
    code = "import os; child = os.fork(); clean('a'); child or engine_named('x86'); child and os.waitpid(child, 0)"

    found = walk(load("walks"), code)

    assert found == ["src/vitgate/files/text.py (clean)", "src/vitgate/spec/engines.py (engine_named)"]


def test_process_without_the_word_is_not_watched(load: Callable[[str], Any]) -> None:
    with pytest.raises(MachineError, match="called no function of vitgate"):
        walk(load("walks"), "clean('a')", word="upgrade")
    assert walk(load("walks"), "clean('a')", "upgrade", word="upgrade") == ["src/vitgate/files/text.py (clean)"]


@pytest.mark.parametrize("arguments", [(), ("compare",), ("test", "upgrade")])
def test_unknown_walk_is_refused(refused: Callable[..., None], arguments: tuple[str, ...]) -> None:
    refused("walks", *arguments, words=(f"unknown walk {' '.join(arguments)!r}", "choose from test, upgrade"))
