"""Pictures of a user's own case that do not fit its input are one line, and no red claim about PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitgate.inputs.user_model import own_pictures
from vitgate.spec.cases import OwnCase, read_own

from ..conftest import Refuses

CASE = """
[[case]]
id = "mine"
title = "mine"
build = "mine:build"
input = {shape}
files = "mine"
picture = [{{ file = "a.png", label = 0 }}]
"""


def case_of(folder: Path, shape: list[int]) -> OwnCase:
    Image.fromarray(np.full((40, 40, 3), 128, np.uint8)).save(folder / "a.png")
    (folder / "cases.toml").write_text(CASE.format(shape=shape), encoding="utf-8")
    return read_own(folder / "cases.toml").case[0]


def test_picture_without_transform_uses_tutorial_preprocessing(tmp_path: Path) -> None:
    assert own_pictures(case_of(tmp_path, [3, 32, 32])).shape == (1, 3, 32, 32)


@pytest.mark.refuses("model", "pictures of another shape than `input`, without a `transform`")
@pytest.mark.parametrize("shape", [[3, 32, 64], [1, 32, 32]], ids=["wide", "grey"])
def test_picture_of_wrong_shape_names_both_shapes_and_remedy(
    shape: list[int], tmp_path: Path, refuses: Refuses
) -> None:
    case = case_of(tmp_path, shape)

    got = str([3, shape[-1], shape[-1]])
    refuses(lambda: own_pictures(case), f"becomes {got}", f"input of mine is {shape}", "a.png", "`transform`")
