"""The arithmetic of each variant, by the name that `CellId.scheme` has for it."""

from __future__ import annotations

from vitgate.expected.bfloat16 import Bfloat16
from vitgate.expected.schemes import ChannelInt8, DynamicInt8, LinearScheme, WeightInt8
from vitgate.expected.static import StaticInt8
from vitgate.spec.cells import SchemeName

Scheme = LinearScheme | StaticInt8 | Bfloat16

LINEAR_SCHEMES: dict[SchemeName, LinearScheme] = {
    "7 bits": DynamicInt8(7),
    "8 bits": DynamicInt8(8),
    # torchao.quantization.Int8DynamicActivationInt8WeightConfig with reduce_range, symmetric by row on both sides
    # (quant_primitives.py, int8_tensor.py)
    "torchao": ChannelInt8(63.5, by_row=True, zero_point=False, activation_steps=63.5),
    # the same before 0.18, which has no such option (quant_primitives.py, linear_activation_quantized_tensor.py)
    "torchao 8 bits": ChannelInt8(127.5, by_row=True, zero_point=False, activation_steps=127.0),
    # get_symmetric_quantization_config of ExecuTorch's XNNPACKQuantizer; the kernels take a range for each row
    "xnnpack": ChannelInt8(127.0, by_row=True, zero_point=True, least=2.0**-12),
    # quantize_dynamic of ONNX Runtime with reduce_range: DynamicQuantizeLinear, weights from -64 to 64 (quant_utils.py)
    "onnxruntime": ChannelInt8(64.0, by_row=False, zero_point=True),
    # torchao.quantization.Int8WeightOnlyConfig (quant_primitives.py, int8_tensor.py)
    "int8 weights": WeightInt8(127.5),
}
"""Those of which each Linear can be computed by itself."""

_OTHERS: dict[SchemeName, StaticInt8 | Bfloat16] = {
    "bfloat16": Bfloat16(),
    # quantize_static of ONNX Runtime with reduce_range, MatMul and Gemm alone: a Linear of three dimensions is a MatMul
    # whose bias is an operator of its own (calibrate.py, quant_utils.py)
    "onnxruntime static": StaticInt8(64.0, bias_after=True),
    # get_symmetric_quantization_config of ExecuTorch's XNNPACKQuantizer, without is_dynamic, which quantizes what is
    # concatenated, whatever module it is asked for (xnnpack_quantizer.py, quantizer_annotators)
    "xnnpack static": StaticInt8(127.0, least=2.0**-12, joins=True),
}


def scheme_named(name: SchemeName) -> Scheme:
    """Return the arithmetic of `CellId.scheme`."""
    return LINEAR_SCHEMES[name] if name in LINEAR_SCHEMES else _OTHERS[name]
