"""The world without torch, one for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from .world import make_world, World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)
