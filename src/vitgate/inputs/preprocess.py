"""From a picture to the tensor that a model sees, and the golden picture that tells when that way has changed.

A new torchvision or Pillow that resizes in another way moves every logit a little. Compared with a stored result, the
preprocessing is caught by itself, before anyone looks for the fault in the model. torch, torchvision and timm are
imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vitgate.files.archives import read_npz
from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.picture_files import load_picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

RESIZE, CROP = 256, 224
"""Pixels: the tutorial's shorter side after the resize, and the side of its centre crop (crop ratio 0.875).

For larger inputs DeiT's own evaluation keeps the ratio: 438 and 384 (its `datasets.py`, rounded down)."""

GOLDEN_STRIDE = 8
"""Of the normalised golden tensor every eighth row and column is stored, 28 × 28 of 224 × 224."""

DIGIT_WHITE = 16
"""The largest value of a handwritten digit's pixel: dots set in a 4 × 4 block of the scan."""


def resize_and_crop(size: int = CROP) -> Callable[[Image], Image]:
    """Return the part of the tutorial's transform that Pillow computes: an RGB picture to one of `size` × `size`."""
    from torchvision import transforms  # type: ignore[import-untyped,unused-ignore]  # torchvision has no types

    bicubic = transforms.InterpolationMode.BICUBIC  # the tutorial's `interpolation=3`, Pillow's number for it
    steps: Callable[[Image], Image] = transforms.Compose(
        [transforms.Resize(RESIZE * size // CROP, interpolation=bicubic), transforms.CenterCrop(size)]
    )
    return steps


def tutorial_transform(size: int = CROP) -> Callable[[Image], Tensor]:
    """Return the tutorial's transform: an RGB picture to float32 [3, size, size], normalised.

    Resize(256, bicubic), CenterCrop(224), ToTensor, Normalize with timm's `IMAGENET_DEFAULT_MEAN` (0.485, 0.456, 0.406)
    and `IMAGENET_DEFAULT_STD` (0.229, 0.224, 0.225), in units of full scale, from `timm.data.constants`.
    """
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from torchvision import transforms  # type: ignore[import-untyped,unused-ignore]  # torchvision has no types

    normalize = transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    transform: Callable[[Image], Tensor] = transforms.Compose([resize_and_crop(size), transforms.ToTensor(), normalize])
    return transform


def transformers_transform(size: int = CROP) -> Callable[[Image], Tensor]:
    """Return what transformers' ViTImageProcessor does: an RGB picture to float32 [3, size, size], -1 to 1.

    Resize to a square, bilinear, whatever the picture's proportions; no crop; 1/255; mean and deviation 0.5
    (`preprocessor_config.json` of google/vit-base-patch16-224).
    """
    from torchvision import transforms  # type: ignore[import-untyped,unused-ignore]  # torchvision has no types

    resize = transforms.Resize((size, size), interpolation=transforms.InterpolationMode.BILINEAR)
    normalize = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    transform: Callable[[Image], Tensor] = transforms.Compose([resize, transforms.ToTensor(), normalize])
    return transform


def preprocess(path: Path, size: int = CROP, *, way: str = "tutorial") -> Tensor:
    """Read a picture as a model gets it.

    Args:
        path: A picture, as `load_picture` reads it.
        size: Pixels a side of what the model takes; by default 224, the tutorial's.
        way: A case's `preprocessing`: `transformers`; anything else is the tutorial's.

    Returns:
        One picture, float32 [1, 3, size, size], normalised.

    Raises:
        UsageError: As of `load_picture`.
    """
    transform = transformers_transform(size) if way == "transformers" else tutorial_transform(size)
    return transform(load_picture(path)).unsqueeze(0)


@dataclass(frozen=True)
class GoldenDifference:
    """How far this machine's preprocessing is from the stored one.

    `steps`: largest absolute difference in 8-bit steps after resize and crop; `share`: part of the channel values that
    differ at all, 0 to 1; `normalised`: largest absolute difference of the float tensor (one step is 0.0171 to 0.0175).
    """

    steps: int
    share: float
    normalised: float


def golden_difference(folder: Path | None = None) -> GoldenDifference:
    """Preprocess `input.png` of `folder` (by default `fixtures/golden`) and compare it with `preprocess.npz` there.

    The archive holds `crop` uint8 [224, 224, 3] and `normalised` float32 [3, 28, 28]. UsageError where either file is
    missing or of another form.
    """
    folder = folder or fixtures_folder() / "golden"
    golden = read_arrays(folder / "preprocess.npz", {"crop": "uint8", "normalised": "float32"})
    crop, normalised = golden_arrays(folder / "input.png")
    if golden["crop"].shape != crop.shape or golden["normalised"].shape != normalised.shape:
        where = folder / "preprocess.npz"
        raise UsageError("the golden arrays are of another shape", where=where, do="run scripts/make_golden.py")
    steps = np.abs(crop.astype(int) - golden["crop"].astype(int))
    values = np.abs(normalised.astype(float) - golden["normalised"].astype(float))
    return GoldenDifference(int(steps.max()), float((steps > 0).mean()), float(values.max()))


def golden_arrays(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Preprocess one picture; return it after resize and crop, uint8 [224, 224, 3], and its normalised subsample."""
    crop = np.array(resize_and_crop()(load_picture(path)), dtype=np.uint8)
    normalised = preprocess(path)[0, :, ::GOLDEN_STRIDE, ::GOLDEN_STRIDE]
    return crop, normalised.contiguous().numpy()


def digits_tensor(images: npt.NDArray[np.uint8]) -> Tensor:
    """Turn handwritten digits, uint8 [N, 8, 8] of 0 to 16, into float32 [N, 1, 8, 8] of -1 to 1.

    x = (images / 16 - 0.5) / 0.5, computed as images / 8 - 1, which is exact in float32.
    """
    import torch

    return torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32).unsqueeze(1) * (2 / DIGIT_WHITE) - 1


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with their labels: `images` uint8 [N, H, W], `labels` uint8 [N]."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


def read_labelled(path: Path) -> LabelledPictures:
    """Read an npz of `images` uint8 [N, H, W] and `labels` uint8 [N], N > 0; UsageError where it is anything else."""
    arrays = read_arrays(path, {"images": "uint8", "labels": "uint8"})
    images, labels = arrays["images"], arrays["labels"]
    if images.ndim != 3 or labels.shape != images.shape[:1] or not len(labels):
        what = f"images {list(images.shape)} and labels {list(labels.shape)} do not fit together"
        raise UsageError(what, where=path, do="give images [N, H, W] and labels [N]")
    return LabelledPictures(images, labels)


def read_arrays(path: Path, dtypes: dict[str, str]) -> dict[str, npt.NDArray[Any]]:
    """Read the named arrays of an npz without ever unpickling; UsageError for a missing one or another dtype."""
    try:
        arrays = read_npz(path, dtypes)
    except ValueError as error:
        raise UsageError(f"cannot read these arrays: {error}", where=path, do="restore the file") from None
    for name, dtype in dtypes.items():
        if arrays[name].dtype != dtype:
            raise UsageError(f"array {name!r} is {arrays[name].dtype}", where=path, do=f"store it as {dtype}")
    return arrays
