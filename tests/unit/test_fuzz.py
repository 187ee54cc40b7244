"""A few thousand of the cases of `benchmarks/fuzz.py`, and that it notices what it must."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError

pytest.importorskip("hypothesis")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import fuzz  # found by the line above
import fuzz_form  # likewise
import fuzz_readers  # likewise

CASES = 120
SLOW = {"verdict": 40}
NEEDS = {**dict.fromkeys(("checkpoint", "legacy", "safetensors", "lite"), "torch"), "onnx": "onnx"}


@pytest.mark.parametrize("name", [name for name in fuzz_readers.READERS if name not in NEEDS])
def test_fuzzed_file_is_read_or_refused_in_one_line(name: str) -> None:
    cases = SLOW.get(name, CASES)
    found = fuzz.fuzz(name, cases, seed=7)

    assert found.findings == []
    assert found.read + found.refused == cases
    assert found.read > 0
    assert found.refused > 0 or name in ("cache", "marker")  # what they cannot read is made again


@pytest.mark.parametrize("name", NEEDS)
def test_fuzzed_file_of_a_library_is_read_or_refused_in_one_line(name: str) -> None:
    pytest.importorskip(NEEDS[name])
    found = fuzz.fuzz(name, CASES, seed=7)

    assert found.findings == []
    assert found.read + found.refused == CASES
    assert found.read > 0
    assert found.refused > 0


def _raises(path: Path) -> None:
    raise ValueError("no error of ours")


def _hangs(path: Path) -> None:
    time.sleep(60)


def _computes(path: Path) -> None:
    while True:
        pass


def _dies(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _is_unclean(path: Path) -> None:
    raise _Unclean


def _leaves(path: Path) -> None:
    (path.parent / "harm").touch()


def _takes(path: Path) -> None:
    """Take fresh memory: what the process has freed before would not add to its peak."""
    with mmap.mmap(-1, 30_000_000) as memory:
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = 1


class _Unclean(UsageError):
    def __init__(self) -> None:
        Exception.__init__(self, "two\nlines")


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (_raises, "ValueError"),
        (_hangs, "hung"),
        (_computes, "hung"),
        (_dies, "ended by signal 9"),
        (_is_unclean, "no clean line"),
        (_leaves, "it left ['harm']"),
        (_takes, "took"),
    ],
)
def test_forbidden_reader_behaviour_is_detected(
    monkeypatch: pytest.MonkeyPatch, read: Callable[..., None], words: str
) -> None:
    def reader(folder: Path) -> Any:
        def hostile(path: Path) -> Any:
            return read(path) if path.read_bytes() == b"hostile" else None

        return fuzz_form.Reader(folder / "file", [b"sound"], lambda rng: b"hostile", hostile)

    monkeypatch.setitem(fuzz_readers.READERS, "bad", ("bad", reader))
    monkeypatch.setattr(fuzz, "SECONDS", 0.3)
    monkeypatch.setattr(fuzz, "WAITING", 0.3 if read is _hangs else 600.0)
    monkeypatch.setattr(fuzz, "BYTES", 10_000_000)

    found = fuzz.fuzz("bad", 1, seed=0)

    assert len(found.findings) == 1
    assert words in found.findings[0]


def test_reader_that_refuses_valid_files_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    made = lambda folder: fuzz_form.Reader(folder / "file", [b""], lambda rng: b"", _raises)  # noqa: E731  # short
    monkeypatch.setitem(fuzz_readers.READERS, "bad", ("bad", made))

    with pytest.raises(RuntimeError, match="its sound files are not read"):
        fuzz.fuzz("bad", 1, seed=0)


def test_same_seed_gives_same_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def reader(folder: Path) -> Any:
        def wrong(path: Path) -> None:
            if path.read_bytes() != b"sound":
                raise ValueError("no error of ours")

        return fuzz_form.Reader(folder / "file", [b"sound"], lambda rng: bytes([rng.randrange(256)] * 4), wrong)

    monkeypatch.setitem(fuzz_readers.READERS, "bad", ("bad", reader))

    def drawn(seed: int, folder: str) -> list[bytes]:
        fuzz.fuzz("bad", 5, seed, tmp_path / folder)
        return [path.read_bytes() for path in sorted((tmp_path / folder).iterdir())]

    assert drawn(0, "one") == drawn(0, "again") != drawn(1, "other")


def test_the_table_has_a_row_for_each_reader() -> None:
    row = fuzz.Figures(cases=100, read=40, refused=60, slowest=0.25, memory=3_000_000)
    table = "\n".join(fuzz.lines({"record": row, "accept": row}))

    assert "| record | 100 | 40 | 60 | 0 | 0.25 | 3 |" in table
    assert "200 cases in all" in table
