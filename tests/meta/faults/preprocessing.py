"""Faults on the way from a picture to a tensor: each must be found there, before anyone looks at the model.

They are found in the suite's own golden picture, and in the golden inputs of a user's case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vitgate.inputs import golden_inputs, preprocess
from vitgate.inputs.picture_files import load_picture
from vitgate.observe.inputs import golden, pictures

from ..baseline import OWN_CASE
from ..scene import Scene
from .catalogue import fault

CLAIM = ("test_preprocessing",)
OWN = ("{case}",)


def _instead(scene: Scene, name: str, value: Any) -> None:
    """Put `value` in the place of what the preprocessing calls by that name."""
    scene.patch.setattr(preprocess, name, value)
    scene.forget(golden)
    if scene.case == OWN_CASE:  # whose tensors alone are made anew: what the model made of the old ones stays
        scene.forget(pictures, scene.case)


def _steps(make: Callable[[int], list[Any]]) -> Any:
    """Return what makes the transform of a size from the steps for that size."""
    from torchvision import transforms

    return lambda size=preprocess.CROP: transforms.Compose(make(size))


def _short(size: int) -> int:
    return preprocess.RESIZE * size // preprocess.CROP


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="resize")
def another_interpolation(scene: Scene) -> None:
    """The picture library resizes in another way."""
    from torchvision import transforms

    bilinear = transforms.InterpolationMode.BILINEAR
    _instead(
        scene,
        "resize_and_crop",
        _steps(lambda size: [transforms.Resize(_short(size), interpolation=bilinear), transforms.CenterCrop(size)]),
    )


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="resize")
def resize_without_antialias(scene: Scene) -> None:
    """The resize takes the nearest pixels alone, as torchvision's did of tensors before 0.17."""
    from torchvision import transforms

    def steps(size: int) -> list[Any]:
        bicubic = transforms.InterpolationMode.BICUBIC
        resize = transforms.Resize(_short(size), interpolation=bicubic, antialias=False)
        return [transforms.PILToTensor(), resize, transforms.ToPILImage(), transforms.CenterCrop(size)]

    _instead(scene, "resize_and_crop", _steps(steps))


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="crop")
def crop_off_by_one(scene: Scene) -> None:
    """The crop starts one pixel further right."""
    from torchvision.transforms import functional

    sound, real = preprocess.resize_and_crop, functional.center_crop
    scene.patch.setattr(functional, "center_crop", lambda image, size: real(image.transform(
        image.size, 0, (1, 0, 1, 0, 1, 0)), size))  # fmt: skip
    _instead(scene, "resize_and_crop", lambda size=preprocess.CROP: sound(size))


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="resize or crop (Pillow reads the same pixels")
def another_size_before_the_crop(scene: Scene) -> None:
    """The picture is made 248 pixels high before the crop, timm's own ratio of 0.9."""
    _instead(scene, "RESIZE", 248)


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="colour order (the channels are 3, 2, 1")
def colours_in_another_order(scene: Scene) -> None:
    """Pictures are read as blue, green, red."""
    from PIL import Image

    real = load_picture
    _instead(scene, "load_picture", lambda path: Image.merge("RGB", real(path).split()[::-1]))


@fault(preprocessing=CLAIM, inputs=OWN, says="steps", step="decode (Pillow reads other pixels")
def another_decoder(scene: Scene) -> None:
    """The picture library decodes the same file three levels brighter."""
    scene.patch.setattr(golden_inputs, "load_picture", _brighter)
    _instead(scene, "load_picture", _brighter)


def _brighter(path: Any) -> Any:
    return load_picture(path).point(lambda value: min(value + 3, 255))


def _transform(scene: Scene, *steps: Any) -> None:
    sound = preprocess.resize_and_crop
    _instead(scene, "tutorial_transform", _steps(lambda size: [sound(size), *steps]))


@fault(preprocessing=CLAIM, inputs=OWN, says="difference", step="normalize")
def not_normalised(scene: Scene) -> None:
    """Mean and standard deviation are never applied."""
    from torchvision import transforms

    _transform(scene, transforms.ToTensor())


@fault(preprocessing=CLAIM, inputs=OWN, says="difference", step="normalize")
def normalised_by_halves(scene: Scene) -> None:
    """Mean and standard deviation are 0.5, as other Vision Transformers have them."""
    from torchvision import transforms

    _transform(scene, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3))


@fault(preprocessing=CLAIM, inputs=OWN, says="difference", step="normalize")
def values_up_to_255(scene: Scene) -> None:
    """Values are not brought to full scale before they are normalised."""
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from torchvision import transforms

    whole = transforms.Lambda(lambda image: transforms.functional.pil_to_tensor(image).float())
    _transform(scene, whole, transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
