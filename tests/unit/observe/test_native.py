"""The C++ program from Python's side: its tools, where it is kept, and what is made of how it ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from vitgate.observe import native
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.spec.outcome import ClaimFailed, NO_TOOLS

VERSIONER = "torch.utils._cpp_extension_versioner"  # stands for what an early release looks for in vain


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a helper that makes programs of these names the only ones to be found, each a line of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native, "default_cache", lambda: tmp_path / "cache" / "vitgate")

    def install(**lines: str) -> None:
        for name, line in lines.items():
            path = folder / name.replace("cxx", "c++")
            path.write_text(f"#!/bin/sh\n{line}\n")
            path.chmod(0o755)

    return install


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the compiler write a script; return the list of the places where it did."""
    made = []

    def compile_to(target: Path, path: Path) -> None:
        made.append(target)
        target.write_text("#!/bin/sh\n")

    monkeypatch.setattr(native, "_compile", compile_to)
    return made


def failed(call: Any, *arguments: object) -> Any:
    with pytest.raises(ClaimFailed) as caught:
        call(*arguments)
    return caught.value.outcome


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["install g++ (there is no c++)", "pip install ninja"]),
        ({"ninja": ":"}, ["install g++ (there is no c++)"]),
        ({"cxx": ":"}, ["pip install ninja"]),
    ],
)
def test_missing_tools_are_named_with_what_to_do(
    tools: Callable[..., None], compiles: Any, tmp_path: Path, given: dict[str, str], words: list[str]
) -> None:
    tools(**given)

    outcome = failed(native.compiled, ArtifactCache(tmp_path / "other"))

    assert (str(outcome), outcome.error, compiles) == ("unsupported", NO_TOOLS, [])
    assert all(word in outcome.message for word in words)
    assert [word for word in ("g++", "ninja", "setuptools") if word in outcome.message] == [
        word for word in ("g++", "ninja") if any(word in text for text in words)
    ]


@pytest.mark.parametrize(("module", "which"), [("setuptools", "setuptools"), (VERSIONER, "'setuptools<70'")])
def test_setuptools_and_named_compiler_are_required_tools(
    tools: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, which: str
) -> None:
    tools(ninja=":")
    monkeypatch.setenv("CXX", "my-c++ -m64")
    monkeypatch.delitem(sys.modules, "torch.utils.cpp_extension", raising=False)
    monkeypatch.delattr("torch.utils.cpp_extension", raising=False)
    monkeypatch.setitem(sys.modules, module, None)

    message = failed(native.compiled, ArtifactCache(tmp_path / "other")).message

    assert "there is no my-c++" in message
    assert f"pip install {which} (import of {module} halted" in message
    assert "ninja" not in message


