"""Faults on the way from a picture to a tensor: each must be found there, before anyone looks at the model."""

from __future__ import annotations

from typing import Any

from vitgate.inputs import preprocess
from vitgate.inputs.picture_files import load_picture
from vitgate.observe.inputs import golden

from ..harness import Scene
from .catalogue import fault

CLAIM = ("test_preprocessing",)


def _instead(scene: Scene, name: str, value: Any) -> None:
    """Put `value` in the place of what the preprocessing calls by that name."""
    scene.patch.setattr(preprocess, name, value)
    scene.forget(golden)


def _steps(*steps: Any) -> Any:
    from torchvision import transforms

    return lambda size=preprocess.CROP: transforms.Compose(steps)


@fault(preprocessing=CLAIM, says="steps")
def another_interpolation(scene: Scene) -> None:
    """The picture library resizes in another way."""
    from torchvision import transforms

    bilinear = transforms.InterpolationMode.BILINEAR
    resize = transforms.Resize(preprocess.RESIZE, interpolation=bilinear)
    _instead(scene, "resize_and_crop", _steps(resize, transforms.CenterCrop(preprocess.CROP)))


@fault(preprocessing=CLAIM, says="steps")
def crop_off_by_one(scene: Scene) -> None:
    """The crop starts one pixel further right."""
    from torchvision.transforms import functional

    sound = preprocess.resize_and_crop()
    real = functional.center_crop
    scene.patch.setattr(functional, "center_crop", lambda image, size: real(image.transform(
        image.size, 0, (1, 0, 1, 0, 1, 0)), size))  # fmt: skip
    _instead(scene, "resize_and_crop", lambda size=preprocess.CROP: sound)


@fault(preprocessing=CLAIM, says="steps")
def another_size_before_the_crop(scene: Scene) -> None:
    """The picture is made 248 pixels high before the crop, timm's own ratio of 0.9."""
    _instead(scene, "RESIZE", 248)


@fault(preprocessing=CLAIM, says="steps")
def colours_in_another_order(scene: Scene) -> None:
    """Pictures are read as blue, green, red."""
    from PIL import Image

    real = load_picture
    _instead(scene, "load_picture", lambda path: Image.merge("RGB", real(path).split()[::-1]))


def _transform(scene: Scene, *steps: Any) -> None:
    _instead(scene, "tutorial_transform", _steps(preprocess.resize_and_crop(), *steps))


@fault(preprocessing=CLAIM, says="difference")
def not_normalised(scene: Scene) -> None:
    """Mean and standard deviation are never applied."""
    from torchvision import transforms

    _transform(scene, transforms.ToTensor())


@fault(preprocessing=CLAIM, says="difference")
def normalised_by_halves(scene: Scene) -> None:
    """Mean and standard deviation are 0.5, as other Vision Transformers have them."""
    from torchvision import transforms

    _transform(scene, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3))


@fault(preprocessing=CLAIM, says="difference")
def values_up_to_255(scene: Scene) -> None:
    """Values are not brought to full scale before they are normalised."""
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from torchvision import transforms

    whole = transforms.Lambda(lambda image: transforms.functional.pil_to_tensor(image).float())
    _transform(scene, whole, transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
