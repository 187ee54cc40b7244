"""Which PyTorch this is and on which machine: the part of a record that says what its numbers are about."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import Any

from vitgate.files.errors import MachineError
from vitgate.spec.machine import machine, packages


def cpu_model() -> str:
    """Return the processor's name as Linux gives it, or the platform's word for it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()


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


def torch_build() -> dict[str, Any]:
    """Return what identifies the PyTorch build: version, commit, a digest of its configuration, CPU capability."""
    import torch

    configuration = torch.__config__.show()
    capability = getattr(torch.backends.cpu, "get_cpu_capability", None) if hasattr(torch.backends, "cpu") else None
    return {
        "torch": torch.__version__,
        "commit": torch.version.git_version,
        "configuration": configuration,
        "configuration_digest": hashlib.sha256(configuration.encode()).hexdigest()[:16],
        "cpu_capability": capability() if capability else _capability_from(configuration),
        "engines": [name for name in torch.backends.quantized.supported_engines if name != "none"],
        "xnnpack": bool(_xnnpack_enabled()),
    }


def _capability_from(configuration: str) -> str:
    lines = [line.split("CPU capability usage:")[1].strip() for line in configuration.splitlines() if "usage:" in line]
    return lines[0] if lines else "unknown"


def _xnnpack_enabled() -> bool:
    try:
        import torch.backends.xnnpack as xnnpack
    except ImportError:
        return False
    return bool(xnnpack.enabled)  # type: ignore[attr-defined]  # torch adds it when the module is imported


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