def test_unreadable_name_of_a_compiler_is_a_missing_tool(
    tools: Callable[..., None], compiles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(ninja=":", cxx=":")
    monkeypatch.setenv("CXX", '"my-c++')

    outcome = failed(native.compiled, ArtifactCache(tmp_path / "other"))

    assert (str(outcome), outcome.error, compiles) == ("unsupported", NO_TOOLS, [])
    assert outcome.message == 'CXX names no compiler: "my-c++ (No closing quotation)'


def test_the_program_is_compiled_once_for_each_compiler(
    tools: Callable[..., None], compiles: Any, tmp_path: Path
) -> None:
    other = ArtifactCache(tmp_path / "other")
    tools(ninja=":", cxx="echo 1.0")
    entries = [native.compiled(other) for _ in range(2)]
    tools(cxx="echo 2.0")
    entries.append(native.compiled(other))

    assert len(compiles) == 2
    assert entries[0] == entries[1] != entries[2]
    assert entries[0].path.startswith(str(tmp_path / "cache" / "vitgate" / "native"))


def test_unwritable_user_cache_falls_back_to_run_cache(
    tools: Callable[..., None], compiles: Any, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    tools(ninja=":", cxx="echo 1.0")

    entry = native.compiled(ArtifactCache(tmp_path / "other"))

    assert entry.path.startswith(str(tmp_path / "other"))


def test_compiler_error_is_the_outcome_and_path_is_unchanged(tools: Callable[..., None], tmp_path: Path) -> None:
    tools(ninja='[ "$1" = --version ] && echo 1.11 || { echo "a.h:3: fatal error: no b.h"; exit 1; }', cxx="echo 1.0")
    before = os.environ["PATH"]

    outcomes = [failed(native.compiled, ArtifactCache(tmp_path / "other")) for _ in range(2)]

    assert {(str(outcome), outcome.error) for outcome in outcomes} == {("failed at compile", "RuntimeError")}
    assert {outcome.message for outcome in outcomes} == {"a.h:3: fatal error: no b.h"}
    assert os.environ["PATH"] == before


def ended(returncode: Any, stdout: Any, stderr: Any = "") -> Any:
    return subprocess.CompletedProcess(["native"], returncode, stdout, stderr)


@pytest.mark.parametrize(
    ("done", "outcome", "error", "message"),
    [
        (ended(1, "set_engine\nload\nfailed no such file\nmore\n"), "failed at load", "NativeError", "no such file"),
        (ended(1, "set_engine\nload\nrun\nfailed \nmore\n", "W: a\nb"), "failed at run", "NativeError", "W: a"),
        (ended(127, "", "error while loading shared libraries: x\n"), "failed at set_engine", "NativeError", "error "),
        (ended(2, ""), "failed at set_engine", "NativeError", "exit status 2"),
        (ended(-11, "set_engine\nload\nrun\n"), "failed at run", "ProcessDied", "ended by SIGSEGV"),
        (ended(-6, "set_engine\nload\n"), "failed at load", "ProcessDied", "ended by SIGABRT"),
        (ended(-14, "set_engine\nload\nrun\n"), "failed at run", "TimeoutError", "its threads had no answer in time"),
    ],
)
def test_failed_program_stops_at_last_printed_stage(
    done: subprocess.CompletedProcess[str], outcome: str, error: str, message: str
) -> None:
    found = failed(native._lines, done, "set_engine")

    assert (str(found), found.error) == (outcome, error)
    assert found.message.startswith(message)


def test_program_reads_and_writes_raw_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$@" >"$0.words"; env >"$0.env"; cp "$5" "$6"; echo run; echo "2 3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", "/python")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    pictures = np.arange(6, dtype=np.float32).reshape(2, 1, 1, 3)

    logits = native.run(program, "torchscript", None, "a.pt", pictures)

    assert logits.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert logits.dtype == np.float32
    words = (tmp_path / "program.words").read_text().split()
    assert words[:4] == ["torchscript", "none", "a.pt", "tensor"]
    assert words[6:] == ["2", "1", "1", "3"]
    seen = (tmp_path / "program.env").read_text()
    assert "MKL_CBWR=AVX2" in seen
    assert "PYTHON" not in seen
    assert "HOME" not in seen


def test_program_is_told_of_callers_and_of_their_time(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$@" >"$0.words"; cp "$5" "$6"; echo run; echo "2 3"\n')
    program.chmod(0o755)
    pictures = np.zeros((2, 1, 1, 3), np.float32)

    native.run(program, "torchscript", None, "a.pt", pictures, callers=native.Callers(4, 20, 60.0, 20.0))

    words = (tmp_path / "program.words").read_text().split()
    assert words[6:] == ["2", "1", "1", "3", "4", "20", "60.0", "20.0"]


def test_documented_command_has_the_words_that_the_program_takes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "native.md").read_text(encoding="utf-8")
    given = next(line.split()[1:] for line in page.splitlines() if line.strip().startswith("program/native "))
    usage = re.search(r"usage: native \[(.*?) \[CALLERS", native.SOURCE.read_text(encoding="utf-8"))

    assert usage is not None
    assert dict(zip(usage[1].split(), given, strict=True))["OUTPUT"] == "tensor"
