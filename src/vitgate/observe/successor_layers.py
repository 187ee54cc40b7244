"""The Linears of a successor's file, each as a call of its own: cut out of the graph and run by the file's runtime.

torch.export writes down which module each operator comes from. ONNX does not: there a product belongs to the Linear
whose weights it holds. ExecuTorch's partitions and AOTInductor's code cannot be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vitgate.expected.layers import FileLayer
from vitgate.judge.metrics import Array
from vitgate.observe.runtimes import exported_program, onnx_session
from vitgate.spec.variants import Runtime

Linears = Mapping[str, nn.Linear]
Shape = tuple[int, ...]
_PRODUCTS = ("MatMul", "Gemm", "MatMulInteger")


def successor_layers(path: Path, runtime: Runtime, linears: Linears) -> dict[str, FileLayer]:
    """Return the Linears of a file that its runtime lets one call; whatever its library raises.

    Args:
        path: The file's, `.pt2` or `.onnx`.
        runtime: export or onnxruntime.
        linears: The original's, by the names that they get.

    Returns:
        By those names; one that the file lacks, or that no call of it reaches, is left out.
    """
    return _READERS[runtime](path, linears)


# torch.export


def _exported(path: Path, linears: Linears) -> dict[str, FileLayer]:
    graph = _Exported(exported_program(str(path)))
    calls: dict[str, list[_ExportedCall]] = {}
    for name, nodes in graph.calls():
        if name in linears:
            calls.setdefault(name, []).append(_ExportedCall(graph, nodes))
    return {name: _layer(found, linears[name]) for name, found in calls.items()}


def _layer(calls: list[_ExportedCall], linear: nn.Linear) -> FileLayer:
    by_shape = {call.shape: call for call in calls}
    weight = calls[0].weight(linear.weight.shape)
    return FileLayer(lambda x: by_shape[tuple(x.shape)](x), _plain(weight), hasattr(weight, "__tensor_flatten__"))


class _Exported:
    """An exported program: its tensors, what its graph computes of them alone, and the operators of each module."""

    def __init__(self, program: Any) -> None:
        """Read the program (torch.export.ExportedProgram)."""
        signature, held = program.graph_signature, {**program.state_dict, **program.constants}
        self.nodes = list(program.graph.nodes)
        inputs = (signature.inputs_to_parameters, signature.inputs_to_buffers)
        names = {node: name for each in inputs for node, name in each.items()}
        names |= signature.inputs_to_lifted_tensor_constants
        self.fixed: dict[Any, torch.Tensor] = {}
        for node in self.nodes:
            if node.op == "placeholder" and node.name in names:
                self.fixed[node] = held[names[node.name]].detach()
            elif node.all_input_nodes and all(each in self.fixed for each in node.all_input_nodes):
                self.fixed[node] = self.run(node, self.fixed)

    def calls(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the path of the innermost module, and the operators of each of its calls that take an activation."""
        found: dict[str, tuple[str, list[Any]]] = {}
        for node in self.nodes:
            stack = node.meta.get("nn_module_stack")
            if stack and node.op == "call_function" and node not in self.fixed:
                call, (path, _) = list(stack.items())[-1]  # `call` counts: L__self__head, L__self__head@1
                found.setdefault(call, (path, []))[1].append(node)
        yield from found.values()

    @staticmethod
    def run(node: Any, values: Mapping[Any, Any]) -> Any:
        """Call the operator of a node with the values of its inputs."""
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
        return node.target(*args, **kwargs)


class _ExportedCall:
    """One call of a module, as the operators of an exported program."""

    def __init__(self, graph: _Exported, nodes: list[Any]) -> None:
        """Find what goes in and what comes out; ValueError where that is more than one tensor."""
        own, inside = {node for node in nodes}, (each for node in nodes for each in node.all_input_nodes)
        operands = list(dict.fromkeys(each for each in inside if each not in own))
        given = [each for each in operands if each not in graph.fixed]
        made = [node for node in nodes if any(user not in own for user in node.users)]
        if len(given) != 1 or len(made) != 1:
            raise ValueError(f"{nodes[0].name}: a Linear takes {len(given)} activations and gives {len(made)}")
        self._graph, self._nodes, (self._given,), (self._made,) = graph, nodes, given, made
        self._operands = [each for each in operands if each in graph.fixed]
        self.shape: Shape = tuple(self._given.meta["val"].shape)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 [..., out] of activations float32 [..., in]."""
        values = {**{node: self._graph.fixed[node] for node in self._operands}, self._given: x}
        for node in self._nodes:
            values[node] = self._graph.run(node, values)
        return values[self._made]

    def weight(self, shape: Shape) -> Any:
        """Return the weights of that shape among the operands, or among what these are a part of, as they are held."""
        todo = list(self._operands)
        while todo:
            node = todo.pop(0)
            todo += node.all_input_nodes
            if node.op == "placeholder" and tuple(self._graph.fixed[node].shape) == tuple(shape):
                return self._graph.fixed[node]
        raise ValueError(f"{self._nodes[0].name}: no weights of shape {list(shape)}")


def _plain(weight: Any) -> torch.Tensor:
    """Return a tensor of torchao's, which holds integers and scales, as one of floats."""
    inner = getattr(weight, "original_weight_tensor", weight)  # before 0.18 it also says how activations are rounded
    found: torch.Tensor = inner.dequantize()
    return found


