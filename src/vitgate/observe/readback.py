"""The weights as they stand in a saved file, against the original model's: was the right network saved, and well?

Logits say that something is wrong; this says which layer, and finds what logits hide (one layer left in float, weights
of 4 bits, a bias that changed). Nothing here unpickles a file itself: TorchScript's own loader does.

The engine (`torch.backends.quantized.engine`) must be the one that the file was packed for, and is the caller's to set.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vitgate.observe.arithmetic import arithmetic
from vitgate.observe.linear_layers import Layer, LinearReadback, read_layer, ReadLayers, same_bits

Bytes = npt.NDArray[np.int8]

# (first operand, weight operand) of the operators that a Linear becomes; the weight of the first two is packed.
_LINEAR_OPERATORS = {"quantized::linear_dynamic", "prepacked::linear_clamp_run", "aten::linear"}
_RECORD = re.compile(
    r"/(?:data|constants)/\d+(?:\.storage)?$"
)  # tensors in a .pt or .ptl archive, raw and uncompressed


@dataclass(frozen=True)
class Readback:
    """What a saved file holds, as plain values.

    `layers` has one entry for every name in `linears`, in that order; `surplus_layers` counts those beyond.
    `unmatched` names parameters of the original (quantized weights aside) that the file does not hold bit for bit.
    `out_of_order` names parameters that a frozen graph uses earlier than one of the same shape which the model defines
    before them; equal contents cannot be told apart, so they are taken to be in order.
    `strays` names raw tensor records of the archive that are neither a parameter nor the weights of a layer above; the
    second copy of the weights that a lite file may carry for the interpreter is among the records compared.
    `unreadable` names packed objects whose contents could not be got back; never empty silently.
    `count` is the number of original parameters compared.
    `arithmetic` counts what the graph computes beside its weights, see `vitgate.observe.arithmetic`.
    """

    layers: tuple[LinearReadback, ...]
    surplus_layers: int
    unmatched: tuple[str, ...]
    out_of_order: tuple[str, ...]
    strays: tuple[str, ...]
    unreadable: tuple[str, ...]
    count: int
    arithmetic: dict[str, int]


@dataclass
class _Stored:
    """What a file holds: Linears in order and float tensors, both named unless frozen, and objects that do not open."""

    linears: list[tuple[str, Layer]] = field(default_factory=list)
    floats: list[tuple[str, torch.Tensor]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_back(
    path: Path,
    original: Mapping[str, torch.Tensor],
    linears: Sequence[str],
    *,
    frozen: bool,
    known: ReadLayers | None = None,
) -> Readback:
    """Compare the file with the original's weights. Raises what `torch.jit.load` raises.

    Args:
        path: a `.pt` or `.ptl` file.
        original: the original's `state_dict` (float32, CPU), in the order in which the network uses it.
        linears: the dotted names of every plain `nn.Linear`, in the same order.
        frozen: the file keeps one graph with constants; otherwise modules with attributes.
        known: one dictionary for all files of the same original.
    """
    module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
    graph = executed_graph(module)
    stored = _from_graph(module, graph) if frozen else _from_modules(module, linears)
    found = dict(zip(linears, (layer for _, layer in stored.linears), strict=False)) if frozen else dict(stored.linears)
    known = {} if known is None else known
    layers = tuple(read_layer(name, found.get(name), _layer_of(original, name), known) for name in linears)
    matched, out_of_order = _match_by_content(stored, original) if frozen else (_match_by_name(stored, original), ())
    packed = {f"{layer.name}.weight" for layer in layers if layer.quantized}
    integers = [weight.int_repr() for _, (weight, _) in stored.linears if weight.is_quantized]
    return Readback(
        layers=layers,
        surplus_layers=max(0, len(stored.linears) - len(linears)),
        unmatched=tuple(name for name in original if name not in matched and name not in packed),
        out_of_order=out_of_order,
        strays=stray_records(path, [*original.values(), *integers]),
        unreadable=tuple(stored.unreadable),
        count=len(original),
        arithmetic=arithmetic(walk(graph)),
    )


def _layer_of(original: Mapping[str, torch.Tensor], name: str) -> Layer:
    return original[f"{name}.weight"], original.get(f"{name}.bias")


def in_use_order(model: nn.Module, x: torch.Tensor) -> list[str]:
    """Return the names of the model's state in the order in which a call with `x` uses them.

    A module's own tensors count where it is called; those of one that is never called, where its parent is.
    """
    called: dict[str, int] = {}
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, _: object) -> None:
        called.setdefault(names[module], len(called))

    handles = [module.register_forward_pre_hook(note) for module in names]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return sorted(model.state_dict(), key=lambda name: _called_at(name, called))  # stable: as defined within a module


def _called_at(name: str, called: Mapping[str, int]) -> int:
    owner = name.rpartition(".")[0]
    while owner and owner not in called:
        owner = owner.rpartition(".")[0]
    return called.get(owner, 0)


# What the file holds: modules with attributes, or one graph with constants.


def _from_modules(module: torch.jit.ScriptModule, linears: Sequence[str]) -> _Stored:
    stored = _Stored(floats=[*module.named_parameters(), *module.named_buffers()])
    children = dict(module.named_modules())
    plain = dict(stored.floats)
    for name in linears:
        child = children.get(name)
        packed = getattr(getattr(child, "_packed_params", None), "_packed_params", None)
        if packed is not None:
            weight, bias = torch.ops.quantized.linear_unpack(packed)
            stored.linears.append((name, (weight, bias)))
            stored.floats += [] if bias is None else [(f"{name}.bias", bias)]
        elif f"{name}.weight" in plain:
            stored.linears.append((name, _layer_of(plain, name)))
    listed = {f"{name}._packed_params" for name in linears}
    packs = [name for name in children if name.endswith("._packed_params") and name not in listed]
    stored.unreadable += [f"packed weights of {name}, no Linear of the original" for name in packs]
    return stored


def _from_graph(module: torch.jit.ScriptModule, graph: Any) -> _Stored:
    stored = _Stored()
    for node in walk(graph):
        operands = [_constant(value, module) for value in node.inputs()]
        tensors = [operand for operand in operands if isinstance(operand, torch.Tensor)]
        for operand in operands:
            if isinstance(operand, torch.ScriptObject):
                tensors += _open(operand, node.kind(), stored)
        if node.kind() in _LINEAR_OPERATORS and tensors:
            stored.linears.append(("", (tensors[0], tensors[1] if len(tensors) > 1 else None)))
        stored.floats += [("", tensor) for tensor in tensors if tensor.dtype == torch.float32]
    return stored


def _open(packed: Any, operator: str, stored: _Stored) -> list[torch.Tensor]:
    """Return weight and bias of a packed object of quantized:: or of XNNPACK; note the ones that do not open."""
    try:
        if operator.startswith("quantized::"):
            return [tensor for tensor in torch.ops.quantized.linear_unpack(packed) if tensor is not None]
        return list(_tensors_in(packed.__getstate__()))
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        stored.unreadable.append(f"{operator}: {str(error).splitlines()[0]}")
        return []


def _tensors_in(state: object) -> Iterator[torch.Tensor]:
    """Yield the tensors of an XNNPACK context's state, ((weight, bias, stride, …), type name), the weight first."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, (tuple, list)):
        for part in state:
            yield from _tensors_in(part)


