"""What each operator of the float model gives in float32, against the same operator in float64.

Every variant is held against the original: a fault in a kernel that all of them call would be seen nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vitgate.judge.metrics import sqnr, SQNR_CEILING

# What gives values that are no function of its inputs.
_RANDOM = ("empty", "rand", "bernoulli", "dropout", "new_empty", "multinomial", "normal_", "uniform_")


@dataclass(frozen=True)
class KernelError:
    """How near one operator's results in float32 are to those in float64, in dB (SQNR), at the worst of its `calls`."""

    operator: str
    sqnr: float
    calls: int


def kernel_errors(model: nn.Module, x: torch.Tensor) -> tuple[KernelError, ...]:
    """Call the model once, and each operator that it calls once more in float64 on the same inputs.

    Args:
        model: the eager float model, in evaluation mode.
        x: one picture, float32 [1, C, H, W].

    Returns:
        An entry for each operator that computes with float32, in the order of their first calls.
    """
    watcher = _Doubled()
    with torch.no_grad(), watcher:
        model(x)
    return tuple(KernelError(name, min(found), len(found)) for name, found in watcher.found.items() if found)


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Call the operator, as the model does."""
    return func(*args, **kwargs)


class _Doubled(TorchDispatchMode):
    """Runs each operator on doubled inputs before it runs on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[float]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        wanted = self._in_double(func, given)
        output = run(func, args, kwargs or {})
        if wanted is not None:
            pairs = [pair for pair in zip(_floats(output), wanted, strict=True) if pair[0].numel()]
            self.found.setdefault(func.name(), []).extend(_sqnr(exact, own) for own, exact in pairs)
        return output

    def _in_double(self, func: Any, given: Any) -> list[torch.Tensor] | None:
        """Return the results in float64; None of an operator that is random, has no float32 or knows no float64."""
        name = func.name().partition("::")[2]
        if name.startswith(_RANDOM) or not list(_floats(given)):
            return None
        args, kwargs = _doubled(given)
        try:
            return [tensor.clone() for tensor in _tensors(func(*args, **kwargs)) if tensor.dtype == torch.float64]
        except (RuntimeError, NotImplementedError, TypeError):
            return None


def _sqnr(exact: torch.Tensor, own: torch.Tensor) -> float:
    """Return the SQNR in dB; the ceiling where both are equal, zeros included, and less than any where it is none."""
    if torch.equal(own.double(), exact):
        return SQNR_CEILING
    value = sqnr(exact.numpy(), own.numpy())
    return -SQNR_CEILING if math.isnan(value) else value


def _doubled(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype == torch.float32 else value
    if isinstance(value, (tuple, list)):
        return type(value)(map(_doubled, value))
    if isinstance(value, Mapping):
        return {key: _doubled(part) for key, part in value.items()}
    return torch.float64 if value is torch.float32 else value


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))


def _floats(value: object) -> Iterator[torch.Tensor]:
    return (tensor for tensor in _tensors(value) if tensor.dtype == torch.float32)
