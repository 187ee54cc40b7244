"""Faults in transformers' own image processors: found where they are held against the suite's tensors, and there alone.

They can be seen where a case goes that way: tests/meta/test_image_processor_faults.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from vitgate.inputs import image_processor
from vitgate.observe import inputs

from ..scene import Scene
from .catalogue import fault

CASE = ("{case}",)


def _with(scene: Scene, kind: str, change: Callable[[Any], Any]) -> None:
    """Let a processor be what `change` makes of it. The other one, and the suite's own preprocessing, stay."""
    sound = image_processor.processors

    def changed(height: int, width: int) -> dict[str, Any]:
        found = sound(height, width)
        return {**found, kind: change(found[kind])}

    scene.patch.setattr(image_processor, "processors", changed)
    scene.forget(inputs.image_processor, scene.case)


def _other(**values: Any) -> Callable[[Any], Any]:
    """Return what makes a processor of the same class with other values."""
    return lambda processor: type(processor).from_dict({**processor.to_dict(), **values})


def _wrapped(name: str, wrap: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what puts `wrap` of a processor's method in its place."""

    def change(processor: Any) -> Any:
        setattr(processor, name, wrap(getattr(processor, name)))
        return processor

    return change


@fault(image_processor=CASE, says="steps against fast", step="resize")
def fast_processor_without_antialias(scene: Scene) -> None:
    """The fast processor resizes without antialias, as torchvision did of tensors by default before 0.17."""
    _with(scene, "fast", _wrapped("resize", lambda resize: partial(resize, antialias=False)))


@fault(image_processor=CASE, says="steps against fast", step="resize")
def fast_processor_resamples_otherwise(scene: Scene) -> None:
    """The fast processor takes bicubic in the place of bilinear."""
    _with(scene, "fast", _other(resample=3))


@fault(image_processor=CASE, says="steps against slow", step="resize")
def slow_processor_resamples_otherwise(scene: Scene) -> None:
    """The slow processor takes bicubic in the place of bilinear."""
    _with(scene, "slow", _other(resample=3))


@fault(image_processor=CASE, says="steps against fast", step="colour order (the channels are 3, 2, 1")
def fast_processor_exchanges_channels(scene: Scene) -> None:
    """The fast processor gives blue, green, red."""
    swapped = _wrapped("normalize", lambda normalize: lambda images, *a, **k: normalize(images.flip(-3), *a, **k))
    _with(scene, "fast", swapped)


@fault(image_processor=CASE, says="steps against slow", step="normalize (each channel is the one before times 2.18")
def slow_processor_normalizes_otherwise(scene: Scene) -> None:
    """The slow processor takes ImageNet's mean and deviation in the place of 0.5."""
    _with(scene, "slow", _other(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]))


@fault(image_processor=CASE, says="mean against fast", step="resize or normalize (transformers reads the same pixels")
def fast_processor_scales_by_256(scene: Scene) -> None:
    """The fast processor divides by 256 in the place of 255, which moves no value by more than three steps."""
    _with(scene, "fast", _other(rescale_factor=1 / 256))


@fault(image_processor=CASE, says="steps against fast", step="decode (transformers reads other pixels")
def fast_processor_ignores_orientation(scene: Scene) -> None:
    """The fast processor reads a file upside down, as that of transformers 5.6 to 5.20 read a rotation in EXIF."""

    def turned(fetch: Any) -> Any:
        def read(image: Any) -> Any:
            found = fetch(image)
            if not isinstance(image, str):  # it is read already, and the processor asks again
                return found
            return found.flip(-2) if hasattr(found, "flip") else found.transpose(1)

        return read

    _with(scene, "fast", _wrapped("fetch_images", turned))


@fault(image_processor=CASE, stage="image_processor", says="the fast one")
def fast_processor_raises(scene: Scene) -> None:
    """The fast processor does not fit this torchvision."""

    def broken(_: Any) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist")

    _with(scene, "fast", _wrapped("resize", lambda resize: broken))


@fault(image_processor=CASE, stage="image_processor", says="has no ViTImageProcessor")
def image_processors_are_gone(scene: Scene) -> None:
    """transformers has neither processor any more."""
    scene.patch.setattr(image_processor, "processors", lambda height, width: {})
    scene.forget(inputs.image_processor, scene.case)
