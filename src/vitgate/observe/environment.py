"""Which PyTorch this is and on which machine: the part of a record that says what its numbers are about."""

from __future__ import annotations

import os
import platform
from typing import Any

from vitgate.files.errors import MachineError
from vitgate.pipeline.torch_build import torch_build
from vitgate.spec.machine import cpu_model, machine, packages


def check_imports() -> None:
    """Import torch, torchvision and timm; MachineError in one line where they do not fit each other."""
    try:
        import timm  # noqa: F401  # likewise
        import torch
        import torchvision  # noqa: F401  # imported for its check against torch
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        versions = ", ".join(
            f"{name} {version}" for name, version in packages().items() if name.startswith(("torch", "timm"))
        )
        raise MachineError(
            f"the packages do not import together: {str(error).splitlines()[0]}",
            where=versions,
            do="install torch and torchvision together from one index",
        ) from None
    del torch


def describe() -> dict[str, Any]:
    """Return the environment part of a record; imports torch."""
    return {
        **torch_build(),
        "packages": packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": machine(),
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
    }
