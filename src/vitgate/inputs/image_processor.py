"""A case's pictures as transformers' own image processors make them into tensors: the slow one and the fast one.

The suite's `transformers_transform` is a copy of what they do, and cannot tell that a new transformers resizes or reads
in another way. transformers is an optional extra and is imported only here, where a case asks for it; all that it is
told are numbers, and nothing is downloaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitgate.files.errors import VitgateError
from vitgate.files.text import reason, short
from vitgate.inputs.golden_inputs import pixels_seen
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome
from vitgate.spec.versions import packages

STAGE = "image_processor"
"""Where a claim failed for which no processor could be made, or one that was there gave no tensor."""

CONFIGURATION: dict[str, Any] = {
    "do_resize": True,
    "resample": 2,  # Pillow's number for bilinear
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""The values of `preprocessor_config.json` of google/vit-base-patch16-224, its size aside."""

_BY_TORCHVISION = "TorchvisionBackend"


def processors(height: int, width: int) -> dict[str, Any]:
    """Return the processors by kind, `slow` (Pillow) and `fast` (torchvision), as far as this transformers has them.

    Up to transformers 5.3 `ViTImageProcessor` is the slow one, and the fast one `ViTImageProcessorFast`; from 5.4 on it
    is the fast one, and the slow one `ViTImageProcessorPil`.
    """
    import transformers

    logging.getLogger("transformers").setLevel(logging.ERROR)  # its remarks on names and decoders are not the user's
    pil, plain = (getattr(transformers, name, None) for name in ("ViTImageProcessorPil", "ViTImageProcessor"))
    if pil is not None:
        classes = {"slow": pil, "fast": plain}
    elif plain is not None and _BY_TORCHVISION in [base.__name__ for base in plain.__mro__]:
        classes = {"fast": plain}
    else:
        classes = {"slow": plain, "fast": getattr(transformers, "ViTImageProcessorFast", None)}
    values = {**CONFIGURATION, "size": {"height": height, "width": width}}
    return {kind: each.from_dict(values) for kind, each in classes.items() if each is not None}


def processed(paths: Sequence[Path], shape: Sequence[int]) -> Evidence:
    """Return what each processor makes of the pictures.

    Args:
        paths: Files that `load_picture` has read, and so that are safe to decode.
        shape: Of what the model takes: channels, height, width.

    Returns:
        `slow` and `fast`, float32 [N, C, H, W], those that there are. Values: the `release` of transformers; by kind
        the name of its class (`classes`), the pixels that it reads of each file (`files`), and the names of the files
        that its own reader does not take (`unread`), which are read as transformers reads any picture.

    Raises:
        ClaimFailed: There is no processor, or one raises.
    """
    release = packages().get("transformers", "")
    made = _attempt(f"transformers {release}", processors, *shape[1:])
    if not made:
        raise _failed("AttributeError", f"transformers {release} has no ViTImageProcessor")
    found: dict[str, Any] = {"classes": {}, "files": {}, "unread": {}}
    arrays = {}
    for kind, processor in made.items():
        name = found["classes"][kind] = type(processor).__name__
        who = f"the {kind} one, {name} of transformers {release}"
        arrays[kind], found["files"][kind], found["unread"][kind] = _attempt(who, _run, processor, paths)
    return Evidence({"release": release, **found}, arrays)


def _run(processor: Any, paths: Sequence[Path]) -> tuple[npt.NDArray[np.float32], list[dict[str, Any]], list[str]]:
    tensors, files, unread = [], [], []
    for path in paths:
        image, taken = _read(processor, path)
        if not taken:
            unread.append(path.name)
        rgb = image.permute(1, 2, 0).numpy() if hasattr(image, "permute") else np.asarray(image)
        files.append({**dict(pixels_seen(rgb)), "reader": "transformers"})
        tensors.append(np.asarray(processor(image, return_tensors="pt")["pixel_values"], np.float32))
    return np.concatenate(tensors), files, unread


def _read(processor: Any, path: Path) -> tuple[Any, bool]:
    """Return the picture as the processor reads a file (the fast one from 5.6 on by torchvision), and whether it did.

    4.52 takes addresses alone; torchvision takes fewer formats than Pillow, and reads all pictures of an animation.
    """
    with suppress(Exception):  # of whichever reader it has; what follows reads any picture
        image = processor.fetch_images(str(path))
        if getattr(image, "ndim", 3) == 3:
            return image, True
    from transformers.image_utils import load_image

    return load_image(str(path)), False


def _attempt(who: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call; whatever it raises becomes the outcome `failed at image_processor`, which says who raised it."""
    try:
        return call(*arguments)
    except (VitgateError, MemoryError):
        raise
    except Exception as error:  # of a library that does not fit this torch, torchvision or Pillow
        raise _failed(type(error).__name__, f"{who}: {short(reason(error))}") from error


def _failed(error: str, message: str) -> ClaimFailed:
    return ClaimFailed(Outcome("failed at", STAGE, error, message))
