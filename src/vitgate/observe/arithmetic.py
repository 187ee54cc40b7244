"""Counts what a saved graph computes beside its weights: a layer norm's epsilon, GELU's form, attention's precision.

The weights do not show these, and int8 logits hide them: exact GELU and its tanh form are 75 dB apart in
DeiT-Base, int8 and float 28.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

_CONVOLUTIONS = {
    "aten::conv2d": "conv2d",
    "aten::_convolution": "conv2d",  # as a trace has it
    "prepacked::conv2d_clamp_run": "prepacked conv2d",
}
_CASTS = {"aten::to", "aten::_autocast_to_reduced_precision"}
_DTYPES: Mapping[object, str] = {5: "float16", 6: "float32", 7: "float64", 15: "bfloat16"}  # c10/core/ScalarType.h
_ATTENTION = {"aten::scaled_dot_product_attention": "scale", "aten::softmax": "dtype"}  # fused, and written out


def arithmetic(graph_nodes: Any) -> dict[str, int]:
    """Count what the nodes of an executed graph compute, by words that are the same for every form of the model.

    `conv2d`, or `prepacked conv2d` after the mobile optimizer; `layer_norm eps=1e-06`; `gelu none`; `attention`, with
    its scale or dtype where it has one of its own; `cast to float16` for every conversion to anything but float32; the
    operator itself where it rounds. Others are not listed, quantized Linears among them, which are read back.
    """
    words = (_words(node) for node in graph_nodes)
    return dict(sorted(Counter(word for word in words if word).items()))


def _words(node: Any) -> str:
    kind = node.kind()
    if kind == "aten::layer_norm":
        return f"layer_norm eps={_given(node, 'eps'):g}"
    if kind == "aten::gelu":
        return f"gelu {_given(node, 'approximate')}"
    if kind in _CONVOLUTIONS:
        return _CONVOLUTIONS[kind]
    if kind in _ATTENTION:
        name = _ATTENTION[kind]
        value = _given(node, name)
        return "attention" if value is None else f"attention {name}={_DTYPES.get(value, value)}"
    if kind == "aten::round" or (kind.startswith("aten::") and "quantize" in kind):
        return str(kind)
    return _cast(node) if kind in _CASTS else ""


def _cast(node: Any) -> str:
    dtype = _given(node, "dtype")
    named = _DTYPES.get(dtype, "float32")  # another overload has no dtype; one that is computed is its input's own
    return "" if named == "float32" else f"cast to {named}"


def _given(node: Any, argument: str) -> Any:
    """Return the constant that an argument has; None where it is computed or there is no such argument."""
    names = [one.name for one in torch._C.parse_schema(node.schema()).arguments]
    value = node.inputsAt(names.index(argument)) if argument in names else None
    return value.toIValue() if value is not None and value.node().kind() == "prim::Constant" else None
