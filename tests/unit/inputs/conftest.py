"""What the tests of inputs share: servers, an address without one, a cache, a picture, a folder of files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from .made_pictures import save
from .picture_site import running_site, Site
from .server import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody listens."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with Server() as gone:
        return gone.url("file.pth")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return a site that gives pictures, which no proxy keeps the tests from."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running_site() as running:
        yield running


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """Return a picture that stands for the one in the package."""
    return save(Image.new("RGB", (20, 20)), tmp_path / "own.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for files of a user or a release."""
    made = tmp_path / "field"
    made.mkdir()
    return made
