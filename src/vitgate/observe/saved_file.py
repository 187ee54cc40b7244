"""What a TorchScript file holds: its Linears, its float tensors, its graph and the raw records of its archive.

Nothing here unpickles a file itself: TorchScript's own loader does.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vitgate.expected.tensors import tensors_in
from vitgate.observe.linear_layers import Layer

Bytes = npt.NDArray[np.int8]

# The weight is the second input of the operators that a Linear becomes; that of the first two is packed.
_LINEAR_OPERATORS = {"quantized::linear_dynamic", "prepacked::linear_clamp_run", "aten::linear"}
# Tensors in a .pt or .ptl archive, raw and uncompressed.
_RECORD = re.compile(r"/(?:data|constants)/\d+(?:\.storage)?$")
# All else that TorchScript writes (torch/csrc/jit/serialization/export_module.cpp, caffe2/serialize).
_REST = re.compile(
    r"/(?:code/.+\.py(?:\.debug_pkl)?|(?:data|constants|bytecode|mobile_debug_handles|traced_inputs)\.pkl"
    r"|traced_inputs/\d+|version|byteorder|\.data/(?:version|serialization_id)|\.format_version|\.storage_alignment)$"
)


@dataclass
class Stored:
    """What a file holds: Linears in order and other tensors, both named unless frozen, and objects that do not open."""

    linears: list[tuple[str, Layer]] = field(default_factory=list)
    others: list[tuple[str, torch.Tensor]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def from_modules(module: torch.jit.ScriptModule, linears: Sequence[str]) -> Stored:
    """Return what the modules of a file hold that is not frozen; `linears` are the names to look for."""
    children = dict(module.named_modules())
    stored = Stored(others=[pair for prefix, child in children.items() for pair in _own_tensors(prefix, child)])
    plain = dict(stored.others)
    for name in linears:
        child = children.get(name)
        packed = getattr(getattr(child, "_packed_params", None), "_packed_params", None)
        if packed is not None:
            weight, bias = torch.ops.quantized.linear_unpack(packed)
            stored.linears.append((name, Layer(weight, bias, child)))
            stored.others += [] if bias is None else [(f"{name}.bias", bias)]
        elif f"{name}.weight" in plain:
            stored.linears.append((name, Layer(plain[f"{name}.weight"], plain.get(f"{name}.bias"), child)))
    listed = {f"{name}._packed_params" for name in linears}
    packs = [name for name in children if name.endswith("._packed_params") and name not in listed]
    stored.unreadable += [f"packed weights of {name}, no Linear of the original" for name in packs]
    return stored


def _own_tensors(prefix: str, module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the module's own tensors by their full names; a tensor that two modules share has two."""
    for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        yield f"{prefix}.{name}".lstrip("."), tensor


def from_graph(module: torch.jit.ScriptModule, graph: Any) -> Stored:
    """Return what a frozen file's graph uses, each constant once, in the order of first use."""
    stored = Stored()
    seen: set[object] = set()
    for node in walk(graph):
        opened = [_contents(value, module, stored) for value in node.inputs()]
        if node.kind() in _LINEAR_OPERATORS and opened[1]:
            parts = [tensor for operand in opened[1:] for tensor in operand]
            call = _kernel(node, [_constant(value, module) for value in node.inputs()])
            stored.linears.append(("", Layer(parts[0], parts[1] if len(parts) > 1 else None, call)))
        for value, tensors in zip(node.inputs(), opened, strict=True):
            fresh = [tensor for tensor in tensors if not {_place(tensor), value.debugName()} & seen]
            stored.others += [("", tensor) for tensor in fresh if not tensor.is_quantized]
            seen |= {value.debugName(), *map(_place, tensors)} if tensors else set()
    return stored


