"""What a user sees while an environment is made: a spinner on a terminal, one plain line a step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


class Steps:
    """Shows steps; `echo` gets the plain lines."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        """Look whether standard error is a terminal."""
        self._echo = echo
        self._console = Console(stderr=True)

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show that this step is under way; gives a function that shows a detail of it, on a terminal only."""
        if not self._console.is_terminal:
            self._echo(text)
            yield _nothing
            return
        with self._console.status(escape(text)) as status:
            yield lambda detail: status.update(f"{escape(text)}: {escape(detail)}")

    def say(self, text: str) -> None:
        """Show one line."""
        self._echo(text)


def time_left(show: Callable[[str], None]) -> Callable[[float], None]:
    """Return a function that is told which part is done, from 0 to 1, and shows how long the rest will take."""
    start = time.monotonic()

    def progress(part: float) -> None:
        left = (time.monotonic() - start) * (1 - part) / part if part > 0 else 0.0
        show(f"{part:.0%}, about {left:.0f} s left")

    return progress


def _nothing(detail: str) -> None:
    del detail
