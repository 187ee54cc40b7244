"""Clean runs, one for each engine that a test asks for, made once in a worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.engines import Engine

from .harness import Baseline, clean_run


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Engine], Baseline]:
    """Return a function that gives the clean run of an engine."""
    made: dict[Engine, Baseline] = {}

    def get(engine: Engine) -> Baseline:
        if engine not in made:
            made[engine] = clean_run(engine, tmp_path_factory.mktemp(f"clean-{engine}"))
        return made[engine]

    return get
