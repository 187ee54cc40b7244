"""What identifies the PyTorch build that is installed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from vitgate.spec.processors import UNSAID

_FBGEMM_SETS = ("ANY", "AVX2", "AVX512", "AVX512_YMM", "AVX512_VNNI", "AVX512_VNNI_YMM", "SVE")
"""FBGEMM's `inst_set_t` by number (fbgemm/Utils.h)."""

_FBGEMM_SET = "_ZN6fbgemm20fbgemmInstructionSetEv"  # inst_set_t fbgemm::fbgemmInstructionSet()


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


@cache
def kernels_taken() -> dict[str, str]:
    """Return which instructions ATen, oneDNN and FBGEMM take, each in its own words; `unknown` where one does not say.

    oneDNN says so on the standard output, once in a process.
    """
    return {"ATen": str(torch_build()["cpu_capability"]), "oneDNN": _onednn_takes(), "FBGEMM": _fbgemm_takes()}


def _onednn_takes() -> str:
    import torch

    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        libc, before = ctypes.CDLL(None), os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(1):
                torch.zeros(1, 1, 8, 8).to_mkldnn()
            libc.fflush(None)
        except RuntimeError:  # a build without oneDNN
            return UNSAID
        finally:
            os.dup2(before, 1)
            os.close(before)
        file.seek(0)
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.partition(",cpu,isa:")[2] for line in lines if ",cpu,isa:" in line]
    return said[0] if said else UNSAID


def _fbgemm_takes() -> str:
    import torch

    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        number = int(library[_FBGEMM_SET]())
    except (OSError, AttributeError):  # another system's name for it, or a build without FBGEMM
        return UNSAID
    return _FBGEMM_SETS[number] if 0 <= number < len(_FBGEMM_SETS) else UNSAID


def _capability_from(configuration: str) -> str:
    lines = [line.split("CPU capability usage:")[1].strip() for line in configuration.splitlines() if "usage:" in line]
    return lines[0] if lines else "unknown"


def _xnnpack_enabled() -> bool:
    try:
        import torch.backends.xnnpack as xnnpack
    except ImportError:
        return False
    return bool(xnnpack.enabled)  # type: ignore[attr-defined]  # torch adds it when the module is imported
