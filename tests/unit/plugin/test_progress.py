"""What a run is busy with, as a terminal shows it: in one line, which makes room for what pytest writes."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vitgate.observe.session_directory import counting
from vitgate.plugin.progress import line, Progress

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
    monkeypatch.setattr("vitgate.observe.session_directory._NOTE_SECONDS", -1.0)
    monkeypatch.setenv("COLUMNS", "80")
    made: list[Progress] = []

    def start(*, column: int = 0) -> Progress:
        made.append(Progress(tmp_path, lambda: column, screen))
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


def test_running_build_is_shown_with_elapsed_seconds(
    tmp_path: Path, screen: Screen, progress: Callable[..., Progress]
) -> None:
    with counting(tmp_path, "building: digits-scripted"), counting(tmp_path, "building: digits-fbgemm-lite"):
        progress()
        assert seen(screen, "building: digits-fbgemm-lite, digits-scripted (0 s)")


def test_counts_are_combined_into_one_bar(tmp_path: Path, screen: Screen, progress: Callable[..., Progress]) -> None:
    with counting(tmp_path, "pictures: a float", 40) as first, counting(tmp_path, "pictures: a x86", 60) as second:
        progress()
        assert seen(screen, "pictures: a float, a x86:   0%")
        first(20)
        second(30)
        assert seen(screen, "50/100")


def test_uncounted_work_is_shown_beside_bar() -> None:
    found = {"building: a-lite": (0, 0), "rounds of latency: b-x86": (15, 60)}

    shown = line(found, 3.0, 79)

    assert shown.startswith("building: a-lite; rounds of latency: b-x86:  25%")
    assert "15/60" in shown
    assert len(shown) <= 79
    assert len(line({f"building: {'x' * 200}": (0, 0)}, 3.0, 79)) == 79


def test_finished_work_is_removed_from_line(tmp_path: Path, screen: Screen, progress: Callable[..., Progress]) -> None:
    progress()
    with counting(tmp_path, "pictures: a", 10) as each:
        each(5)
        assert seen(screen, "pictures: a:  50%")
    with counting(tmp_path, "pictures: b", 10):
        assert seen(screen, "pictures: b:   0%")
    assert "a, b" not in screen.text


def test_end_of_run_clears_line(tmp_path: Path, screen: Screen, progress: Callable[..., Progress]) -> None:
    with counting(tmp_path, "building: a"):
        bar = progress()
        assert seen(screen, "building: a")
        bar.pytest_sessionfinish()
        assert screen.text.endswith("\n\x1b[K\x1b[A\r")
        bar.end()
    assert screen.closed


@pytest.mark.parametrize(("column", "back"), [(0, "\x1b[A\r"), (17, "\x1b[A\r\x1b[17C")])
def test_line_is_drawn_below_and_cursor_restored(
    tmp_path: Path, screen: Screen, progress: Callable[..., Progress], column: int, back: str
) -> None:
    bar = progress(column=column)
    bar._ended.set()
    bar._thread.join()
    screen.text = ""

    bar._show({"building: a": (0, 0)})

    assert screen.text == f"\n\x1b[Kbuilding: a (0 s){back}"


def test_line_is_cleared_and_locked_while_pytest_writes(
    tmp_path: Path, screen: Screen, progress: Callable[..., Progress]
) -> None:
    bar = progress()
    bar._ended.set()
    bar._thread.join()
    bar._show({"building: a": (0, 0)})

    around = bar.pytest_runtest_logreport()
    next(around)

    assert screen.text.endswith("\n\x1b[K\x1b[A\r")
    assert bar._lock.locked()
    with pytest.raises(StopIteration):
        around.send(None)
    assert not bar._lock.locked()


class NoTerminal(io.StringIO):
    """What a pipe looks like."""


class ATerminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("out", "err", "term"),
    [(ATerminal, NoTerminal, "xterm"), (NoTerminal, ATerminal, "xterm"), (ATerminal, ATerminal, "dumb")],
)
def test_nothing_is_drawn_without_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    out: type[ATerminal] | type[NoTerminal],
    err: type[ATerminal] | type[NoTerminal],
    term: str,
) -> None:
    monkeypatch.setattr(sys, "stdout", out())
    monkeypatch.setattr(sys, "stderr", err())
    monkeypatch.setenv("TERM", term)

    assert Progress.on_terminal(tmp_path, lambda: 0) is None