def _constant(value: Any, module: torch.jit.ScriptModule) -> object:
    """Return what a graph value holds if it is a constant or an attribute of the module itself, else None."""
    node = value.node()
    if node.kind() == "prim::Constant":
        return value.toIValue()
    if node.kind() == "prim::GetAttr" and node.input().node().kind() == "prim::Param":
        return getattr(module, node.s("name"), None)
    return None


def executed_graph(module: torch.jit.ScriptModule) -> Any:
    """Return a copy of `forward`'s graph (torch.Graph) as a call with the picture alone runs it.

    Calls are inlined; inputs after the first two (self, picture) become their defaults, so that the branches which only
    an attention mask would take are gone. In such a branch the same weights stand a second time.
    """
    graph: Any = module.graph.copy()  # torch's stubs lack half of its methods
    schema: Any = getattr(module.forward, "schema")  # noqa: B009  # likewise
    torch._C._jit_pass_inline(graph)
    inputs, arguments = list(graph.inputs()), schema.arguments
    first = next(iter(graph.nodes()))
    for index in reversed(range(2, len(inputs))):
        default = graph.insertConstant(arguments[index].default_value)
        default.node().moveBefore(first)
        inputs[index].replaceAllUsesWith(default)
        graph.eraseInput(index)
    torch._C._jit_pass_constant_propagation(graph)
    torch._C._jit_pass_dce(graph)
    return graph


def walk(block: Any) -> Iterator[Any]:
    """Yield the nodes of a graph or block in order, those of nested blocks after the node that holds them."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from walk(inner)


# Parameters that stay in float.


def _match_by_name(stored: _Stored, original: Mapping[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in stored.floats if name in original and same_bits(tensor, original[name])}


def _match_by_content(stored: _Stored, original: Mapping[str, torch.Tensor]) -> tuple[set[str], tuple[str, ...]]:
    """Pair every use of a constant with the first unused parameter of the same bits; return also what is out of order.

    The order of use is compared among parameters of one shape.
    """
    left: dict[torch.Size, list[str]] = defaultdict(list)
    for name, tensor in original.items():
        left[tensor.shape].append(name)
    position = {name: index for index, name in enumerate(original)}
    last: dict[torch.Size, int] = {}
    matched, late = set(), []
    for _, tensor in stored.floats:
        same = [name for name in left[tensor.shape] if same_bits(tensor, original[name])]
        if not same:
            continue
        name = same[0]
        left[tensor.shape].remove(name)
        matched.add(name)
        if position[name] < last.get(tensor.shape, -1):
            late.append(name)
        last[tensor.shape] = max(position[name], last.get(tensor.shape, -1))
    return matched, tuple(late)


# The archive's raw records.


def stray_records(path: Path, tensors: Iterable[torch.Tensor]) -> tuple[str, ...]:
    """Return the tensor records of the archive that are none of these tensors, byte for byte."""
    known: dict[int, list[Bytes]] = defaultdict(list)
    for tensor in tensors:
        raw = tensor.detach().contiguous().numpy().reshape(-1).view(np.int8)
        known[raw.nbytes].append(raw)
    strays = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if _RECORD.search(entry.filename):
                raw = np.frombuffer(archive.read(entry), dtype=np.int8)
                if not any(_same_bytes(raw, other) for other in known[raw.nbytes]):
                    strays.append(f"{entry.filename.partition('/')[2]} ({raw.nbytes} bytes)")
    return tuple(strays)


def _same_bytes(a: Bytes, b: Bytes) -> bool:
    return a[:64].tobytes() == b[:64].tobytes() and bool(np.array_equal(a, b))
