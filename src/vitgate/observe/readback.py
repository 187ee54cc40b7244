"""The weights as they stand in a saved file, against the original model's: was the right network saved, and well?

Logits say that something is wrong; this says which layer, and finds what logits hide (one layer left in float, weights
of 4 bits, a bias that changed). Nothing here unpickles a file itself: TorchScript's own loader does.

The engine (`torch.backends.quantized.engine`) must be the one that the file was packed for, and is the caller's to set.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vitgate.observe.arithmetic import arithmetic

Seen = dict[str, tuple[torch.Tensor, "LinearReadback"]]
"""By layer, the packed weights read last and what they came to: the same bits in another file need no second look."""

Histogram = npt.NDArray[np.int64]
# (first operand, weight operand) of the operators that a Linear becomes; the weight of the first two is packed.
_LINEAR_OPERATORS = {"quantized::linear_dynamic", "prepacked::linear_clamp_run", "aten::linear"}
_RECORD = re.compile(
    r"/(?:data|constants)/\d+(?:\.storage)?$"
)  # tensors in a .pt or .ptl archive, raw and uncompressed
# The smallest scale that torch.ao.quantization's observers give: eps = torch.finfo(torch.float32).eps.
_LEAST_SCALE = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class LinearReadback:
    """One Linear as saved. The fields about steps are None for a layer that was left in float.

    `bits` is the width of the stored integers (32 for a float layer); `levels` how many distinct integers are in use,
    so that weights rounded to 4 bits (16 levels) show. `max_error_steps` is the largest distance between a saved and
    an original weight in units of its scale: at most 0.5 and float rounding (1e-4) for round-to-nearest; clipping
    counts. `range_used` is the largest absolute integer. `scale` and `zero_point` are (smallest, largest) over the
    channels, one value for per-tensor schemes. `scale_ratio` is the scale over the one that PyTorch's symmetric
    min-max observer gives these weights, max|w| / 127.5 (torch/ao/quantization/observer.py, `_calculate_qparams`), of
    the channel farthest off. `missing` says that the file has no such layer; then nothing else holds.
    """

    name: str
    quantized: bool
    scheme: str = "none"
    dtype: str = "float32"
    bits: int = 32
    levels: int | None = None
    max_error_steps: float | None = None
    range_used: int | None = None
    scale: tuple[float, float] | None = None
    zero_point: tuple[int, int] | None = None
    scale_ratio: float | None = None
    bias_equal: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Readback:
    """What a saved file holds, as plain values.

    `layers` has one entry for every name in `linears`, in that order; `surplus_layers` counts those beyond.
    `wrong_form` names the layers that are quantized and should not be, or the reverse.
    `unmatched` names parameters of the original (quantized weights aside) that the file does not hold bit for bit.
    `out_of_order` names parameters that a frozen graph uses earlier than one of the same shape which the model defines
    before them; equal contents cannot be told apart, so they are taken to be in order.
    `extra` counts float tensors of the file that are no parameter of the original; `extra_what` describes them.
    `strays` names raw tensor records of the archive that are neither a parameter nor the weights of a layer above; the
    second copy of the weights that a lite file may carry for the interpreter is among the records compared.
    `copies` is how many raw records there are of each quantized weight, (smallest, largest): (2, 2) in a doubled file.
    `unreadable` names packed objects whose contents could not be got back; never empty silently.
    `count` is the number of original parameters compared.
    `arithmetic` counts what the graph computes beside its weights, see `vitgate.observe.arithmetic`.
    """

    layers: tuple[LinearReadback, ...]
    surplus_layers: int
    wrong_form: tuple[str, ...]
    unmatched: tuple[str, ...]
    out_of_order: tuple[str, ...]
    extra: int
    extra_what: tuple[str, ...]
    strays: tuple[str, ...]
    copies: tuple[int, int]
    unreadable: tuple[str, ...]
    count: int
    arithmetic: dict[str, int]


@dataclass
class _Stored:
    """What was found in the file: Linears in order, float tensors with a word on their use, objects that stay shut."""

    linears: list[tuple[str, torch.Tensor, torch.Tensor | None]] = field(default_factory=list)
    floats: list[tuple[str, torch.Tensor]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_back(
    path: Path,
    original: Mapping[str, torch.Tensor],
    linears: Sequence[str],
    *,
    frozen: bool,
    quantized: bool,
    seen: Seen | None = None,
) -> Readback:
    """Compare the file with the original's `state_dict` (float32, CPU).

    `original` and `linears`, the dotted names of every `nn.Linear`, are in the order in which the network uses them.
    `frozen` files keep one graph with constants, the others modules with attributes. `quantized` is what the Linears
    should be.
    `seen` is one dictionary for all files of the same original.
    Raises what `torch.jit.load` raises, where this PyTorch cannot read the file.
    """
    module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
    graph = executed_graph(module)
    stored = _from_graph(module, graph) if frozen else _from_modules(module, linears)
    layers, pool = _read_layers(stored, original, linears, {} if seen is None else seen, by_name=not frozen)
    found, out_of_order, extra = _match(stored, original, by_name=not frozen)
    packed = {f"{layer.name}.weight" for layer in layers if layer.quantized}
    strays, copies = _check_records(path, original, pool)
    return Readback(
        layers=layers,
        surplus_layers=max(0, len(stored.linears) - len(linears)),
        wrong_form=tuple(layer.name for layer in layers if layer.missing or layer.quantized != quantized),
        unmatched=tuple(name for name in original if name not in found and name not in packed),
        out_of_order=out_of_order,
        extra=len(extra),
        extra_what=extra,
        strays=strays,
        copies=copies,
        unreadable=tuple(stored.unreadable),
        count=len(original),
        arithmetic=arithmetic(walk(graph)),
    )


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
            stored.linears.append((name, weight, bias))
            stored.floats += [] if bias is None else [(f"{name}.bias", bias)]
        elif f"{name}.weight" in plain:
            stored.linears.append((name, plain[f"{name}.weight"], plain.get(f"{name}.bias")))
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
            stored.linears.append(("", tensors[0], tensors[1] if len(tensors) > 1 else None))
        stored.floats += [(node.kind(), tensor) for tensor in tensors if tensor.dtype == torch.float32]
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


# Layer by layer.


def _read_layers(
    stored: _Stored, original: Mapping[str, torch.Tensor], linears: Sequence[str], seen: Seen, *, by_name: bool
) -> tuple[tuple[LinearReadback, ...], list[npt.NDArray[np.int8]]]:
    """Return the layers and the integers of the quantized ones; frozen files pair them with the names by order."""
    named = [row[0] for row in stored.linears] if by_name else list(linears)
    found = dict(zip(named, stored.linears, strict=False))  # a file may have fewer or more; both are reported
    layers, pool = [], []
    for name in linears:
        _, weight, bias = found.get(name, ("", None, None))
        layers.append(_read_layer(name, weight, bias, original, seen))
        if weight is not None and weight.is_quantized:
            pool.append(weight.int_repr().contiguous().numpy())
    pool += [row[1].int_repr().contiguous().numpy() for row in stored.linears[len(linears) :] if row[1].is_quantized]
    return tuple(layers), pool


def _read_layer(
    name: str, weight: torch.Tensor | None, bias: torch.Tensor | None, original: Mapping[str, torch.Tensor], seen: Seen
) -> LinearReadback:
    wanted, wanted_bias = original[f"{name}.weight"], original.get(f"{name}.bias")
    if weight is None:
        return LinearReadback(name, quantized=False, missing=True)
    bias_equal = bias is None if wanted_bias is None else bias is not None and same_bits(bias, wanted_bias)
    if not weight.is_quantized:
        return LinearReadback(name, quantized=False, dtype=_word(weight.dtype), bias_equal=bias_equal)
    if name not in seen or not _same_quantized(weight, seen[name][0]):
        seen[name] = weight, _read_quantized(name, weight, wanted)
    return replace(seen[name][1], bias_equal=bias_equal)


def _read_quantized(name: str, weight: torch.Tensor, wanted: torch.Tensor) -> LinearReadback:
    scales, zero_points = _parameters(weight)
    integers = _histogram(weight)
    used = np.flatnonzero(integers)
    return LinearReadback(
        name,
        quantized=True,
        scheme=_word(weight.qscheme()),
        dtype=_word(weight.dtype),
        bits=8 * weight.element_size(),
        levels=len(used),
        max_error_steps=_error_in_steps(weight, scales, wanted),
        range_used=int(np.abs(used - 128).max()),
        scale=(float(scales.min()), float(scales.max())),
        zero_point=(int(zero_points.min()), int(zero_points.max())),
        scale_ratio=_scale_ratio(scales, wanted),
    )


def _same_quantized(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two quantized tensors have the same scheme, integers, scales and zero points, bit for bit."""
    if (a.qscheme(), a.dtype, a.shape) != (b.qscheme(), b.dtype, b.shape):
        return False
    parts = zip(_parameters(a), _parameters(b), strict=True)
    return all(same_bits(one, other) for one, other in parts) and same_bits(a.int_repr(), b.int_repr())


