"""The stages of the successors of TorchScript, one small function each.

torch.export, torchao, AOTInductor, ExecuTorch with XNNPACK, ONNX Runtime: their packages are imported where they are
used, since each is optional. Every stage takes what the one before gave and returns the next, or writes the file.
Models are exported for the one shape that the case has, float32 [1, C, H, W], and for inference.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import nn

from vitgate.spec.variants import torchao_reduces_range

_INDUCTOR_FOLDER = "TORCHINDUCTOR_CACHE_DIR"


def quantize_torchao(model: nn.Module, *, reduce_range: bool = True) -> nn.Module:
    """Return a copy with int8 weights and dynamic int8 activations in every Linear, as torchao does it.

    `reduce_range` takes 7 bits for both, so that sums of products fit the 16 bits of processors without VNNI. Releases
    of torchao that do not have it take 8.
    """
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantized = copy.deepcopy(model)
    options = {"reduce_range": reduce_range} if torchao_reduces_range() else {}
    quantize_(quantized, Int8DynamicActivationInt8WeightConfig(**options))
    return quantized


def quantize_weights(model: nn.Module) -> nn.Module:
    """Return a copy with int8 weights in every Linear, a scale a channel, as torchao does it.

    Activations stay in float.
    """
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantized = copy.deepcopy(model)
    quantize_(quantized, Int8WeightOnlyConfig())
    return quantized


class Bfloat16(nn.Module):
    """A model in bfloat16 that takes pictures in float32, as its users have them; what it returns is in bfloat16."""

    def __init__(self, model: nn.Module) -> None:
        """Keep a copy of the model, its parameters and buffers of floats in bfloat16."""
        super().__init__()
        self.model = copy.deepcopy(model).to(torch.bfloat16)

    def forward(self, x: torch.Tensor) -> Any:
        """Return what the model does, of a picture float32 [N, C, H, W]."""
        return self.model(x.to(torch.bfloat16))


def cast_to_bfloat16(model: nn.Module) -> nn.Module:
    """Return a copy of the model that computes in bfloat16, in the mode that the model is in."""
    return Bfloat16(model).train(model.training)


def export(model: nn.Module, x: torch.Tensor) -> Any:
    """Return the ExportedProgram of a model for inputs like `x`."""
    with torch.no_grad():
        return torch.export.export(model, (x,))


def save_exported(program: Any, path: Path) -> None:
    """Save an ExportedProgram as `.pt2`."""
    torch.export.save(program, path)


def compile_package(program: Any, path: Path) -> None:
    """Compile an ExportedProgram ahead of time, for this processor; needs a C++ compiler.

    What Inductor leaves behind goes with the folder, not into the user's own cache.
    """
    from torch._inductor import aoti_compile_and_package, config

    alone = config.patch(compile_threads=1)  # no pool of processes beside the test workers
    with TemporaryDirectory(dir=path.parent) as folder, _inductor_folder(folder), torch.no_grad(), alone:
        aoti_compile_and_package(program, package_path=str(path))


@contextmanager
def _inductor_folder(folder: str) -> Iterator[None]:
    before = os.environ.get(_INDUCTOR_FOLDER)
    os.environ[_INDUCTOR_FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[_INDUCTOR_FOLDER]
        if before is not None:
            os.environ[_INDUCTOR_FOLDER] = before


def quantize_pt2e(program: Any, x: torch.Tensor) -> Any:
    """Return the program with every Linear quantized to int8, a scale a channel, activations dynamically."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        get_symmetric_quantization_config,
        XNNPACKQuantizer,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    linear = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(program.module(), XNNPACKQuantizer().set_module_type(nn.Linear, linear))
    with torch.no_grad():
        prepared(x)  # a dynamic observer learns nothing from it, but must have been called
    return export(convert_pt2e(prepared), x)


class Calibrated(NamedTuple):
    """What is to be quantized, and the pictures, float32 [N, C, H, W], that fix the scales of its activations."""

    source: Any
    pictures: torch.Tensor


def quantize_pt2e_static(given: Calibrated, x: torch.Tensor) -> Any:
    """Return the program with every Linear quantized to int8, a scale a channel, activations by calibration pictures.

    What a Linear gives is quantized too, so that XNNPACK computes from int8 to int8.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        get_symmetric_quantization_config,
        XNNPACKQuantizer,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    linear = get_symmetric_quantization_config(is_per_channel=True)
    prepared = prepare_pt2e(given.source.module(), XNNPACKQuantizer().set_module_type(nn.Linear, linear))
    with torch.no_grad():
        for picture in given.pictures:
            prepared(picture[None])
    return export(convert_pt2e(prepared), x)


def lower_to_xnnpack(program: Any) -> Any:
    """Return ExecuTorch's program with all that XNNPACK can compute handed over to it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with own_programs():
        return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()


