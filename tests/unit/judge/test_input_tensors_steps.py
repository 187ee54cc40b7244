"""Which step is named where one explanation is near another: crops, plain channels, values of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitgate.judge.input_tensors import first_step, of_tensors, projections

FEW_LEVELS = "decode or resize (by a few levels, as another decoder or another rounding does)"
NORMALIZED = "normalize (each channel is the one before times "
RANDOM = np.random.default_rng(0).integers(0, 256, (1, 3, 17, 17)).astype(np.float64)


def said(before: npt.NDArray[Any], now: npt.NDArray[Any], one: float = 1.0) -> str:
    return first_step(of_tensors(before, [{}]), of_tensors(now, [{}]), one)


def test_projections_of_float32_are_summed_in_double_precision() -> None:
    values = np.random.default_rng(0).normal(size=(3, 40, 40)).astype(np.float32)

    assert projections(values).tolist() == projections(values.astype(np.float64)).tolist()


@pytest.mark.parametrize(("down", "right"), [(4, 0), (-4, 0), (0, 4), (0, -4)])
def test_crop_four_pixels_away_is_not_looked_for(down: int, right: int) -> None:
    before, now = RANDOM[..., 4:13, 4:13], RANDOM[..., 4 + down : 13 + down, 4 + right : 13 + right]

    assert not said(before, now).startswith("crop")


def test_crop_is_not_named_where_the_pictures_fit_unmoved() -> None:
    stripes = np.broadcast_to(RANDOM[:, :, :1], RANDOM.shape)  # each row is the same, so that a moved crop fits too
    now = stripes + np.random.default_rng(1).integers(0, 2, stripes.shape)

    assert said(stripes, now) == FEW_LEVELS


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_normalization_is_named_whatever_the_size_of_the_values(unit: float) -> None:
    before = RANDOM[..., :9, :9].copy()
    before[:, 1] = 0.1  # one colour: rounding alone tells its values from their mean
    scale, offset = (np.array(each)[:, None, None] for each in ((2.0, 1.0, 1.0), (0.0, 100.0, 5.0)))

    text = said(before * unit, (before * scale + offset) * unit, unit)

    scales, _, offsets = text.removeprefix(NORMALIZED).rstrip(")").partition(", plus ")
    assert scales == "2, 1, 1"
    assert [float(each) / unit for each in offsets.split(", ")] == pytest.approx([0.0, 100.0, 5.0], abs=1e-6)


def test_black_channel_stays_as_it_is() -> None:
    before = RANDOM[..., :9, :9].copy()
    before[:, 1] = 0.0
    now = before.copy()
    now[:, 0] += 10.0

    assert said(before, now).startswith(f"{NORMALIZED}1, 1, 1, plus 10, 0, ")
