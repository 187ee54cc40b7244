"""The tutorial's preprocessing against its stored result and its formula, and the arrays of the digits case."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs import preprocess as module
from vitgate.inputs.pictures import picture_of
from vitgate.inputs.preprocess import (
    digits_tensor,
    golden_difference,
    GoldenDifference,
    preprocess,
    read_arrays,
    read_labelled,
    resize_and_crop,
    tutorial_transform,
)
from vitgate.spec.cases import read_cases

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # timm.data.constants, written out a second time on purpose


def test_golden_picture_comes_out_as_stored() -> None:
    found = golden_difference()
    assert found.steps <= 1  # 0 was measured for Pillow 12.3 and 13.0 with torchvision 0.14, 0.27 and 0.29
    assert found.normalised <= 0.018  # one 8-bit step: 1 / 255 / 0.224


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy of the golden files that may be spoilt."""
    shutil.copytree(fixtures_folder() / "golden", tmp_path / "golden")
    return tmp_path / "golden"


@pytest.mark.parametrize("mode", ["BILINEAR", "NEAREST", "LANCZOS", "BOX"])
def test_changed_interpolation_is_caught(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import transforms

    resize = transforms.Resize(256, interpolation=getattr(transforms.InterpolationMode, mode))
    other = transforms.Compose([resize, transforms.CenterCrop(224)])
    monkeypatch.setattr(module, "resize_and_crop", lambda size=224: other)
    found = golden_difference()
    assert found.steps > 8
    assert found.share > 0.1


def test_one_changed_pixel_is_measured(golden: Path) -> None:
    with np.load(golden / "preprocess.npz") as stored:
        crop, normalised = stored["crop"].copy(), stored["normalised"]
    crop[3, 4, 1] ^= 1
    np.savez(golden / "preprocess.npz", crop=crop, normalised=normalised)
    assert golden_difference(golden) == GoldenDifference(1, 1 / crop.size, 0.0)


def test_changed_normalisation_is_caught(golden: Path) -> None:
    with np.load(golden / "preprocess.npz") as stored:
        crop, normalised = stored["crop"], stored["normalised"]
    np.savez(golden / "preprocess.npz", crop=crop, normalised=normalised + np.float32(0.5))
    assert golden_difference(golden).normalised == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"crop": np.zeros((224, 224), np.uint8), "normalised": np.zeros((3, 28, 28), np.float32)}, "another shape"),
        ({"crop": np.zeros((0, 224, 3), np.uint8), "normalised": np.zeros((3, 28, 28), np.float32)}, "another shape"),
        ({"crop": np.zeros((224, 224, 3), np.int16), "normalised": np.zeros((3, 28, 28), np.float32)}, "int16"),
        ({"crop": np.zeros((224, 224, 3), np.uint8)}, "normalised"),
    ],
    ids=["flat", "empty", "dtype", "missing"],
)
def test_damaged_golden_file_is_usage_error(arrays: dict[str, Any], words: str, golden: Path) -> None:
    np.savez(golden / "preprocess.npz", **arrays)
    with pytest.raises(UsageError, match=words) as error:
        golden_difference(golden)
    assert "\n" not in str(error.value)


def test_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in (fixtures_folder() / "golden").iterdir()) < 200_000


@pytest.mark.parametrize("size", [(300, 360), (1000, 230), (224, 224), (40, 16), (17, 999)])
def test_preprocessed_tensor_is_float32_1x3x224x224(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    x = preprocess(tmp_path / "a.png")
    assert x.shape == (1, 3, 224, 224)
    assert x.dtype == torch.float32


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (12, 200, 77)])
def test_flat_colour_follows_the_formula(colour: tuple[int, int, int]) -> None:
    x = tutorial_transform()(Image.new("RGB", (300, 260), colour))
    expected = [(value / 255 - mean) / std for value, mean, std in zip(colour, MEAN, STD, strict=True)]
    assert torch.allclose(x, torch.tensor(expected)[:, None, None].expand_as(x), atol=1e-6)


def test_mean_and_std_are_those_of_timm() -> None:
    from timm.data import constants

    assert (constants.IMAGENET_DEFAULT_MEAN, constants.IMAGENET_DEFAULT_STD) == (MEAN, STD)


