"""By which pictures static int8 chooses its scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitgate.inputs.picture_folder import files_of
from vitgate.inputs.pictures import CALIBRATION, calibration_pictures
from vitgate.spec.cases import OwnCase, read_cases
from vitgate.spec.outcome import Evidence

from ..conftest import Refuses

X, HELD = np.zeros((3, 1, 8, 8), np.float32), np.ones((150, 1, 8, 8), np.float32)


@pytest.fixture
def own(tmp_path: Path) -> OwnCase:
    """Return a case with one picture in a folder, and one beside it."""
    (tmp_path / "folder").mkdir()
    for name, level in (("folder/b.png", 255), ("folder/a.png", 0), ("c.png", 128)):
        Image.new("RGB", (300, 300), (level, level, level)).save(tmp_path / name)
    (tmp_path / "folder" / "notes.txt").touch()
    case = OwnCase(
        id="mine", title="mine", build="a:b", input=(3, 224, 224), files="mine", calibration=("folder", "c.png"),
        picture=[{"file": "c.png", "label": 0}],
    )  # fmt: skip
    case._file = tmp_path / "cases.toml"
    return case


def test_held_out_pictures_calibrate_or_else_those_of_the_case() -> None:
    shown = Evidence(arrays={"x": X, "heldout_x": HELD})

    assert len(calibration_pictures(read_cases()["digits"], shown)) == CALIBRATION
    assert len(calibration_pictures(read_cases()["deit_base"], Evidence(arrays={"x": X}))) == len(X)


def test_pictures_that_a_case_names_calibrate(own: OwnCase) -> None:
    found = calibration_pictures(own, Evidence(arrays={"x": X}))

    assert found.shape == (3, 3, 224, 224)
    black, white, grey = (float(picture.mean()) for picture in found)  # a folder's by name, then the file
    assert black < grey < white


def test_folder_without_pictures_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: files_of(tmp_path), "no pictures here", str(tmp_path))
