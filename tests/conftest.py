"""What all tests of this repository share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

_USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}


_LONG = "long"  # what the controller tells its workers


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what the controller runs: its own command line names every path."""
    node.workerinput[_LONG] = _runs_long(node.config)


def _runs_long(config: pytest.Config) -> bool:
    """Whether tests marked `long` run: where the user names a path, `-k` or `-m`."""
    if _LONG in (told := getattr(config, "workerinput", {})):
        return bool(told[_LONG])
    named = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return bool(named or config.option.keyword or config.option.markexpr)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what a run without paths leaves out."""
    return [] if _runs_long(config) else ["left out: the long tests (pytest -n auto -m long)"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out of a run that names nothing."""
    long = [item for item in items if item.get_closest_marker("long")] if not _runs_long(config) else []
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Let processes that tests start hear Ctrl-C and hang-ups, which nohup and shells ignore for background jobs."""
    ignored = [number for number in _USUAL if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _USUAL[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
