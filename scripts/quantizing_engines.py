"""Print which quantized engines this PyTorch lists, which is its default, and with which it can quantize a Linear.

arm/bin/python scripts/quantizing_engines.py
"""

from __future__ import annotations

import warnings

import torch
from torch import nn


def quantizes(engine: str) -> bool:
    """Whether a Linear can be quantized for the engine and called."""
    torch.backends.quantized.engine = engine
    try:
        model = torch.quantization.quantize_dynamic(nn.Sequential(nn.Linear(64, 64)), {nn.Linear}, dtype=torch.qint8)
        model(torch.ones(2, 64))
    except RuntimeError:
        return False
    return True


def main() -> None:
    """Print one row of a Markdown table: release, listed, default, quantizes."""
    warnings.simplefilter("ignore")
    default = torch.backends.quantized.engine
    listed = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    works = [name for name in listed if quantizes(name)]
    version = torch.__version__.partition("+")[0]
    print(f"| {version} | {', '.join(listed)} | {default} | {', '.join(works)} |")


if __name__ == "__main__":
    main()
