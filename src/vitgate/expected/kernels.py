"""What each operator of the float model gives in float32, against the same operator in float64.

Every variant is held against the original: a fault in a kernel that all of them call would be seen nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from vitgate.expected.tensors import nearness, tensors_in

# What gives values that are no function of its inputs.
_RANDOM = ("empty", "rand", "bernoulli", "dropout", "new_empty", "multinomial", "normal_", "uniform_")
_FLOATS = (torch.float32, torch.float64)  # of a result, and of what it is held against


@dataclass(frozen=True)
class KernelError:
    """How near one operator's results in float32 are to those in float64, in dB (SQNR), at the worst of its `calls`.

    None and 0 of an operator that knows no float64.
    """

    operator: str
    sqnr: float | None
    calls: int


def kernel_errors(model: nn.Module, x: torch.Tensor) -> tuple[KernelError, ...]:
    """Call the model once, and each operator that it calls once more in float64 on the same inputs.

    Args:
        model: The eager float model, in evaluation mode.
        x: One picture, float32 [1, C, H, W].

    Returns:
        An entry for each operator that computes with float32, in the order of their first calls, then those unchecked.
    """
    watcher = _Doubled()
    with torch.no_grad(), watcher:
        model(x)
    checked = [KernelError(name, min(found), len(found)) for name, found in watcher.found.items()]
    return (*checked, *(KernelError(name, None, 0) for name in sorted(watcher.unchecked - {*watcher.found})))


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Call the operator, as the model does.

    Args:
        func: The overload that is dispatched.
        args: Its positional arguments.
        kwargs: Its named ones.
    """
    return func(*args, **kwargs)


class _Doubled(TorchDispatchMode):
    """Runs each operator on doubled inputs before it runs on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[float]] = {}
        self.unchecked: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        exact = self._in_double(func, given)
        output = run(func, *given)
        pairs = zip(_results(func, output), exact, strict=True) if exact is not None else ()
        floats = [(own, wanted) for own, wanted in pairs if (own.dtype, wanted.dtype) == _FLOATS and own.numel()]
        if floats:
            self.found.setdefault(func.name(), []).extend(nearness(wanted, own) for own, wanted in floats)
        return output

    def _in_double(self, func: Any, given: Any) -> list[torch.Tensor] | None:
        """Return the results in float64; None of one that is random, has no float32, views or knows no float64."""
        name = func.name().partition("::")[2]
        if name.startswith(_RANDOM) or torch.float32 not in {tensor.dtype for tensor in tensors_in(given)}:
            return None
        if _views(func):
            return None
        args, kwargs = tree_map(_doubled, given)
        try:
            return [tensor.clone() for tensor in _results(func, func(*args, **kwargs))]
        except (RuntimeError, NotImplementedError, TypeError):  # not every operator knows float64
            self.unchecked.add(func.name())
            return None


def _results(func: Any, output: Any) -> list[torch.Tensor]:
    """Return the results; of attention the first, since the others serve a backward pass and need not be set.

    Those of torch 2.2 are whatever the memory held.
    """
    first = "attention" in func.name() and len(func._schema.returns) > 1
    return tensors_in(output[0] if first else output)


def _views(func: Any) -> bool:
    """Whether the operator only looks at what it is given: by strides that its copy in float64 may not have."""
    aliases = [result.alias_info for result in func._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)


def _doubled(value: object) -> object:
    """Return a tensor of float32 in float64, and any other as a copy: an operator may write into what it is given."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype == torch.float32 else value.clone()
    return torch.float64 if value is torch.float32 else value
