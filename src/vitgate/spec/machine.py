"""The machine type, and the installed packages that can change an outcome; needs no torch."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache
from pathlib import Path

PACKAGES = (
    *("torch", "torchvision", "timm", "numpy", "pillow", "pandas", "pytest", "pytest-xdist", "syrupy", "vitgate"),
    "transformers",  # which builds a case
    *("torchao", "executorch", "onnx", "onnxscript", "onnxruntime"),  # of the successors
)


@cache  # every settled claim asks, and looking them up takes tens of milliseconds
def packages() -> dict[str, str]:
    """Return the installed versions of the packages that can change an outcome; one dictionary, not to be changed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Return the machine type as tolerances and deviations name it: `x86_64`, `aarch64`."""
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as Linux gives it, or the platform's word for it."""
    try:
        with cpuinfo.open(encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()
