"""A real browser for the tests of pages: the system's Chromium, driven by Playwright, that may ask for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 300  # seconds, after which a browser that does not answer counts as hanging
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),  # a container has neither rights nor much memory
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a running browser; skip, with what to install, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason='no Playwright: pip install "vitgate[browser]"')
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET), timeout=PATIENCE * 1000)
        yield running
        running.close()


class Opened:
    """A page in a tab, with all that the browser said and asked for meanwhile."""

    def __init__(self, tab: Any, path: Path) -> None:
        """Open the file."""
        self.tab = tab
        tab.set_default_timeout(PATIENCE * 1000)
        self.said: list[str] = []
        self.asked: list[str] = []
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(path.as_uri())

    def focused(self, selector: str) -> bool:
        """Say whether what has the keyboard is one of these."""
        return bool(self.tab.evaluate("selector => document.activeElement.matches(selector)", selector))

    def becomes(self, condition: str) -> bool:
        """Say whether the condition, a JavaScript expression, comes true in time."""
        for _ in range(PATIENCE * 10):
            if self.tab.evaluate(condition):
                return True
            self.tab.wait_for_timeout(100)
        return False

    def tab_to(self, selector: str, most: int = 400) -> None:
        """Press Tab until one of these has the keyboard."""
        for _ in range(most):
            self.tab.keyboard.press("Tab")
            if self.focused(selector):
                return
        raise AssertionError(f"{most} presses of Tab do not reach {selector}")


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Return a helper that opens a file in a tab of its own, `options` being those of a browser's context."""
    contexts = []

    def open_in(path: Path, **options: Any) -> Opened:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        return Opened(contexts[-1].new_page(), path)

    yield open_in
    for context in contexts:
        context.close()