@contextmanager
def own_programs() -> Iterator[None]:
    """Put the interpreter's own programs first: ExecuTorch before 1.1 calls its `flatc` by name alone."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def save_program(program: Any, path: Path) -> None:
    """Write ExecuTorch's program as `.pte`."""
    with path.open("wb") as file:
        program.write_to_file(file)


def export_onnx(model: nn.Module, x: torch.Tensor) -> Any:
    """Return the ONNX program of a model for inputs like `x`."""
    with torch.no_grad():
        return torch.onnx.export(model, (x,), dynamo=True, verbose=False)


def save_onnx(program: Any, path: Path) -> None:
    """Write an ONNX program as one file, weights inside."""
    program.save(str(path), external_data=False)


def quantize_onnx(source: Path, path: Path, *, reduce_range: bool = True) -> None:
    """Write an ONNX file with int8 weights in every MatMul and Gemm, a scale a channel, activations dynamically.

    Without the pre-processing, which infers shapes, ONNX Runtime's quantization fails on what torch exports. Its
    optimizer is left out: from 1.21 on it puts two Reshape around each product. A session optimizes what it loads.

    Args:
        source: The float file.
        path: Where to write.
        reduce_range: Take 7 bits for weights, so that sums of products fit the 16 bits of processors without VNNI.
    """
    from onnxruntime.quantization import quantize_dynamic, QuantType

    with TemporaryDirectory(dir=path.parent) as folder:
        quantize_dynamic(
            str(_prepared(source, Path(folder))),
            str(path),
            op_types_to_quantize=_ONNX_PRODUCTS,
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
        )


_ONNX_PRODUCTS = ["MatMul", "Gemm"]


def _prepared(source: Path, folder: Path) -> Path:
    """Write the float file as ONNX Runtime's quantization takes it, and return its path.

    The weights of products go into a file of their own: where shapes are inferred, several copies of them would be
    made. onnx's own inference is left out, since the quantization begins with it.
    """
    import onnx
    from onnx.external_data_helper import set_external_data
    from onnxruntime.quantization.shape_inference import quant_pre_process

    apart, prepared = folder / "apart.onnx", folder / "prepared.onnx"
    model = onnx.load(str(source))
    weights = {node.input[1] for node in model.graph.node if node.op_type in _ONNX_PRODUCTS}
    for tensor in model.graph.initializer:
        if tensor.name in weights and tensor.HasField("raw_data"):
            set_external_data(tensor, "weights")
    for node in model.graph.node:
        del node.metadata_props[:]  # in which torch notes where each node comes from: a kilobyte each
    onnx.save(model, str(apart))
    quant_pre_process(
        onnx.load(str(apart), load_external_data=False), str(prepared), skip_optimization=True, skip_onnx_shape=True
    )
    return prepared


def quantize_onnx_static(given: Calibrated, path: Path, *, reduce_range: bool = True) -> None:
    """Write an ONNX file with int8 weights in every MatMul and Gemm, as `quantize_onnx`, activations by calibration.

    What each gives is quantized too: ONNX Runtime computes a product in int8 only between a DequantizeLinear and a
    QuantizeLinear. Products of two activations, as in attention, stay in float.

    Args:
        given: The float file, and the pictures.
        path: Where to write.
        reduce_range: Take 7 bits for weights, so that sums of products fit the 16 bits of processors without VNNI.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, quantize_static, QuantType

    with TemporaryDirectory(dir=path.parent) as folder:
        prepared = _prepared(given.source, Path(folder))
        graph = onnx.load(str(prepared)).graph
        weights = {tensor.name for tensor in graph.initializer}
        quantize_static(
            str(prepared),
            str(path),
            _pictures_of(given.pictures, graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_ONNX_PRODUCTS,
            nodes_to_exclude=[node.name for node in graph.node if weights.isdisjoint(node.input)],
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _pictures_of(pictures: torch.Tensor, name: str) -> Any:
    """Return what ONNX Runtime reads the pictures from, one at a time, for the input of that name."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            self._left = iter([{name: picture[None].numpy()} for picture in pictures])

        def get_next(self) -> dict[str, Any] | None:
            return next(self._left, None)

    return Reader()
