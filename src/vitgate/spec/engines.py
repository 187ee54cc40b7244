"""The quantized engines of PyTorch that the suite knows, in the order in which tables show them.

What needs none of them, the successors of TorchScript, stands under PyTorch's own word for that, `none`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from vitgate.files.errors import UsageError

Engine = Literal["fbgemm", "x86", "onednn", "qnnpack", "none"]

ENGINES: tuple[Engine, ...] = ("fbgemm", "x86", "onednn", "qnnpack")
NO_ENGINE: Engine = "none"

ACTIVATION_BITS: dict[Engine, int] = {"fbgemm": 7, "x86": 7, "onednn": 7, "qnnpack": 8}
"""Bits of an activation in dynamic int8: the first three reduce the range, so that sums of products fit 16 bits."""
EVERY_ENGINE: tuple[Engine, ...] = (*ENGINES, NO_ENGINE)

_MOST_USUAL: tuple[Engine, ...] = ("x86", "fbgemm", "qnnpack", "onednn")  # in the order in which PyTorch prefers them
# PyTorch's own order there, without fbgemm and x86: it lists both since 2.11, cannot quantize with the first, and with
# the second only since 2.14.
_MOST_USUAL_OF_ARM: tuple[Engine, ...] = ("onednn", "qnnpack")


def engine_named(name: str) -> Engine:
    """Return the engine of that exact name; UsageError names the known ones."""
    for engine in EVERY_ENGINE:
        if engine == name:
            return engine
    raise UsageError(f"unknown engine {name!r}", where="--engine", do=f"choose from {', '.join(EVERY_ENGINE)}")


def usual_engine(supported: Collection[str], machine: str) -> Engine:
    """Return the engine under which users of a build with these engines quantize; `none` where it has no engine."""
    order = _MOST_USUAL_OF_ARM if machine == "aarch64" else _MOST_USUAL
    return next((engine for engine in order if engine in supported), NO_ENGINE)
