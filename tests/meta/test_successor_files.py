"""Layers that a successor's recipe leaves out are found in the very files. Needs the successors' packages."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.inputs.run_options import make_run_config
from vitgate.observe.observer import LocalObserver
from vitgate.pipeline import successor_stages
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.options import RunRequest
from vitgate.spec.variants import SUCCESSORS, VariantName

from .conformance_tests import claim_tests, judge

Judged = Callable[..., ClaimRow]
TESTS = {test.claim.id: test for test in claim_tests()}
NEEDS: dict[str, tuple[str, ...]] = {
    "export": ("torchao",),
    "onnxruntime": ("onnxruntime", "onnxscript"),
    "executorch": ("executorch",),
}


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Return a function that builds a successor of the small model and judges a claim, by default what is in int8."""
    plan = make_run_config(RunRequest(case=("digits",), engine=(NO_ENGINE,)), tmp_path)
    observer = LocalObserver(plan)

    def make(variant: VariantName, claim: str = "coverage") -> ClaimRow:
        for package in NEEDS[SUCCESSORS[variant].runtime]:
            pytest.importorskip(package)
        cell = CellId("digits", NO_ENGINE, variant)
        return judge(TESTS[claim], str(cell), cell, observer)

    return make


def numbers(row: ClaimRow) -> dict[str, float | None]:
    return {finding.statistic: finding.value for finding in row.findings}


@pytest.mark.parametrize("variant", [name for name in SUCCESSORS if SUCCESSORS[name].runtime in NEEDS])
def test_every_linear_of_small_model_is_quantized_by_its_recipe(variant: VariantName, judged: Judged) -> None:
    row = judged(variant)

    assert (row.status, row.message) == ("passed", "")
    assert numbers(row)["weight_products"] == 17.0


def test_layer_left_out_by_torchao_is_named(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    torchao = pytest.importorskip("torchao.quantization")

    def others(model: Any) -> Any:
        quantized = copy.deepcopy(model)
        config = torchao.Int8DynamicActivationInt8WeightConfig()
        torchao.quantize_(quantized, config, lambda module, name: _is_linear(module) and name != "blocks.1.mlp.fc2")
        return quantized

    monkeypatch.setattr(successor_stages, "quantize_torchao", others)
    row = judged("exported_int8")

    assert (row.status, numbers(row)["float_linears"]) == ("failed", 1.0)
    assert "blocks.1.mlp.fc2" in row.message


def test_layer_left_out_by_onnx_runtime_is_named(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    onnx = pytest.importorskip("onnx")
    real, left_out = quantization.quantize_dynamic, list[str]()

    def others(source: str, *args: Any, **kwargs: Any) -> None:
        graph = onnx.load(source).graph
        weights = {tensor.name for tensor in graph.initializer}
        left_out.append(
            next(node.name for node in graph.node if node.op_type == "MatMul" and weights & set(node.input))
        )
        real(source, *args, **kwargs, nodes_to_exclude=left_out)

    monkeypatch.setattr(quantization, "quantize_dynamic", others)
    row = judged("onnx_int8")

    assert (row.status, numbers(row)["float_linears"]) == ("failed", 1.0)
    assert left_out[0] in row.message


def test_unmatched_pattern_leaves_every_layer_in_float(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successor_stages, "quantize_pt2e", lambda program, x: program)
    row = judged("executorch_int8")

    assert (row.status, numbers(row)["float_linears"]) == ("failed", 17.0)


def test_products_that_no_backend_takes_are_counted(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    exir = pytest.importorskip("executorch.exir")
    real = exir.to_edge_transform_and_lower
    monkeypatch.setattr(exir, "to_edge_transform_and_lower", lambda program, **_: real(program))
    row = judged("executorch")

    assert row.status == "failed"
    assert "undelegated_products" in row.message


def test_one_scale_for_all_channels_is_found_by_held_out_logits(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchao = pytest.importorskip("torchao.quantization")
    granularity = pytest.importorskip("torchao.quantization.granularity")
    config = torchao.Int8WeightOnlyConfig
    monkeypatch.setattr(torchao, "Int8WeightOnlyConfig", lambda: config(granularity=granularity.PerTensor()))
    row = judged("exported_int8wo", "accuracy")

    assert (row.status, "sqnr_change" in row.message) == ("failed", True)


def test_onnx_scales_twice_too_wide_are_found_by_held_out_logits(
    judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantization, onnx = pytest.importorskip("onnxruntime.quantization"), pytest.importorskip("onnx")
    real = quantization.quantize_static

    def wider(source: str, target: str, *args: Any, **kwargs: Any) -> None:
        real(source, target, *args, **kwargs)
        model = onnx.load(target)
        scales = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
        for tensor in model.graph.initializer:
            if tensor.name in scales:
                doubled = onnx.numpy_helper.to_array(tensor) * 2
                tensor.CopyFrom(onnx.numpy_helper.from_array(doubled, tensor.name))
        onnx.save(model, target)

    monkeypatch.setattr(quantization, "quantize_static", wider)
    row = judged("onnx_static", "accuracy")

    assert (row.status, "sqnr_change" in row.message) == ("failed", True)


def test_executorch_scales_twice_too_wide_are_found_by_logits(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    observers = pytest.importorskip("torchao.quantization.pt2e.observer")
    pytest.importorskip("executorch")
    real = observers.HistogramObserver.calculate_qparams

    def wider(observer: Any) -> tuple[Any, Any]:
        scale, zero = real(observer)
        return scale * 2, zero

    monkeypatch.setattr(observers.HistogramObserver, "calculate_qparams", wider)
    row = judged("executorch_static", "logits_original")

    assert (row.status, "sqnr_change" in row.message) == ("failed", True)


def _is_linear(module: Any) -> bool:
    return type(module).__name__ == "Linear"
