"""What of a successor's file runs in int8, and what of it is handed to a backend, read from the file itself.

A matrix product with a weight is one that has a constant for an operand. Products of two activations, as in attention,
have none, and stay float in every recipe of `vitgate.pipeline.successor_stages`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitgate.observe.artifacts import path_of
from vitgate.observe.observer import LocalObserver, observation
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import Runtime

_FX_INT8 = ("_int_mm",)
_FX_PRODUCTS = ("linear", "addmm", "mm", "matmul", "bmm", "baddbmm")
_ONNX_INT8 = ("MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm")
_ONNX_PRODUCTS = ("MatMul", "Gemm", "FusedMatMul")


@dataclass(frozen=True)
class Product:
    """One product with a weight: its name, whether it runs in int8, and whether the recipe quantizes it.

    A recipe for `nn.Linear` leaves alone what a module computes from a weight of its own. `weight` is in which numbers
    the file has the weight, as far as torch.export's says it.
    """

    name: str
    int8: bool
    linear: bool = True
    delegated: bool = True
    weight: str = ""


@dataclass
class Coverage:
    """What one file does with its products.

    `products` are those with a weight, in the file's order. `partitions` counts those that a backend runs, `left` the
    operators outside of them, by name; both are of ExecuTorch alone.
    """

    products: list[Product] = field(default_factory=list)
    partitions: int | None = None
    left: dict[str, int] = field(default_factory=dict)


@observation()
def coverage(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `Coverage` of the cell's file; ClaimFailed (`failed at read_weights`) where it cannot be read."""
    from vitgate.pipeline.free_memory import release_free_memory
    from vitgate.pipeline.stages import stage
    from vitgate.pipeline.successor_stages import own_programs

    path = path_of(observer, cell)
    with stage("read_weights"), own_programs():
        found = coverage_of(path, cell.form.runtime)
    release_free_memory(path)
    return Evidence(asdict(found))


def coverage_of(path: Path, runtime: Runtime) -> Coverage:
    """Read the file of that runtime: export, executorch or onnxruntime; whatever its library raises."""
    return _READERS[runtime](path)


def _exported(path: Path) -> Coverage:
    from vitgate.observe.runtimes import exported_program

    program = exported_program(str(path))
    parameters = {*program.graph_signature.inputs_to_parameters, *program.graph_signature.inputs_to_buffers}
    constant: dict[str, str] = {}  # in which numbers the file has it, by the node that reads it or what is made of it
    found = Coverage()
    for node in program.graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "placeholder":
            fixed = node.name in parameters or node.name in program.graph_signature.inputs_to_lifted_tensor_constants
        else:
            fixed = bool(inputs) and all(each.name in constant for each in inputs)
        if fixed:
            constant[node.name] = _numbers(node, [constant[each.name] for each in inputs])
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        weights = [constant[each.name] for each in inputs if each.name in constant]
        if not fixed and name in (*_FX_INT8, *_FX_PRODUCTS) and weights:
            stack = list(node.meta.get("nn_module_stack", {}).values())
            module, kind = stack[-1] if stack else (node.name, "")
            weight = "int8" if "int8" in weights else weights[0]
            found.products.append(Product(str(module), name in _FX_INT8, str(kind).endswith("Linear"), weight=weight))
    return found


def _numbers(node: Any, of: list[str]) -> str:
    """Return in which numbers a constant is kept: what is made of int8 alone is int8 in the file."""
    value = node.meta.get("val")
    own = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return "int8" if own == "int8" or (of and set(of) == {"int8"}) else own


def _onnx(path: Path) -> Coverage:
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    constant = {tensor.name for tensor in graph.initializer}
    dequantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    quantized = {name for node in graph.node if node.op_type == "QuantizeLinear" for name in node.input[:1]}
    found = Coverage()
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if all(name in constant for name in inputs):
            constant.update(node.output)
        elif node.op_type in (*_ONNX_INT8, *_ONNX_PRODUCTS) and any(name in constant for name in inputs[:2]):
            # ONNX Runtime joins a product with the steps before and after it: without one it computes in float.
            joined = dequantized.issuperset(inputs[:2]) and quantized.issuperset(node.output)
            found.products.append(Product(node.name, node.op_type in _ONNX_INT8 or joined))
    return found


def _executorch(path: Path) -> Coverage:
    from executorch.exir._serialize._program import deserialize_pte_binary

    read = deserialize_pte_binary(path.read_bytes())
    program: Any = getattr(read, "program", read)  # a file with its segments since 1.0, before the program alone
    plan = program.execution_plan[0]
    calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
    kernels = [plan.operators[call.op_index].name for call in calls if type(call).__name__ == "KernelCall"]
    found = Coverage(partitions=len(plan.delegates), left=dict(sorted(Counter(kernels).items())))
    for delegate in plan.delegates:
        data = program.backend_delegate_data[delegate.processed.index].data
        found.products += _xnnpack_products(bytes(data))
    names = (name.partition("::")[2] for name in kernels)
    found.products += [Product(name, int8=False, delegated=False) for name in names if name in _FX_PRODUCTS]
    return found


def _xnnpack_products(data: bytes) -> Iterator[Product]:
    """Yield the fully connected layers of one partition, named by their sizes: XNNPACK's graphs keep no names."""
    graph = _xnnpack_graph(data)
    unions = [each["xvalue_union"] for each in graph["xvalues"]]
    tensors = [union.get("tensor_value", union) for union in unions]  # a quantized value wraps its tensor
    values = {tensor["id_out"]: tensor for tensor in tensors}
    for node in graph["xnodes"]:
        if node["xnode_union_type"] == "XNNFullyConnected":
            operands = [values[node["xnode_union"][name]] for name in ("input1_id", "filter_id")]
            int8 = all("int8" in each["datatype"] for each in operands)
            yield Product(f"fully connected {operands[1]['dims']}", int8)


def _xnnpack_graph(data: bytes) -> dict[str, Any]:
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as xnnpack
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    start = xnnpack.XNNHeader.from_bytes(data[: xnnpack.XNNHeader.EXPECTED_LENGTH]).flatbuffer_offset
    with TemporaryDirectory(prefix="vitgate-xnnpack-") as folder:
        schema, binary = Path(folder) / "schema.fbs", Path(folder) / "graph.bin"
        schema.write_bytes(Path(xnnpack.__file__).with_name("schema.fbs").read_bytes())
        binary.write_bytes(data[start:])
        _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
        graph: dict[str, Any] = json.loads(binary.with_suffix(".json").read_text(encoding="utf-8"))
    return graph


_READERS: dict[Runtime, Callable[[Path], Coverage]] = {
    "export": _exported,
    "executorch": _executorch,
    "onnxruntime": _onnx,
}
