"""Faults that could depend on the model's size, at the tutorial's: `pytest tests/meta/test_full_size.py --full-size`.

They are left out of every other run, for their minutes; see `conftest.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from .baseline import Baseline, clean_run, FULL_SIZE
from .faults import catalogue, Fault
from .scene import red, Scene
from .test_faults import assert_found
from .test_kernel_faults import Judged
from .test_kernel_faults import (
    test_accurate_float_kernel_passes as test_accurate_float_kernel_passes,  # with this module's `judged`
)
from .test_kernel_faults import test_error_below_rounding_is_not_found as test_error_below_rounding_is_not_found
from .test_kernel_faults import test_inaccurate_float_kernel_is_found as test_inaccurate_float_kernel_is_found
from .test_kernel_faults import (
    test_int8_kernel_with_other_rounding_is_found as test_int8_kernel_with_other_rounding_is_found,
)
from .test_kernel_faults import (
    test_int8_kernel_with_wrong_results_is_found as test_int8_kernel_with_wrong_results_is_found,
)
from .test_kernel_faults import test_reference_int8_kernel_passes as test_reference_int8_kernel_passes

# The small case keeps its labels where a block of DeiT-Base is missed: a label that changes is in the table too.
_MAY = {"attention_left_out": ("label", "lite_operators", "table")}
FAULTS = [replace(fault, may=_MAY.get(fault.id, fault.may)) for fault in catalogue() if fault.full_size]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """Return the clean run of DeiT-Base under fbgemm."""
    folder = tmp_path_factory.mktemp("clean-full-size")
    yield clean_run("fbgemm", folder, FULL_SIZE)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Return DeiT-Base with weights as they are before training, and two pictures: a thousand logits each."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model("deit_base_patch16_224", pretrained=False).eval().requires_grad_(False)
    return Judged(model, (3, 224, 224), pictures=2)


def test_clean_run_is_green(clean: Baseline) -> None:
    assert {name: clean.rows[name].message for name in red(clean.rows)} == {}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_fault_is_found(fault: Fault, clean: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_found(fault, Scene(clean, tmp_path, monkeypatch))
    shutil.rmtree(tmp_path)  # a gigabyte each
