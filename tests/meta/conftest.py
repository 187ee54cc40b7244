"""Clean runs, one for each engine that a test asks for, made once in a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unit.disk import small_disk as small_disk  # a fixture

from vitgate.spec.engines import Engine

from .baseline import Baseline, clean_run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the faults at full size, which take minutes."""
    parser.addoption("--full-size", action="store_true", help="inject faults into DeiT-Base too (some minutes, 4 GB)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the faults at full size out of a run that does not ask for them."""
    wanted = config.getoption("--full-size", default=False)
    return True if collection_path.name == "test_full_size.py" and not wanted else None


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Engine], Baseline]:
    """Return a function that gives the clean run of an engine."""
    made: dict[Engine, Baseline] = {}

    def get(engine: Engine) -> Baseline:
        if engine not in made:
            made[engine] = clean_run(engine, tmp_path_factory.mktemp(f"clean-{engine}"))
        return made[engine]

    return get
