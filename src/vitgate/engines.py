"""The quantized engines of PyTorch that the suite knows, in the order in which tables show them."""

from __future__ import annotations

from typing import get_args, Literal

from vitgate.errors import UsageError

Engine = Literal["fbgemm", "x86", "onednn", "qnnpack"]

ENGINES: tuple[Engine, ...] = get_args(Engine)


def engine_named(name: str) -> Engine:
    """Return the engine of that exact name; UsageError names the known ones."""
    for engine in ENGINES:
        if engine == name:
            return engine
    raise UsageError(f"unknown engine {name!r}", where="--engine", do=f"choose from {', '.join(ENGINES)}")
