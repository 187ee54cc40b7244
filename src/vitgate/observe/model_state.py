"""What a saved file of a model should hold: its tensors, in the order of use, and what is computed from them alone.

A frozen file keeps what a call reads, and keeps it as computed: a table that is gathered by an index, a convolution
with the batch norm after it folded in. Which tensors those are is seen by watching one call of the eager model.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vitgate.expected.tensors import tensors_in
from vitgate.observe.linear_layers import Layer

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor of the model, named by `sources`, or one that a call computes from `sources` alone (`computed`).

    One that is not `exact` is expected to rounding: the libraries that fold do so in an order of their own. One that
    `is_view` has no memory of its own.
    """

    tensor: torch.Tensor
    sources: frozenset[str]
    computed: bool = True
    exact: bool = True
    is_view: bool = False


@dataclass(frozen=True)
class ModelState:
    """The tensors of a model, and what one call does with them.

    `tensors` holds every parameter and buffer, persistent or not, by each of its names: first those that the call
    reads, in the order of their first use, then the others. `linears` names every plain `nn.Linear`, which is what
    dynamic quantization converts, in the same order. `used` names the tensors that the call reads. `computed` are the
    tensors that are computed from those alone.
    """

    tensors: Tensors
    linears: tuple[str, ...]
    used: frozenset[str]
    computed: tuple[Constant, ...] = ()

    def layer(self, name: str) -> Layer:
        """Return weight and bias of a Linear."""
        return Layer(self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"))

    def constants(self) -> list[Constant]:
        """Return what a graph may hold: the model's own tensors in their order, then what is computed from them."""
        own = [Constant(tensor, frozenset({name}), computed=False) for name, tensor in self.tensors.items()]
        return [*own, *self.computed]

    def contents(self) -> list[torch.Tensor]:
        """Return every tensor that a file may hold in memory of its own."""
        return [*self.tensors.values(), *(each.tensor for each in self.computed if not each.is_view)]

    @property
    def used_linears(self) -> tuple[str, ...]:
        """The Linears whose weights the call reads."""
        return tuple(name for name in self.linears if f"{name}.weight" in self.used)


def model_state(model: nn.Module, x: torch.Tensor) -> ModelState:
    """Watch one call of the eager model with `x`, float32 [1, C, H, W]. Raises what the model raises."""
    tensors = named_tensors(model)
    watcher = _Watcher(tensors, _plain_attributes(model))
    with torch.no_grad(), watcher:
        model(x)
    order = [*watcher.used, *(name for name in tensors if name not in watcher.used)]
    plain = {name for name, module in model.named_modules(remove_duplicate=False) if type(module) is nn.Linear}
    owners = dict.fromkeys(name.rpartition(".")[0] for name in order)
    return ModelState(
        tensors={name: tensors[name] for name in order},
        linears=tuple(name for name in owners if name in plain),  # no subclass is quantized
        used=frozenset(watcher.used),
        computed=tuple(watcher.computed),
    )


def _plain_attributes(model: nn.Module) -> list[torch.Tensor]:
    """Return the tensors that a module has as plain attributes, neither parameters nor buffers."""
    values = (value for module in model.modules() for value in vars(module).values())
    return [value.detach() for value in values if isinstance(value, torch.Tensor)]


def named_tensors(model: nn.Module) -> Tensors:
    """Return every parameter and buffer by each of its names; a shared one has several."""
    modules = dict(model.named_modules(remove_duplicate=False))
    return {
        f"{prefix}.{name}".lstrip("."): tensor.detach()
        for prefix, module in modules.items()
        for own in (module._parameters, module._buffers)
        for name, tensor in own.items()
        if tensor is not None
    }


class _Memory:
    """Which tensors of the model a piece of memory was computed from: pieces by address, each kept so that it lives.

    By address and not by storage: the tensors of a checkpoint that is mapped into memory share one storage.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: dict[int, tuple[torch.Tensor, frozenset[str]]] = {}

    def add(self, tensor: torch.Tensor, sources: frozenset[str]) -> None:
        """Keep the tensor; one that lies in memory that is kept already adds its sources."""
        start = self._start(tensor)
        if start is not None:
            kept, earlier = self._pieces[start]
            self._pieces[start] = kept, earlier | sources
        elif tensor.numel():
            insort(self._starts, tensor.data_ptr())
            self._pieces[tensor.data_ptr()] = tensor, sources

    def forget(self, tensor: torch.Tensor) -> None:
        """Drop the piece that the tensor lies in: it was written into."""
        start = self._start(tensor)
        if start is not None:
            self._starts.remove(start)
            del self._pieces[start]

    def sources(self, tensor: torch.Tensor) -> frozenset[str] | None:
        """Return what the tensor was computed from; None where it depends on the picture."""
        if not tensor.numel():
            return frozenset()
        start = self._start(tensor)
        return None if start is None else self._pieces[start][1]

    def _start(self, tensor: torch.Tensor) -> int | None:
        index = bisect_right(self._starts, tensor.data_ptr()) - 1
        if index < 0:
            return None
        piece = self._pieces[self._starts[index]][0]
        end = self._starts[index] + piece.numel() * piece.element_size()
        return self._starts[index] if tensor.data_ptr() < end else None


@dataclass(frozen=True)
class _Convolution:
    """A convolution's weight and bias, by what it gave."""

    output: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None

    def folded(
        self,
        gain: torch.Tensor | None,
        shift: torch.Tensor | None,
        mean: torch.Tensor,
        variance: torch.Tensor,
        *,
        eps: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias with a batch norm folded in, computed in float64.

        Args:
            gain: [channels]; None for ones.
            shift: [channels]; None for zeros.
            mean: Running mean, [channels].
            variance: Running variance, [channels].
            eps: Added to the variance.

        Returns:
            Both in the dtype of the convolution's weight.
        """
        none = torch.zeros(())
        scale = (variance.double() + eps).rsqrt() * (none + 1 if gain is None else gain).double()
        weight = self.weight.double() * scale.reshape(-1, *[1] * (self.weight.dim() - 1))
        bias = ((none if self.bias is None else self.bias).double() - mean.double()) * scale
        bias = bias + (none if shift is None else shift).double()
        return weight.to(self.weight.dtype), bias.to(self.weight.dtype)


class _Watcher(TorchDispatchMode):
    """Notes in which order operators read the model's tensors, and what they compute from those alone."""

    def __init__(self, tensors: Tensors, nameless: list[torch.Tensor]) -> None:
        super().__init__()
        self.used: dict[str, None] = {}
        self.computed: list[Constant] = []
        self._memory = _Memory()
        self._last: _Convolution | None = None
        for name, tensor in tensors.items():
            self._memory.add(tensor, frozenset({name}))
        for tensor in nameless:
            self._compute(tensor, frozenset())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() == "aten::lift_fresh":  # a tensor that the code writes out
            self._memory.add(args[0], frozenset())
        given = [self._memory.sources(tensor) for tensor in tensors_in((args, kwargs))]
        output = func(*args, **(kwargs or {}))
        self.used.update(dict.fromkeys(name for sources in given for name in sorted(sources or ())))
        made = tensors_in(output)
        for tensor in made:
            if None in given:
                self._memory.forget(tensor)  # written into by what depends on the picture
            else:
                self._compute(tensor, frozenset().union(*(sources or () for sources in given)))
        self._fold(func.name(), args, made)
        return output

    def _compute(self, tensor: torch.Tensor, sources: frozenset[str]) -> None:
        is_view = self._memory.sources(tensor) is not None
        self._memory.add(tensor, sources)
        self.computed.append(Constant(tensor, sources, is_view=is_view))

    def _fold(self, operator: str, args: Any, made: list[torch.Tensor]) -> None:
        """Compute what a convolution's weight and bias become if the batch norm that follows it is folded in."""
        if "convolution" in operator:
            constant = self._memory.sources(args[1]) is not None
            self._last = _Convolution(made[0], args[1], args[2]) if constant else None
        elif "batch_norm" in operator and self._last is not None and args[0] is self._last.output:
            gain, shift, mean, variance = args[1:5]
            weight, bias = self._last.folded(gain, shift, mean, variance, eps=args[-1])
            parts = ((weight, (self._last.weight, gain, variance)), (bias, (self._last.bias, shift, mean)))
            for folded, own in parts:
                sources = [self._memory.sources(tensor) or () for tensor in own if tensor is not None]
                self.computed.append(Constant(folded, frozenset().union(*sources), exact=False))
