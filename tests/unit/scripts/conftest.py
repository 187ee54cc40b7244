"""What the tests of scripts share: `scripts/` is no package, so that each is loaded or run from its file."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vitgate.records.record import Record

SCRIPTS = Path(__file__).parents[3] / "scripts"


class Ended(NamedTuple):
    """What a script ended with."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a script import those beside it, as it does where Python starts it."""
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a helper that imports a script as a module, without running it."""

    def module(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, found)  # dataclasses look their module up
        spec.loader.exec_module(found)
        return found

    return module


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Return a helper that runs a script in this process with these arguments."""

    def ended(name: str, *arguments: object) -> Ended:
        path = str(SCRIPTS / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        capsys.readouterr()
        status: Any = 0
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as exit_:
            status = exit_.code
        return Ended(status or 0, *capsys.readouterr())

    return ended


@pytest.fixture
def refused(run: Callable[..., Ended]) -> Callable[..., None]:
    """Return a helper: the script ends in one line on standard error that has all these words, and in this status."""

    def check(name: str, *arguments: object, words: tuple[str, ...], status: int = 4) -> None:
        __tracebackhide__ = True
        ended = run(name, *arguments)
        assert (ended.status, ended.out) == (status, "")
        assert ended.err.startswith("ERROR: ")
        assert ended.err.count("\n") == 1
        assert [word for word in words if word not in ended.err] == [], ended.err

    return check


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Record], Path]:
    """Return a helper that writes a record and returns its path."""

    def write(record: Record) -> Path:
        path = tmp_path / f"{record.environment.torch}.json"
        record.write(path)
        return path

    return write