def _word(thing: object) -> str:
    return str(thing).rsplit(".", 1)[-1]


def _parameters(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scales (float64) and zero points (int64), one each or one per output channel."""
    if weight.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale, zero = weight.q_scale(), weight.q_zero_point()
        return torch.tensor([scale], dtype=torch.float64), torch.tensor([zero])
    return weight.q_per_channel_scales().double(), weight.q_per_channel_zero_points().long()


def _error_in_steps(weight: torch.Tensor, scales: torch.Tensor, wanted: torch.Tensor) -> float:
    if weight.shape != wanted.shape:
        return math.inf
    error = weight.dequantize().sub_(wanted).abs_()
    rows = error.amax(dim=1).double() if len(scales) > 1 else error.max().double()
    return float((rows / scales).max())


def _histogram(weight: torch.Tensor) -> Histogram:
    """Return how often each of the integers -128 … 127 occurs; counting pairs of bytes takes half the time."""
    values = weight.int_repr().contiguous().view(torch.uint8).numpy().reshape(-1)
    paired = len(values) - len(values) % 2
    pairs = np.bincount(values[:paired].view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts = pairs.sum(axis=0) + pairs.sum(axis=1) + np.bincount(values[paired:], minlength=256)
    result: Histogram = np.roll(counts, 128)  # two's complement: 128 … 255 stand for -128 … -1
    return result


def _scale_ratio(scales: torch.Tensor, wanted: torch.Tensor) -> float:
    if len(scales) > 1 and len(scales) != len(wanted):
        return math.inf
    rows = wanted.reshape(len(scales), -1)
    largest = torch.maximum(-rows.amin(dim=1), rows.amax(dim=1)).double()
    ratios = scales / torch.clamp(largest / 127.5, min=_LEAST_SCALE)
    return float(ratios[torch.argmax(torch.abs(torch.log(ratios)))])


# Parameters that stay in float.


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors agree in shape, dtype and every bit, so that NaN equals itself and 0.0 is not -0.0."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.detach().contiguous().view(whole), b.detach().contiguous().view(whole))


def _match(
    stored: _Stored, original: Mapping[str, torch.Tensor], *, by_name: bool
) -> tuple[set[str], tuple[str, ...], tuple[str, ...]]:
    """Return the names found, those out of order, and what matched no name."""
    if by_name:
        same = [name for name, tensor in stored.floats if name in original and same_bits(tensor, original[name])]
        extra = [f"{name} {tuple(tensor.shape)}" for name, tensor in stored.floats if name not in original]
        return set(same), (), tuple(extra)
    return _match_by_content(stored.floats, original)


def _match_by_content(
    floats: Sequence[tuple[str, torch.Tensor]], original: Mapping[str, torch.Tensor]
) -> tuple[set[str], tuple[str, ...], tuple[str, ...]]:
    """Pair every use of a constant with the first unused parameter of the same bits."""
    left: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, tensor in original.items():
        left[tuple(tensor.shape)].append(name)
    position = {name: index for index, name in enumerate(original)}
    found: set[str] = set()
    last: dict[tuple[int, ...], int] = {}
    late: list[str] = []
    extra: list[str] = []
    for use, tensor in floats:
        shape = tuple(tensor.shape)
        same = [name for name in left[shape] if same_bits(tensor, original[name])]
        if not same:
            extra.append(f"{use} {shape}")
            continue
        name = same[0]
        left[shape].remove(name)
        found.add(name)
        if position[name] < last.get(shape, -1):
            late.append(name)
        last[shape] = max(position[name], last.get(shape, -1))
    return found, tuple(late), tuple(extra)


# The archive's raw records.


def _check_records(
    path: Path, original: Mapping[str, torch.Tensor], pool: Sequence[npt.NDArray[np.int8]]
) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Compare every tensor record byte for byte with the parameters and the layers' integers."""
    known: dict[int, list[torch.Tensor | int]] = defaultdict(list)
    for index, integers in enumerate(pool):
        known[integers.nbytes].append(index)
    for tensor in original.values():
        known[tensor.numel() * tensor.element_size()].append(tensor)
    strays, copies = [], [0] * len(pool)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not _RECORD.search(entry.filename):
                continue
            raw = np.frombuffer(archive.read(entry), dtype=np.int8)
            owner = next((one for one in known[raw.nbytes] if _same_bytes(raw, one, pool)), None)
            if owner is None:
                strays.append(f"{entry.filename.partition('/')[2]} ({raw.nbytes} bytes)")
            elif isinstance(owner, int):
                copies[owner] += 1
    return tuple(strays), (min(copies, default=0), max(copies, default=0))


def _same_bytes(raw: npt.NDArray[np.int8], one: torch.Tensor | int, pool: Sequence[npt.NDArray[np.int8]]) -> bool:
    if isinstance(one, int):
        other = pool[one].reshape(-1)
    else:
        other = one.detach().contiguous().numpy().reshape(-1).view(np.int8)
    return raw[:64].tobytes() == other[:64].tobytes() and bool(np.array_equal(raw, other))
