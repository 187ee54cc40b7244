"""Worlds without torch in which environments and gates are made, one for each test; and models saved by torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from .environment_maker import make_maker, Maker
from .fake_gate import Fake
from .world import make_world, World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in which the suite runs too."""
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Return one that makes environments alone, of packages whose import a test may slow down or break."""
    return make_maker(tmp_path, monkeypatch)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return what stands in the place of environments, runs and latencies; nothing hangs or fails yet."""
    made = Fake(tmp_path / "cache")
    made.install(monkeypatch)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a user's folder of one lite file."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "phone-lite.ptl").write_bytes(b"phone")
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of `latency_models`, with an input and saved models."""
    from .latency_models import save_models  # here, so that the other tests need not import torch

    folder = tmp_path_factory.mktemp("pairs")
    save_models(folder)
    return folder
