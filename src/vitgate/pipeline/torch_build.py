"""What identifies the PyTorch build that is installed."""

from __future__ import annotations

import hashlib
from typing import Any


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
