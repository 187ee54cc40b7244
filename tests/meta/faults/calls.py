"""Faults of the calls that the tutorial makes: they no longer bind, are gone, or announce their end."""

from __future__ import annotations

import warnings
from typing import Any

from vitgate.observe.environment import tutorial_call

from ..scene import Scene
from .catalogue import fault


@fault(calls=("image_open",), says="TypeError")
def call_no_longer_binds(scene: Scene) -> None:
    """A release takes an argument by keyword only."""
    from PIL import Image

    scene.patch.setattr(Image, "open", lambda *, path: None)
    scene.forget(tutorial_call, "image_open")


@fault(calls=("imagenet_mean",), says="AttributeError")
def name_removed(scene: Scene) -> None:
    """A release has renamed a constant that the tutorial imports."""
    import timm.data.constants

    scene.patch.delattr(timm.data.constants, "IMAGENET_DEFAULT_MEAN")
    scene.forget(tutorial_call, "imagenet_mean")


@fault(warnings=("image_open",))
def new_warning(scene: Scene) -> None:
    """A release announces the end of a call that works for now."""
    from PIL import Image

    real = Image.open

    def opened(*args: Any) -> Any:
        warnings.warn("open will be removed", DeprecationWarning, stacklevel=2)
        return real(*args)

    scene.patch.setattr(Image, "open", opened)
    scene.forget(tutorial_call, "image_open")
