"""The weights as they stand in a saved file, against the original model's: was the right network saved, and well?

Logits say that something is wrong; this says which layer, and finds what logits hide (one layer left in float, weights
of 4 bits, a bias that changed).

The engine (`torch.backends.quantized.engine`) must be the one that the file was packed for, and is the caller's to set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from vitgate.observe.arithmetic import arithmetic
from vitgate.observe.linear_layers import (
    is_made_of,
    Layer,
    LinearReadback,
    read_layer,
    ReadLayers,
    same_bits,
    same_layer,
)
from vitgate.observe.model_state import Constant, ModelState
from vitgate.observe.saved_file import (
    executed_graph,
    from_graph,
    from_modules,
    records,
    Stored,
    stray_records,
    unknown_bytes,
    walk,
    whole,
)

FOLDING_SLACK = 1e-5
"""How far a folded weight may be from the one of float64, as a share of the largest: float32 rounds to 6e-8."""


@dataclass(frozen=True)
class Readback:
    """What a saved file holds, as plain values.

    `layers` has one entry for every Linear that the file should hold; `surplus_layers` counts those beyond.
    `unmatched` names tensors of the original (quantized weights aside) that the file does not hold bit for bit, nor,
    if it is frozen, what a call computes from them alone.
    `out_of_order` names parameters that a frozen graph uses earlier than one of the same shape which the model uses
    before them; equal contents cannot be told apart, so they are taken to be in order.
    `strays` names raw tensor records of the archive that are neither a parameter nor the weights of a layer above; the
    second copy of the weights that a lite file may carry for the interpreter is among the records compared.
    `unreadable` names packed objects whose contents could not be got back; never empty silently.
    `count` is the number of original tensors compared, `folded` of constants that freezing has made of several of them,
    equal but for rounding.
    `arithmetic` counts what the graph computes beside its weights, see `vitgate.observe.arithmetic`.
    `stored_bytes` is what the archive's tensor records take. It should be from `least_bytes` to `most_bytes`, in which
    `int8_bytes` are those of the quantized weights: tensors of equal contents may be stored as one, and what the code
    makes may be stored or not. `unknown_bytes` is what records take that TorchScript does not write.
    """

    layers: tuple[LinearReadback, ...]
    surplus_layers: int
    unmatched: tuple[str, ...]
    out_of_order: tuple[str, ...]
    strays: tuple[str, ...]
    unreadable: tuple[str, ...]
    count: int
    folded: int
    arithmetic: dict[str, int]
    stored_bytes: int
    int8_bytes: int
    least_bytes: int
    most_bytes: int
    unknown_bytes: int


@dataclass(frozen=True)
class _Comparison:
    """How what a file holds goes with the original's.

    `layers` has the Linears that the file should hold, `alike` the names that each of them stands for. `wanted` are the
    tensors of the original that it should hold, `names` those that it does; `held` has the original's own tensor and
    the file's for each that was looked for by its contents.
    """

    layers: dict[str, Layer | None]
    alike: dict[str, list[str]]
    wanted: Iterable[str]
    names: frozenset[str]
    surplus: int = 0
    out_of_order: tuple[str, ...] = ()
    held: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    folded: int = 0


def read_back(
    path: Path, original: ModelState, *, frozen: bool, quantized: bool, known: ReadLayers | None = None
) -> tuple[Readback, dict[str, Layer | None]]:
    """Compare the file with the original's weights, and return the file's Linears too. Raises as `torch.jit.load` does.

    Args:
        path: A `.pt` or `.ptl` file.
        original: The eager float model's tensors.
        frozen: The file keeps one graph with constants; otherwise modules with attributes.
        quantized: Its Linears should be int8.
        known: One dictionary for all files of the same original.
    """
    module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
    graph = executed_graph(module)
    stored = from_graph(module, graph) if frozen else from_modules(module, original.linears)
    found = _by_content(stored, original) if frozen else _by_name(stored, original)
    known = {} if known is None else known
    layers = tuple(read_layer(name, layer, original.layer(name), known) for name, layer in found.layers.items())
    packed = {f"{name}.weight" for layer in layers if layer.quantized for name in found.alike[layer.name]}
    integers = [weight.int_repr() for _, (weight, _, _) in stored.linears if weight.is_quantized]
    unmatched = tuple(name for name in found.wanted if name not in found.names | packed)
    biases = [bias for _, (weight, bias, _) in stored.linears if bias is not None and not bias.any()]
    contents = [*original.contents(), *(held for _, held in found.held), *integers, *biases]
    int8, least, most = _expected_bytes(original, found, unmatched, frozen=frozen, quantized=quantized)
    readback = Readback(
        layers=layers,
        surplus_layers=found.surplus,
        unmatched=unmatched,
        out_of_order=found.out_of_order,
        strays=stray_records(path, contents),
        unreadable=tuple(stored.unreadable),
        count=len(original.tensors),
        folded=found.folded,
        arithmetic=arithmetic(walk(graph)),
        stored_bytes=sum(records(path).values()),
        int8_bytes=int8,
        least_bytes=least,
        most_bytes=most,
        unknown_bytes=unknown_bytes(path),
    )
    return readback, found.layers


def _by_name(stored: Stored, original: ModelState) -> _Comparison:
    """Compare the modules of a file: every tensor of the original stands there under its own name."""
    own, layers = original.tensors, dict(stored.linears)
    return _Comparison(
        layers={name: layers.get(name) for name in original.linears},
        alike={name: [name] for name in original.linears},
        wanted=own,
        names=frozenset(name for name, tensor in stored.others if name in own and same_bits(tensor, own[name])),
    )


def _by_content(stored: Stored, original: ModelState) -> _Comparison:
    """Compare the constants of a graph: what a call reads stands there, without a name, in the order of its use."""
    alike = _alike({name: original.layer(name) for name in original.used_linears})
    layers, surplus = _pair(stored, original, list(alike))
    names, late, held, folded = _matched(stored, original)
    wanted = [name for name in original.tensors if name in original.used]
    return _Comparison(layers, alike, wanted, names, surplus, late, held, folded)


def _alike(layers: Mapping[str, Layer]) -> dict[str, list[str]]:
    """Group the names of layers that have the same weight and bias under the first of them."""
    groups: dict[str, list[str]] = {}
    for name, layer in layers.items():
        first = next((other for other in groups if same_layer(layer, layers[other])), name)
        groups.setdefault(first, []).append(name)
    return groups


def _pair(stored: Stored, original: ModelState, names: list[str]) -> tuple[dict[str, Layer | None], int]:
    """Return the file's layer for each name, and how many are left; a layer that is used again counts once.

    They go together in the order of use; where that does not come out even, by their contents first.
    """
    linear = [original.tensors[f"{name}.weight"] for name in original.linears]
    found = {str(at): each for at, (_, each) in enumerate(stored.linears)}
    found = {at: each for at, each in found.items() if each[0].is_quantized or _is_among(each[0], linear)}
    left = [found[first] for first in _alike(found)]
    if [layer[0].shape for layer in left] == [original.layer(name)[0].shape for name in names]:
        return dict(zip(names, left, strict=True)), 0
    pairs: dict[str, Layer | None] = dict.fromkeys(names)
    for fits in (is_made_of, _has_its_shape):
        for name in [name for name, layer in pairs.items() if layer is None]:
            index = next((at for at, layer in enumerate(left) if fits(layer, original.layer(name))), None)
            pairs[name] = None if index is None else left.pop(index)
    return pairs, len(left)


def _is_among(tensor: torch.Tensor, others: Iterable[torch.Tensor]) -> bool:
    return not tensor.is_quantized and any(same_bits(tensor, other) for other in others)


def _has_its_shape(layer: Layer, original: Layer) -> bool:
    return layer[0].shape == original[0].shape


def _matched(
    stored: Stored, original: ModelState
) -> tuple[frozenset[str], tuple[str, ...], tuple[tuple[torch.Tensor, torch.Tensor], ...], int]:
    """Pair every constant with the first tensor of the same contents that is still free.

    Return the names that are there, those out of order, the pairs, and how many of them are equal but for rounding. The
    order of use is compared among parameters of one shape.
    """
    wanted = original.constants()
    by_shape: dict[torch.Size, list[Constant]] = defaultdict(list)
    for each in wanted:
        by_shape[each.tensor.shape].append(each)
    order = _Order(list(original.tensors))
    names: set[str] = set()
    taken: set[int] = set()
    pairs, folded = [], 0
    for _, tensor in stored.others:
        same = [each for each in by_shape[tensor.shape] if _is_same(tensor, each)] or _of_which_part(tensor, wanted)
        names |= {name for each in same for name in each.sources}
        free = [each for each in same if id(each) not in taken]
        if free:
            taken.add(id(free[0]))
            pairs.append((free[0].tensor, tensor))
            order.note(free[0])
            folded += not free[0].exact
    return frozenset(names), tuple(order.late), tuple(pairs), folded


class _Order:
    """Whether the tensors of one shape come in the order of these names."""

    def __init__(self, names: Iterable[str]) -> None:
        self._position = {name: index for index, name in enumerate(names)}
        self._last: dict[torch.Size, int] = {}
        self.late: list[str] = []

    def note(self, found: Constant) -> None:
        """Note that this tensor comes next; what is computed has no place of its own."""
        if found.computed:
            return
        (name,), shape = found.sources, found.tensor.shape
        if self._position[name] < self._last.get(shape, -1):
            self.late.append(name)
        self._last[shape] = max(self._position[name], self._last.get(shape, -1))


def _of_which_part(tensor: torch.Tensor, wanted: Iterable[Constant]) -> list[Constant]:
    """Return the tensors of the original that a constant is a piece of, as the parts of a projection are."""
    row = whole(tensor)
    if len(row) == tensor.numel():
        return []
    own = [each for each in wanted if not each.computed and each.tensor.numel() == len(row)]
    return [each for each in own if same_bits(row, each.tensor.reshape(-1))]


def _is_same(tensor: torch.Tensor, wanted: Constant) -> bool:
    if wanted.exact or tensor.dtype != wanted.tensor.dtype:
        return same_bits(tensor, wanted.tensor)
    slack = FOLDING_SLACK * float(wanted.tensor.abs().max())
    return torch.allclose(tensor, wanted.tensor, rtol=FOLDING_SLACK, atol=slack)


def _expected_bytes(
    original: ModelState, found: _Comparison, unmatched: Iterable[str], *, frozen: bool, quantized: bool
) -> tuple[int, int, int]:
    """Return the bytes of the int8 weights, and the least and the most that all tensors of the file may take.

    What is `unmatched` should be there in its own size. A file may store tensors of equal contents as one. What the
    call makes without the picture, and a frozen file what the call does not read, it may store or not.
    """
    linears = [name for alike in found.alike.values() for name in alike] if quantized else []
    packed = {f"{name}.weight" for name in linears}
    int8 = sum(original.tensors[name].numel() for name in packed)
    again = int8 - sum(original.tensors[f"{name}.weight"].numel() for name in found.alike if quantized)
    made = [each.tensor for each in original.computed if each.exact and not each.is_view]
    if frozen:
        missing = [original.tensors[name] for name in unmatched if name not in packed]
        others = _distinct([*(own for own, _ in found.held), *missing])
        equal = [tensor for index, tensor in enumerate(others) if _is_among(tensor, others[:index])]
        made += [tensor for name, tensor in original.tensors.items() if name not in original.used]
    else:
        others = _distinct(tensor for name, tensor in original.tensors.items() if name not in packed)
        equal = []
    biases = [torch.zeros(len(original.layer(name)[0])) for name in linears if original.layer(name)[1] is None]
    spare = [tensor for tensor in _distinct([*others, *made])[len(others) :]] + biases  # qnnpack packs zeros for none
    return int8, int8 + _bytes(others) - _bytes(equal) - again, int8 + _bytes(others) + _bytes(spare)


def _distinct(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return each tensor once, whatever number of names it has."""
    return list({(tensor.data_ptr(), tensor.shape): tensor for tensor in tensors}.values())


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
