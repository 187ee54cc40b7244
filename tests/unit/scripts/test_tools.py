"""The scripts that need other programs: what they say where these are missing, and what they make of their results."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.files.errors import UsageError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a helper that makes a shell script, the only ones on PATH besides those made before."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


# ---- mutants


@pytest.fixture
def mutants(load: Callable[[str], Any]) -> Any:
    """Return the script with a mutant of each status: killed, survived, not covered by any test."""
    script = load("mutants")
    statuses = {"judge.table": (1, 1, 0), "compare.verdict": (1, 33)}
    found = [
        script.Mutant(module, f"{module}__{n}", status)
        for module, each in statuses.items()
        for n, status in enumerate(each)
    ]
    script.mutants = lambda: iter(found)
    return script


def test_survivors_and_untested_mutants_are_not_killed(mutants: Any) -> None:
    assert list(mutants.table(list(mutants.mutants())))[2:] == [
        "| `judge.table` | 3 | 2 | 1 | 66.7 |",
        "| `compare.verdict` | 2 | 1 | 1 | 50.0 |",
        "| **all** | 5 | 3 | 2 | 60.0 |",
    ]


@pytest.mark.parametrize(
    ("added", "least", "status", "unexplained"),
    [
        ("x = zip(a, b, strict=None)", 0.5, 0, False),
        ("x = zip(a, b, strict=None)", 0.9, 1, False),
        ("x = zip(a, c)", 0.5, 1, True),
    ],
    ids=["explained", "too few killed", "unexplained"],
)
def test_status_depends_on_reasons_and_share(
    mutants: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    added: str,
    least: float,
    status: int,
    unexplained: bool,
) -> None:
    monkeypatch.setattr(mutants.Mutant, "change", lambda self: ("x = zip(a, b)", added))
    mutants.LEAST = least

    assert mutants.main() == status
    assert ("judge.table__2" in capsys.readouterr().err) is unexplained


@pytest.mark.parametrize("statuses", [[], [1, None]], ids=["no mutants", "one not run"])
def test_unfinished_mutmut_is_an_error(mutants: Any, statuses: list[int | None]) -> None:
    mutants.mutants = lambda: iter([mutants.Mutant("judge.table", "m", status) for status in statuses])

    with pytest.raises(UsageError, match="mutmut has not finished"):
        mutants.main()


def test_missing_mutmut_gives_one_line_error(refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mutmut.mutation.data", None)

    refused("mutants", words=("mutmut is missing", "[mutants]"), status=6)


# ---- hidden_instructions, reduce_range


def test_instructions_that_the_program_hides_are_printed(
    run: Callable[..., Any], load: Callable[[str], Any], program: Callable[[str, str], Path]
) -> None:
    every = sorted(load("hidden_instructions").found())
    program("valgrind", f"echo {' '.join(every[2:])}")  # whatever it is to run

    assert run("hidden_instructions").out == f"{', '.join(every[:2])}\n"


def test_missing_valgrind_gives_one_line_error(
    refused: Callable[..., None], program: Callable[[str, str], Path]
) -> None:
    refused("hidden_instructions", words=("valgrind is not installed", "install it"))


def test_reduce_range_needs_valgrind(refused: Callable[..., None], program: Callable[[str, str], Path]) -> None:
    refused("reduce_range", words=("valgrind is not installed",))


def test_reduce_range_needs_its_packages(
    refused: Callable[..., None], program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("valgrind", "exit 0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchao" else name)

    refused("reduce_range", words=("packages are missing: torchao:", "vitgate[successors]"), status=6)


def test_sqnr_of_a_file_is_measured_in_a_held_process(
    load: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("reduce_range")
    worker = tmp_path / "worker.py"
    worker.write_text("import os, sys\nprint('noise')\nprint(len(sys.argv), os.environ['HELD'], sep='')\n")
    monkeypatch.setattr(script, "__file__", str(worker))
    monkeypatch.setattr(script, "variables_of", lambda processor: {"HELD": ".5"})

    assert script.measured(tmp_path / "a.onnx", script.HOST) == 2.5


def test_sqnr_is_of_the_logits_that_the_file_gives(
    load: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load("reduce_range")
    np.savez(tmp_path / "given.npz", x=np.array([[3.0], [4.0]]), logits=np.array([[3.0, 1.0], [4.0, 1.0]]))
    monkeypatch.setattr(script, "_onnx", lambda file: lambda x: np.concatenate([x, x - x], axis=1))

    script.run(tmp_path / "a.onnx")

    assert float(capsys.readouterr().out) == pytest.approx(10 * np.log10(27 / 2))


# ---- emulated_python


def test_missing_tools_are_named_by_their_packages(
    refused: Callable[..., None], program: Callable[[str, str], Path]
) -> None:
    program("uv", "exit 0")

    refused("emulated_python", "arm", "torch==2.9.1", words=("qemu-user, debootstrap, dpkg\n",), status=6)


@pytest.mark.parametrize(("version", "noted"), [("7.2", True), ("10.0", False), ("unknown", False)])
def test_old_emulator_is_noted(
    load: Callable[[str], Any], program: Callable[[str, str], Path], version: str, noted: bool
) -> None:
    program("qemu-aarch64", f"echo 'qemu-aarch64 version {version} (Debian)'")
    script = load("emulated_python")

    assert script.emulator() == "qemu-aarch64"
    assert (f"this is qemu {version}" in script.old_emulator()) is noted


def test_failed_command_gives_one_line_error(
    refused: Callable[..., None], program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program("qemu-aarch64-static", "echo version 10.0.0")
    for name in ("dpkg-deb", "uv"):
        program(name, "exit 0")
    program("debootstrap", "exit 3")

    refused("emulated_python", tmp_path / "arm", "torch", words=("debootstrap failed with status 3",), status=6)


def test_wrapper_runs_python_under_the_emulator(
    load: Callable[[str], Any], program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    root = tmp_path / "arm" / "root"
    base = root / "usr" / "bin" / "python3.11"
    program("qemu-aarch64-static", 'shift 3; echo "$@"')
    program("debootstrap", f"/bin/mkdir -p {base.parent}; echo a program of aarch64 > {base}")
    for name in ("dpkg-deb", "uv"):
        program(name, "exit 0")

    for _ in range(2):  # an interpreter that is there keeps its program
        python = load("emulated_python").make(tmp_path / "arm", ["torch==2.9.1"], "http://mirror")

    done = subprocess.run([python, "-c", "0"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(python), f"{base}.aarch64", "-c", "0"]
    assert python.resolve() == base
    assert Path(f"{base}.aarch64").read_text(encoding="utf-8") == "a program of aarch64\n"
    assert f"home = {root}/usr/bin\n" in (tmp_path / "arm" / "pyvenv.cfg").read_text(encoding="utf-8")


# ---- screenshots, terminal_picture, lock_tolerances


def test_unknown_command_of_terminal_picture_gives_one_line_error(refused: Callable[..., None], tmp_path: Path) -> None:
    refused(
        "terminal_picture", "-o", tmp_path / "a.svg", "no-such-command", words=("cannot run this", "no-such-command")
    )


def test_terminal_picture_ends_with_status_of_its_command(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = run("terminal_picture", "-o", "a.svg", "--", "sh", "-c", "echo drawn; exit 3")

    assert ended.status == 3
    assert "drawn" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_missing_chromium_gives_one_line_error(
    refused: Callable[..., None], program: Callable[[str, str], Path]
) -> None:
    pytest.importorskip("playwright")

    refused("screenshots", words=("chromium is not installed", "apt-get install chromium"), status=6)


def test_loosened_tolerance_gives_one_line_error(
    refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tolerances = sys.modules["vitgate.judge.tolerances"]
    written: list[Any] = []
    monkeypatch.setattr(tolerances, "loosened", lambda rows, before: ["size.scripted"])
    monkeypatch.setattr(tolerances, "write_lock", written.append)

    refused("lock_tolerances", words=("loosened without a new reason", "size.scripted"))
    assert written == []