def test_resize_is_to_the_shorter_side_and_the_crop_central() -> None:
    ramp = np.tile(np.arange(512, dtype=np.uint8)[None, :, None] // 2, (256, 1, 3))
    crop = np.asarray(resize_and_crop()(Image.fromarray(ramp)))
    assert crop.shape == (224, 224, 3)
    assert (crop == ramp[16:240, 144:368]).all()  # the shorter side is 256 already, so nothing is resampled


def test_bad_picture_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such picture"):
        preprocess(tmp_path / "a.png")


def test_digits_become_minus_one_to_one_exactly() -> None:
    images = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) % 17
    x = digits_tensor(images)
    assert x.shape == (1, 1, 8, 8)
    assert x.dtype == torch.float32
    assert x.numpy()[0, 0].tolist() == ((images[0] / 16 - 0.5) / 0.5).tolist()


def test_committed_digits_are_stratified_8x8_scans() -> None:
    heldout = read_labelled(fixtures_folder() / "digits" / "heldout.npz")
    assert heldout.images.shape[1:] == (8, 8)
    assert len(heldout.images) >= 360
    assert heldout.images.max() == 16
    assert set(heldout.labels) == set(range(10))
    assert np.bincount(heldout.labels).min() >= 30  # stratified


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((2, 8, 8), np.uint8), "labels": np.zeros(3, np.uint8)},
        {"images": np.zeros((0, 8, 8), np.uint8), "labels": np.zeros(0, np.uint8)},
        {"images": np.zeros((2, 64), np.uint8), "labels": np.zeros(2, np.uint8)},
        {"images": np.zeros((2, 8, 8), np.float32), "labels": np.zeros(2, np.uint8)},
        {"labels": np.zeros(2, np.uint8)},
        {"images": np.array([None, None]), "labels": np.zeros(2, np.uint8)},
    ],
    ids=["length", "empty", "shape", "dtype", "missing", "pickled"],
)
def test_bad_labelled_pictures_are_a_usage_error(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match="a.npz") as error:
        read_labelled(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04.", b"\x93NUMPY\x01\x00"])
def test_file_that_is_no_archive_is_usage_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UsageError, match="a.npz"):
        read_arrays(tmp_path / "a.npz", {"images": "uint8"})


def test_bare_array_is_usage_error(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UsageError, match="a.npz"):
        read_arrays(tmp_path / "a.npz", {"images": "uint8"})


def test_missing_archive_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing.npz"):
        read_arrays(tmp_path / "nothing.npz", {"images": "uint8"})


def test_module_imports_no_torch() -> None:
    import subprocess
    import sys

    code = f"import sys, {module.__name__}; assert not {{'torch', 'torchvision', 'timm', 'PIL'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# The way of transformers

INPUT = fixtures_folder() / "golden" / "input.png"


def test_transformers_preprocessing_is_bilinear_square_resize_to_plus_minus_one() -> None:
    small = Image.open(INPUT).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)
    expected = (np.asarray(small, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
    assert np.allclose(preprocess(INPUT, 96, way="transformers")[0].numpy(), expected, atol=1e-6)


def test_transformers_own_processor_gives_the_same_tensor() -> None:
    """That on Pillow, as the published checkpoint is used; from 5.x on there is one on torchvision beside it."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    try:
        module = importlib.import_module("transformers.models.vit.image_processing_pil_vit")
        processor = module.ViTImageProcessorPil
    except ImportError:
        processor = transformers.ViTImageProcessor
    theirs = processor()(images=Image.open(INPUT).convert("RGB"), return_tensors="pt")["pixel_values"]
    assert torch.equal(theirs, preprocess(INPUT, way="transformers"))


def test_transformers_processor_on_torchvision_is_at_most_a_step_away() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    image = Image.open(INPUT).convert("RGB")
    theirs = transformers.ViTImageProcessor()(images=image, return_tensors="pt")["pixel_values"]
    difference = (theirs - preprocess(INPUT, way="transformers")).abs() * 255 / 2
    assert float(difference.max()) < 1.01
    assert float((difference > 0.5).float().mean()) < 0.01  # 0.2% were measured with transformers 5.23


@pytest.mark.parametrize("case", ["deit_tiny", "deit_base_384", "vit_base_hf"])
def test_user_picture_is_preprocessed_as_its_case_says(case: str) -> None:
    row, path = read_cases()[case], fixtures_folder() / "golden" / "input.png"

    own = picture_of(row, path)

    assert (own.shape, own.dtype) == (row.input, np.float32)
    assert np.array_equal(own, preprocess(path, row.input[-1], way=row.preprocessing)[0].numpy())
    other = "tutorial" if row.preprocessing == "transformers" else "transformers"
    assert not np.allclose(own, preprocess(path, row.input[-1], way=other)[0].numpy(), atol=0.1)
