"""What all tests of this repository share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let processes that tests start hear Ctrl-C and hang-ups, which nohup and shells ignore for background jobs."""
    ignored = [number for number in _USUAL if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _USUAL[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