def _kernel(node: Any, constants: list[object]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what calls the node's operator with its constants and another first input."""
    space, _, name = node.kind().partition("::")
    operator = getattr(getattr(torch.ops, space), name)
    return lambda x: operator(x, *constants[1:])


def _place(tensor: torch.Tensor) -> object:
    return None if tensor.is_quantized else (tensor.data_ptr(), tensor.shape, tensor.stride())


def _contents(value: Any, module: torch.jit.ScriptModule, stored: Stored) -> list[torch.Tensor]:
    """Return the tensors of a graph value that is a constant; of a packed object the weight first, then the bias."""
    constant = _constant(value, module)
    if isinstance(constant, torch.ScriptObject):
        return _open(constant, str(value.type()), stored)
    return tensors_in(constant)


def _open(packed: Any, name: str, stored: Stored) -> list[torch.Tensor]:
    """Return weight and bias of a packed object of that class, quantized:: or XNNPACK; note what does not open."""
    try:
        if name.endswith("LinearPackedParamsBase"):
            return [tensor for tensor in torch.ops.quantized.linear_unpack(packed) if tensor is not None]
        return tensors_in(packed.__getstate__())  # of XNNPACK: ((weight, bias, …), type name)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        stored.unreadable.append(f"{name.rpartition('.')[2]}: {str(error).splitlines()[0]}")
        return []


def _constant(value: Any, module: torch.jit.ScriptModule) -> object:
    """Return what a graph value holds if it is a constant or an attribute that freezing kept, else None."""
    node = value.node()
    if node.kind() == "prim::Constant":
        return value.toIValue()
    if node.kind() == "prim::GetAttr":
        owner = node.input()
        return getattr(
            module if owner.node().kind() == "prim::Param" else _constant(owner, module), node.s("name"), None
        )
    return None


def executed_graph(module: torch.jit.ScriptModule) -> Any:
    """Return a copy of `forward`'s graph (torch.Graph) as a call with the picture alone runs it.

    Calls are inlined; inputs after the first two (self, picture) become their defaults, so that the branches which only
    an attention mask would take are gone. In such a branch the same weights stand a second time. What the call computes
    from constants stays a computation, since the file holds its operands.
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
    torch._C._jit_pass_constant_propagation_immutable_types(graph)  # type: ignore[attr-defined]  # not in the stubs
    torch._C._jit_pass_dce(graph)
    return graph


def walk(block: Any) -> Iterator[Any]:
    """Yield the nodes of a graph or block in order, those of nested blocks after the node that holds them."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from walk(inner)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return all elements of the memory that the tensor is a view of, in one row."""
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()._untyped()
    return torch.empty(0, dtype=tensor.dtype).set_(storage)


def operators(module: torch.jit.ScriptModule) -> set[str]:
    """Return the operators that `forward` calls in any of its branches, with overloads: `aten::add.Tensor`."""
    graph: Any = module.graph.copy()  # torch's stubs lack half of its methods
    torch._C._jit_pass_inline(graph)
    schemas = (str(node.schema()) for node in walk(graph))
    return {schema.partition("(")[0] for schema in schemas if "::" in schema.partition("(")[0]}


# The archive's raw records.


def records(path: Path) -> dict[str, int]:
    """Return the bytes of every tensor record in the archive, by name, from its own directory."""
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist() if _RECORD.search(entry.filename)}


def unknown_bytes(path: Path) -> int:
    """Return the bytes of the archive's records that are neither tensors nor anything else that TorchScript writes."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    return sum(each.file_size for each in entries if not (_RECORD.search(each.filename) or _REST.search(each.filename)))


def stray_records(path: Path, tensors: Iterable[torch.Tensor]) -> tuple[str, ...]:
    """Return the tensor records of the archive that are none of these tensors, byte for byte."""
    known: dict[int, list[Bytes]] = defaultdict(list)
    for tensor in tensors:
        raw = _plain(tensor).numpy().reshape(-1).view(np.int8)
        known[raw.nbytes].append(raw)
    strays = []
    with zipfile.ZipFile(path) as archive:
        for name in records(path):
            raw = np.frombuffer(archive.read(name), dtype=np.int8)
            if not any(_same_bytes(raw, other) for other in known[raw.nbytes]):
                strays.append(f"{name.partition('/')[2]} ({raw.nbytes} bytes)")
    return tuple(strays)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor with its elements one after the other, as integers where NumPy lacks the type."""
    whole = {torch.bfloat16: torch.int16, torch.complex32: torch.int32}.get(tensor.dtype)
    tensor = tensor.detach().contiguous()
    return tensor if whole is None else tensor.view(whole)


def _same_bytes(a: Bytes, b: Bytes) -> bool:
    return a[:64].tobytes() == b[:64].tobytes() and bool(np.array_equal(a, b))
