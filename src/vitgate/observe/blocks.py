"""The output of each block of a Vision Transformer, whatever form it is in, to show where two forms diverge.

A frozen file is one graph without modules. A block's two residual additions mark it there: they are located in the
graph and made its outputs. A file with modules is frozen in memory first, without changes to its numerics.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vitgate.judge.blocks import BlockDiagnosis, part_ways
from vitgate.observe.saved_file import executed_graph
from vitgate.spec.model_output import LOGITS, ModelOutput

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """A loaded module, or the path of a `.pt` or `.ptl` file; `frozen` where it is one graph already.

    `output` says where the logits are in what a call returns.
    """

    module: nn.Module | Path
    frozen: bool
    output: ModelOutput = LOGITS


def by_block(reference: Form, own: Form, x: torch.Tensor, *, blocks: int, original: Form | None) -> BlockDiagnosis:
    """Return the SQNR of `own` against `reference` in dB after each block, and the first where they part ways.

    Args:
        reference: The form that is taken to be right.
        own: The form that is judged.
        x: float32 [pictures, channels, height, width].
        blocks: How many blocks the network has.
        original: The float original where `reference` is int8: two int8 forms drift apart by as much as one int8 block
            costs against it.

    Raises:
        LookupError: The blocks of a form cannot be told apart.
    """
    first, second = (_of_form(form, x, blocks) for form in (reference, own))
    if original is None:
        return part_ways(first, second)
    float_outputs = _of_form(original, x, blocks)
    return part_ways(first, second, ordinary=part_ways(float_outputs, first).own[1])


def _of_form(form: Form, x: torch.Tensor, blocks: int) -> list[Array]:
    return block_outputs(form.module, x, frozen=form.frozen, blocks=blocks, output=form.output)


def block_outputs(
    module_or_path: nn.Module | Path, x: torch.Tensor, *, frozen: bool, blocks: int, output: ModelOutput = LOGITS
) -> list[Array]:
    """Return the embedding that enters the first block, every block's output and the logits: `blocks` + 2 arrays.

    Args:
        module_or_path: A module, or a `.pt` or `.ptl` file, read with `torch.jit.load`, under the engine that
            is set.
        x: float32 [pictures, channels, height, width].
        frozen: The file or ScriptModule is one graph already; means nothing for an eager module.
        blocks: How many the network has.
        output: Where the logits are in what a call returns.

    Returns:
        Embedding and blocks, float32 [pictures, tokens, width]; the logits, [pictures, classes].

    Raises:
        LookupError: The residual additions of so many blocks cannot be told apart.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # deprecations of TorchScript are judged elsewhere, see vitgate.observe.tutorial_calls
        module = _load(module_or_path) if isinstance(module_or_path, Path) else module_or_path
        if not isinstance(module, torch.jit.ScriptModule):
            return _eager(module, x, output)
        if not frozen:
            module = torch.jit.freeze(module.eval(), optimize_numerics=False)
        return _scripted(module, x, blocks, output)


def _load(path: Path) -> torch.jit.ScriptModule:
    module: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]  # untyped in torch
    return module


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """Return the blocks of an eager model: its longest list of modules of one kind; LookupError where it has none."""
    rows = [list(each) for each in module.modules() if isinstance(each, (nn.Sequential, nn.ModuleList))]
    alike = [row for row in rows if len(row) > 1 and len({type(each) for each in row}) == 1]
    if not alike:
        raise LookupError("no list of blocks in the model")
    return max(alike, key=len)


def _eager(module: nn.Module, x: torch.Tensor, output: ModelOutput) -> list[Array]:
    seen: list[torch.Tensor] = []
    layers = blocks_of(module)
    handles = [layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))]
    handles += [layer.register_forward_hook(lambda _, __, given: seen.append(_first(given))) for layer in layers]
    try:
        logits = output.taken(module(x))
    finally:
        for handle in handles:
            handle.remove()
    return [_array(tensor) for tensor in [*seen, logits]]


def _first(output: Any) -> torch.Tensor:
    """Return a block's output; those of older transformers give a tuple that begins with it."""
    tensor: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


def _scripted(module: torch.jit.ScriptModule, x: torch.Tensor, blocks: int, output: ModelOutput) -> list[Array]:
    graph = executed_graph(module)
    stream = _residual_stream(graph)
    if len(stream) != 2 * blocks + 1:
        raise LookupError(f"{len(stream) - 1} residual additions in the graph, not two for each of {blocks} blocks")
    returned = next(iter(graph.outputs()))
    graph.eraseOutput(0)
    for value in [*stream[::2], returned]:
        graph.registerOutput(value)
    graph.makeMultiOutputIntoTuple()
    run = torch._C._create_function_from_graph("block_outputs", graph)
    *seen, last = run(module._c, x)
    return [_array(tensor) for tensor in [*seen, output.taken(last)]]


def _residual_stream(graph: Any) -> list[Any]:
    """Return the longest chain of values in which each is the sum of the one before it and a branch that starts there.

    The embedding is the first value; then come the sums after attention and after the MLP of each block in turn.
    """
    additions = [node for node in graph.nodes() if _adds_tensors(node)]
    chains: dict[str, list[Any]] = {}
    for node in additions:
        operands = list(node.inputs())[:2]
        known = [chains[value.debugName()] for value in operands if value.debugName() in chains]
        longest = max(known, key=len, default=None)
        if longest is None:
            early, late = sorted(operands, key=lambda value: _position(graph, value))
            longest = [early] if _is_branch(late, early) else []
        if longest:
            chains[node.output().debugName()] = [*longest, node.output()]
    return max(chains.values(), key=len, default=[])


def _adds_tensors(node: Any) -> bool:
    if node.kind() not in {"aten::add", "aten::add_"}:
        return False
    return all(value.type().kind() == "TensorType" for value in list(node.inputs())[:2])


def _position(graph: Any, value: Any) -> int:
    names = [output.debugName() for node in graph.nodes() for output in node.outputs()]
    return names.index(value.debugName()) if value.debugName() in names else -1


def _is_branch(late: Any, early: Any) -> bool:
    """Whether `late` was computed from `early`; the sum of the positional embedding with a constant was not."""
    front, seen = [late], set()
    while front:
        value = front.pop()
        if value.debugName() == early.debugName():
            return bool(early.node().kind() != "prim::Constant")
        if value.debugName() not in seen:
            seen.add(value.debugName())
            front += list(value.node().inputs())
    return False


def _array(tensor: torch.Tensor) -> Array:
    result: Array = tensor.detach().float().numpy().copy()
    return result
