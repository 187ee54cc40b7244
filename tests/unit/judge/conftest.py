"""What the tests of declared deviations share: the file that names them, and how an outcome is settled by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.judge.deviations import Deviation, Deviations, Place
from vitgate.spec.outcome import Outcome

from .made_deviations import FILE, place, TODAY


@pytest.fixture
def where(data_file: Callable[[str, str], Path]) -> Path:
    """Return a file that names the deviations `another` and `gone`."""
    return data_file("deviations.toml", FILE)


@pytest.fixture
def settle(where: Path) -> Callable[..., Any]:
    """Return a helper that settles an outcome by these deviations, at the place of `build` unless told otherwise."""

    def call(outcome: Outcome, *rows: Deviation, at: Place | None = None) -> Any:
        return Deviations(list(rows), where, TODAY).settle(at or place(), outcome)

    return call
