"""How far the pictures are, as a terminal shows it: in one line, which makes room for what pytest writes."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vitgate.plugin.progress import Progress
from vitgate.session import counting

PATIENCE = 10.0  # seconds


class Screen(io.StringIO):
    """A terminal that remembers all that was written, after it is closed too."""

    text = ""

    def write(self, text: str) -> int:
        """Keep it."""
        self.text += text
        return len(text)


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def progress(tmp_path: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Progress]]:
    """Return a helper that starts one; all are ended."""
    monkeypatch.setattr("vitgate.plugin.progress._SECONDS", 0.01)
    monkeypatch.setattr("vitgate.session._NOTE_SECONDS", -1.0)
    monkeypatch.setenv("COLUMNS", "80")
    made: list[Progress] = []

    def start(*, within_line: bool = False) -> Progress:
        made.append(Progress(tmp_path, lambda: within_line, screen))
        return made[-1]

    yield start
    for each in made:
        each.end()


def seen(screen: Screen, words: str) -> bool:
    """Wait until the words are on the screen."""
    end = time.monotonic() + PATIENCE
    while words not in screen.text and time.monotonic() < end:
        time.sleep(0.01)
    return words in screen.text


def test_what_is_under_way_is_one_bar(tmp_path, screen, progress):
    with counting(tmp_path, "deit_tiny float", 40) as first, counting(tmp_path, "deit_tiny x86", 60) as second:
        progress()
        assert seen(screen, "pictures, deit_tiny float, deit_tiny x86:   0%")
        first(20)
        second(30)
        assert seen(screen, "50/100")


def test_what_has_ended_leaves_the_bar(tmp_path, screen, progress):
    progress()
    with counting(tmp_path, "a", 10) as each:
        each(5)
        assert seen(screen, "pictures, a:  50%")
    with counting(tmp_path, "b", 10):
        assert seen(screen, "pictures, b:   0%")
    assert "a, b" not in screen.text


def test_the_end_clears_the_line(tmp_path, screen, progress):
    with counting(tmp_path, "a", 10):
        bar = progress()
        assert seen(screen, "pictures, a")
        bar.end()
    assert screen.text.endswith("\r") and screen.text.rstrip("\r").endswith(" " * 10)
    assert screen.closed


@pytest.mark.parametrize("within_line", [True, False])
def test_what_pytest_has_written_of_its_line_stays(tmp_path, screen, progress, within_line: bool):
    with counting(tmp_path, "a", 10):
        progress(within_line=within_line)
        assert seen(screen, "pictures, a")
    assert screen.text.startswith("\n") is within_line


def test_a_mark_of_pytest_has_the_line_for_itself(tmp_path, screen, progress):
    with counting(tmp_path, "a", 10):
        bar = progress()
        assert seen(screen, "pictures, a")
        bar._ended.set()
        bar._thread.join()
        bar._show({"a": (3, 10)})
        bar.pytest_runtest_logreport()
        assert screen.text.endswith("\r") and bar._bar is None


def test_there_is_no_bar_where_nobody_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert Progress.on_terminal(tmp_path, lambda: False) is None
