"""The fresh process that measures memory: what counts, what leaks, and what becomes of a file that does not run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitgate.judge.memory import growth
from vitgate.observe import memory as observed
from vitgate.observe import memory_worker
from vitgate.observe.memory import measure, Subject, uncounted
from vitgate.observe.memory_worker import Injection, private
from vitgate.observe.session_directory import SETTINGS
from vitgate.spec.engines import engine_named
from vitgate.spec.outcome import ClaimFailed

needs_rollup = pytest.mark.skipif(uncounted() is not None, reason="takes /proc/self/smaps_rollup")

ROLLUP = """\
559a6f58f000-7ffdc50ce000 ---p 00000000 00:00 0                          [rollup]
Rss:                1764 kB
Private_Dirty:       108 kB
Anonymous:           100 kB
Swap:                  8 kB
"""
X = np.ones((3, 2), np.float32)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A tiny scripted file."""
    path = tmp_path_factory.mktemp("memory") / "tiny.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)  # type: ignore[no-untyped-call]  # untyped in torch
    return Subject(path, "torchscript", engine_named(torch.backends.quantized.supported_engines[-1]))


@pytest.fixture
def rollup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a helper that puts a text in the place of `/proc/self/smaps_rollup`."""

    def put(text: str) -> None:
        monkeypatch.setattr(memory_worker, "ROLLUP", tmp_path / "smaps_rollup")
        (tmp_path / "smaps_rollup").write_text(text, encoding="ascii")

    return put


def leak_of(own: Any) -> float:
    return growth(own["samples"], own["every"])


def test_private_and_swapped_pages_count(rollup: Callable[[str], None]) -> None:
    rollup(ROLLUP)

    assert private() == (108 + 8) * 1024
    assert uncounted() is None


@pytest.mark.parametrize("text", ["", "Rss: 12 kB\n"])
def test_system_that_does_not_say_is_unsupported(rollup: Callable[[str], None], text: str) -> None:
    rollup(text)
    outcome = uncounted()

    assert outcome is not None
    assert str(outcome) == "unsupported"


def test_system_without_the_file_is_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_worker, "ROLLUP", tmp_path / "none")
    outcome = uncounted()

    assert outcome is not None
    assert "no /proc/self/smaps_rollup" in outcome.message


def test_kernel_that_resets_no_peak_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_worker, "_CLEAR", tmp_path)

    assert not memory_worker.reset_peak()


def test_only_new_pictures_fill_a_cache() -> None:
    leak = Injection("picture:10")
    for value in (1.0, 2.0, 1.0):
        leak.called(torch.full((2,), value))

    assert [len(kept) for kept in leak._seen.values()] == [10, 10]


def test_nothing_leaks_unless_it_is_asked_for(tmp_path: Path) -> None:
    leak = Injection()
    leak.loaded(str(tmp_path / "none"))
    leak.called(torch.ones(1))

    assert (leak._kept, leak._seen) == ([], {})


def test_worker_has_the_usual_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")  # the user's own
    environment = observed._usual_allocator()

    assert {name for name in environment if name.startswith("MALLOC_")} == {"MALLOC_ARENA_MAX"}
    assert environment["OMP_NUM_THREADS"] == "1"


@needs_rollup
def test_sound_file_keeps_nothing(subject: Subject) -> None:
    own = measure(subject, X)

    assert abs(leak_of(own)) < 300
    assert own["imports"] < own["called"] <= own["peak"]
    assert len(own["samples"]) == observed.SAMPLES


@needs_rollup
@pytest.mark.parametrize("kind", ["call", "picture"])
def test_leak_is_measured(subject: Subject, kind: str) -> None:
    assert leak_of(measure(subject, X, f"{kind}:20000", calls=80)) == pytest.approx(20_000, rel=0.1)


@needs_rollup
def test_file_that_does_not_load_is_named(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no archive")
    with pytest.raises(ClaimFailed) as failed:
        measure(replace(subject, path=tmp_path / "bad.pt"), X)

    assert str(failed.value.outcome) == "failed at load"


@needs_rollup
def test_call_that_fails_is_named(subject: Subject) -> None:
    with pytest.raises(ClaimFailed) as failed:
        measure(subject, X[:, :1])

    assert str(failed.value.outcome) == "failed at run"


@pytest.mark.parametrize(
    ("program", "words"),
    [("import os; os.kill(os.getpid(), 9)", "SIGKILL"), ("raise SystemExit('out of memory')", "out of memory")],
)
def test_process_that_dies_is_named(
    subject: Subject, program: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}"\n', encoding="utf-8")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ClaimFailed) as failed:
        measure(subject, X)

    assert failed.value.outcome.error == "ProcessDied"
    assert words in failed.value.outcome.message


def test_process_that_hangs_is_ended(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "_LIMIT", 0.01)
    with pytest.raises(ClaimFailed) as failed:
        measure(subject, X)

    assert failed.value.outcome.error == "TimeoutExpired"
