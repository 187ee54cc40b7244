"""Loading a variant with the runtime that its users have, and calling it: eager, TorchScript, lite interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from vitgate.build.stages import stage
from vitgate.variants import Runtime

Runnable = Callable[[torch.Tensor], torch.Tensor]


def load(runtime: Runtime, path: str) -> Runnable:
    """Load a file (not `eager`, which has none); whatever goes wrong is the outcome `failed at load`."""
    with stage("load"):
        if runtime == "lite_interpreter":
            from torch.jit.mobile import _load_for_lite_interpreter

            return _checked(_load_for_lite_interpreter(path))
        return _checked(torch.jit.load(path))


def _checked(module: Any) -> Runnable:
    """Wrap a module so that a call that fails is the outcome `failed at run`."""

    def run(x: torch.Tensor) -> torch.Tensor:
        with stage("run"), torch.no_grad():
            output: torch.Tensor = module(x)
        return output

    return run


def eager(model: torch.nn.Module) -> Runnable:
    """Make the eager model a runnable like the others."""
    return _checked(model)
