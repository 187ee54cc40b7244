"""The arithmetic of bfloat16: every operator computes in float32 what it gives in bfloat16, 8 bits of it.

What CPU kernels do: they read bfloat16, sum in float32 and round once, at the end. Attention counts as one operator,
and so does a layer norm. It is computed with float32 tensors that hold numbers of bfloat16, so that no kernel of
bfloat16 takes part in what it is judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from vitgate.expected.tensors import tensors_in


@dataclass(frozen=True)
class Bfloat16:
    """Every operator, not the Linears alone, rounds what it reads and what it gives to bfloat16."""


def to_bfloat16(value: Any) -> Any:
    """Return a float32 tensor with its numbers rounded to bfloat16, and anything else as it is."""
    if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
        return value.to(torch.bfloat16).to(torch.float32)
    return value


@contextmanager
def rounded_operators() -> Iterator[None]:
    """Round within the block what operators of float32 are given, weights among it, and what they give, to bfloat16."""
    with _Rounding():
        yield


class _Rounding(TorchDispatchMode):
    """Rounds around each operator; one that views, or writes into what it is given, gets that itself."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aliases = [result.alias_info for result in func._schema.returns]
        if any(alias is not None and not alias.is_write for alias in aliases):
            return func(*args, **(kwargs or {}))  # a view: its numbers are rounded where they are used
        if any(alias is not None for alias in aliases):
            output = func(*args, **(kwargs or {}))
            for tensor in tensors_in(output):
                tensor.copy_(to_bfloat16(tensor))
            return output
        return tree_map(to_bfloat16, func(*tree_map(to_bfloat16, args), **tree_map(to_bfloat16, kwargs or {})))
