"""Faults that could depend on the model's size, at the tutorial's: `pytest tests/meta/test_full_size.py --full-size`.

They are left out of every other run, for their minutes; see `conftest.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .faults import catalogue, Fault
from .harness import Baseline, clean_run, FULL_SIZE, red, Scene
from .test_faults import assert_found

FAULTS = [fault for fault in catalogue() if fault.full_size]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """Return the clean run of DeiT-Base under fbgemm."""
    folder = tmp_path_factory.mktemp("clean-full-size")
    yield clean_run("fbgemm", folder, FULL_SIZE)
    shutil.rmtree(folder)


def test_clean_run_is_green(clean: Baseline) -> None:
    assert {name: clean.rows[name].message for name in red(clean.rows)} == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_fault_is_found(fault: Fault, clean: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_found(fault, Scene(clean, tmp_path, monkeypatch))
    shutil.rmtree(tmp_path)  # a gigabyte each