# ONNX


def _onnx(path: Path, linears: Linears) -> dict[str, FileLayer]:
    import onnx

    graph = _Onnx(onnx.load(str(path)))
    products = list(graph.products())
    pairs = _pairs(products, linears)
    return {
        name: FileLayer(graph.call(each, linears[name].bias), torch.from_numpy(each.weight), each.is_int8)
        for name, each in pairs.items()
    }


def _pairs(products: Sequence[_Product], linears: Linears) -> dict[str, _Product]:
    """Return the product of each Linear: one that holds its weights, or else the next that is left of its shape.

    So a product with wrong weights is a Linear that gives something wrong, and none that is missing.
    """
    wanted = {name: linear.weight.detach().numpy() for name, linear in linears.items()}
    found: dict[str, _Product] = {}
    left = list(products)
    for fits in (_is_rounded, _has_shape):
        for name in [name for name in wanted if name not in found]:
            own = [each for each in left if fits(each.weight, wanted[name])]
            own += [each for each in products if _is_rounded(each.weight, wanted[name])]  # weights that two share
            if own:
                found[name] = own[0]
                left = [each for each in left if each is not own[0]]
    return found


def _is_rounded(weight: Array, wanted: Array) -> bool:
    """Whether these are the weights, as they are or rounded to 64 steps for each output."""
    near = np.abs(wanted).max(axis=1, keepdims=True) / 100
    return _has_shape(weight, wanted) and bool((np.abs(weight - wanted) <= near).all())


def _has_shape(weight: Array, wanted: Array) -> bool:
    return weight.shape == wanted.shape


@dataclass(frozen=True)
class _Product:
    """A matrix product with constant weights [out, in], which are given as floats; what rounds and what scales it."""

    node: Any
    weight: Array
    rounding: Any = None
    scales: Any = None

    @property
    def is_int8(self) -> bool:
        """Whether it multiplies integers."""
        return self.rounding is not None


class _Onnx:
    """An ONNX model: its constants, and who makes and who reads each value."""

    def __init__(self, model: Any) -> None:
        """Read the model (onnx.ModelProto)."""
        self._model = model
        self._constants = {each.name: each for each in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._readers = {name: node for node in model.graph.node for name in node.input}

    def products(self) -> Iterator[_Product]:
        """Yield the products with a constant for their second operand, in the order of the graph."""
        for node in self._model.graph.node:
            if node.op_type in _PRODUCTS and node.input[1] in self._constants:
                weight, rounding, scales = self._array(node.input[1]), None, None
                if node.op_type == "MatMulInteger":
                    rounding, scales = self._makers[node.input[0]], self._scales(node)
                    steps = next(self._array(name) for name in scales.input if name in self._constants)
                    weight = (weight.astype(np.float32) - self._array(node.input[3])) * steps
                turned = any(each.name == "transB" and each.i for each in node.attribute)
                yield _Product(node, np.ascontiguousarray(weight if turned else weight.T), rounding, scales)

    def call(self, product: _Product, bias: torch.Tensor | None) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what runs the Linear of a product in a session of its own, as float32 [..., out] of [..., in]."""
        nodes = [product.node]
        if product.is_int8:
            cast = self._reader(product.node)
            nodes = [product.rounding, product.scales, product.node, cast, self._reader(cast)]
        if bias is not None and product.node.op_type != "Gemm":
            nodes.append(self._reader(nodes[-1]))
        return self._run(nodes, nodes[0].input[0], nodes[-1].output[0])

    def _reader(self, node: Any) -> Any:
        return self._readers[node.output[0]]

    def _scales(self, node: Any) -> Any:
        """Return what multiplies the scales of both operands."""
        scaled = self._reader(self._reader(node))
        return next(self._makers[name] for name in scaled.input if self._makers[name].op_type == "Mul")

    def _array(self, name: str) -> Array:
        from onnx import numpy_helper

        found: Array = numpy_helper.to_array(self._constants[name])
        return found

    def _run(self, nodes: list[Any], given: str, made: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def run(x: torch.Tensor) -> torch.Tensor:
            # made anew each time: both copy the weights
            session = onnx_session(self._part(nodes, given, made).SerializeToString())
            return torch.from_numpy(session.run(None, {given: x.contiguous().numpy()})[0])

        return run

    def _part(self, nodes: list[Any], given: str, made: str) -> Any:
        """Return a model (onnx.ModelProto) of these nodes, from one float32 value to another."""
        from onnx import helper, TensorProto

        names = dict.fromkeys(name for node in nodes for name in node.input if name in self._constants)
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (given, made)]
        graph = helper.make_graph(nodes, "linear", ends[:1], ends[1:], [self._constants[name] for name in names])
        whole = self._model
        return helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)


_READERS: dict[Runtime, Callable[[Path, Linears], dict[str, FileLayer]]] = {"export": _exported, "onnxruntime": _onnx}
