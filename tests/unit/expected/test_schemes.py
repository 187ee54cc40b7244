"""The reference arithmetic: rounding to grids, by numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from vitgate.expected import kernels
from vitgate.expected.kernels import kernel_errors
from vitgate.expected.layers import FileLayer, layer_errors
from vitgate.expected.logits import expected_logits
from vitgate.expected.names import LINEAR_SCHEMES, scheme_named
from vitgate.expected.schemes import ChannelInt8, DynamicInt8, LinearScheme, settled, WeightInt8
from vitgate.spec.cells import CellId, SchemeName
from vitgate.spec.engines import Engine
from vitgate.spec.variants import SUCCESSORS


def linear(name: SchemeName) -> LinearScheme:
    """Return a scheme of Linears alone, whose scales no picture fixes."""
    scheme = scheme_named(name)
    assert isinstance(scheme, (DynamicInt8, ChannelInt8, WeightInt8))
    return scheme


@pytest.mark.parametrize(("engine", "bits"), [("fbgemm", 7), ("x86", 7), ("onednn", 7), ("qnnpack", 8)])
def test_engine_has_documented_activation_bits(engine: Engine, bits: int) -> None:
    assert CellId("digits", engine, "original").scheme is None
    scheme = CellId("digits", engine, "lite").scheme
    assert scheme is not None and scheme_named(scheme) == DynamicInt8(bits)


def test_successors_in_other_numbers_have_a_scheme() -> None:
    schemes = {name: CellId("digits", "none", name).scheme for name in SUCCESSORS}
    assert {name: scheme for name, scheme in schemes.items() if scheme} == {
        "exported_int8": "torchao",
        "inductor_int8": "torchao",
        "executorch_int8": "xnnpack",
        "onnx_int8": "onnxruntime",
        "exported_bf16": "bfloat16",
        "exported_int8wo": "int8 weights",
        "inductor_bf16": "bfloat16",
        "onnx_static": "onnxruntime static",
        "executorch_static": "xnnpack static",
    }


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("torchao", 63 * 127.5 / 63.5, 1e-9), ("onnxruntime", 127.5, 1e-9), ("xnnpack", 127.5, 0.0)],
)
def test_channel_is_rounded_to_steps_of_its_largest(name: SchemeName, first: float, second: float) -> None:
    weights = torch.tensor([[127.5, 0.6, -0.4], [0.0, 0.0, 0.0], [1e-9, -5e-10, 0.0]])
    rounded = linear(name).weight(weights)
    assert float(rounded[0, 0]) == pytest.approx(first)
    assert rounded[1].tolist() == [0.0, 0.0, 0.0]
    assert float(rounded[2, 0]) == pytest.approx(second, rel=0.01)  # XNNPACK's quantizer has a smallest scale


@pytest.mark.parametrize(("name", "step"), [("torchao", 4.0 / 63.5), ("xnnpack", 5.0 / 255)])
def test_each_row_of_activations_has_its_own_range(name: SchemeName, step: float) -> None:
    row = torch.tensor([-1.0, 0.3, 2.7, 4.0])
    rounded = linear(name).activation(torch.stack([row, row / 100]))
    for own, given, size in zip(rounded, (row, row / 100), (step, step / 100), strict=True):
        assert float((own - given).abs().max()) <= 0.501 * size
        assert float((own / size - (own / size).round()).abs().max()) < 1e-3


def test_per_tensor_range_rounds_small_rows_to_zero() -> None:
    rounded = linear("onnxruntime").activation(torch.tensor([[-1.0, 4.0], [0.001, -0.001]]))
    assert rounded[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["torchao", "xnnpack", "onnxruntime"])
def test_zero_rows_stay_zero(name: SchemeName) -> None:
    assert linear(name).activation(torch.zeros(2, 3)).abs().sum() == 0.0


def test_weights_are_rounded_to_steps_of_the_largest() -> None:
    weight = torch.tensor([[127.5, 0.6, -0.4], [1.5, -127.5, 2.5]])
    assert DynamicInt8(7).weight(weight).tolist() == [[127.0, 1.0, -0.0], [2.0, -128.0, 2.0]]  # halves go to even


def test_zero_weights_stay_zero() -> None:
    assert not DynamicInt8(7).weight(torch.zeros(2, 2)).any()


@pytest.mark.parametrize(("bits", "expected"), [(7, [-27.0, 0.0, 0.0, 100.0]), (8, [-27.0, 0.0, 0.5, 100.0])])
def test_activations_are_rounded_over_a_range_that_includes_zero(bits: int, expected: list[float]) -> None:
    x = torch.tensor([-27.0, 0.1, 0.49, 100.0])
    step = 127.0 / (2**bits - 1)
    found = DynamicInt8(bits).activation(x)
    assert found.tolist() == pytest.approx(expected, abs=step / 2 + 1e-6)
    assert torch.allclose(found / step, (found / step).round(), atol=1e-4)


def test_activations_above_zero_alone_begin_at_zero() -> None:
    found = DynamicInt8(7).activation(torch.tensor([64.0, 127.0]))
    assert found.tolist() == [64.0, 127.0]


@pytest.mark.parametrize("name", LINEAR_SCHEMES)
def test_activations_on_grid_are_rounded_alike_in_single_and_double_precision(name: SchemeName) -> None:
    scheme = LINEAR_SCHEMES[name]
    x = scheme.on_grid(torch.randn(500, 20, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(scheme.activation(x.double()).float(), scheme.activation(x), rtol=1e-5, atol=1e-6)


def test_row_whose_largest_lies_midway_is_turned_to_positive() -> None:
    found = LINEAR_SCHEMES["torchao"].on_grid(torch.tensor([[-63.5, 10.2, 63.0], [63.5, -10.2, -63.5]]))
    assert found.tolist() == [[63.5, -10.0, -63.0], [63.5, -10.0, -63.0]]


def test_weight_midway_between_steps_takes_stored_value() -> None:
    weight, rounded = torch.tensor([[1.5, 1.2]]), torch.tensor([[2.0, 1.0]])
    assert settled(rounded, torch.tensor([[1.0, 1.0]]), weight, torch.ones(())).tolist() == [[1.0, 1.0]]
    assert settled(rounded, torch.tensor([[3.0, 0.0]]), weight, torch.ones(1, 1)).tolist() == [[2.0, 1.0]]


def test_expected_logits_leave_model_unchanged() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)).eval()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    before = model(x)

    found = expected_logits(model, DynamicInt8(7), x)

    assert torch.equal(model(x), before)
    assert found.shape == (3, 2)
    assert 0 < float((found - before).abs().max()) < 0.1


def test_layers_are_compared_with_their_arithmetic_by_name() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4)).eval()
    scheme = DynamicInt8(7)

    def layer(at: int, gain: float) -> FileLayer:
        module = model[at]
        assert isinstance(module, nn.Linear)
        weight = scheme.weight(module.weight.detach())
        return FileLayer(lambda x: gain * nn.functional.linear(scheme.activation(x), weight, module.bias), weight, True)

    right, wrong = layer_errors(model, torch.randn(5, 8), {"0": layer(0, 1.0), "2": layer(2, 1.01)}, scheme)

    assert (right.name, wrong.name) == ("0", "2")
    assert right.exact > 110
    assert wrong.exact == pytest.approx(40.0, abs=0.5)


def test_float_layer_is_compared_with_float64() -> None:
    module = nn.Linear(8, 8)
    own = FileLayer(lambda x: 1.0001 * nn.functional.linear(x, module.weight, module.bias), torch.zeros(8, 8), False)
    (found,) = layer_errors(nn.Sequential(module).eval(), torch.randn(5, 8), {"0": own}, DynamicInt8(7))
    assert (found.quantized, found.below_noise) == (False, None)
    assert found.exact == pytest.approx(80.0, abs=1.0)


def test_each_operator_is_compared_with_float64() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.LayerNorm(196), nn.Linear(196, 3)).eval()
    found = {each.operator: each for each in kernel_errors(model, torch.randn(1, 3, 8, 8))}
    assert {"aten::convolution", "aten::native_layer_norm", "aten::addmm"} <= found.keys()
    assert all(each.sqnr is not None and each.sqnr > 110 for each in found.values())


class ByStrides(nn.Module):
    """Reads every second column through strides, which a copy in float64 has no longer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = x[:, ::2]
        return 2 * columns.as_strided(columns.shape, columns.stride())


def test_view_operators_are_not_compared() -> None:
    found = {each.operator: each.sqnr for each in kernel_errors(ByStrides(), torch.randn(4, 8))}
    assert found == {"aten::mul.Tensor": 200.0}


class Attention(nn.Module):
    """Attention, and a mean that comes as the second of two results."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x) + torch.var_mean(x, -1, keepdim=True)[1]


@pytest.fixture
def second_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second of several results be NaN."""
    real = kernels.run

    def spoilt(func: Any, args: Any, kwargs: Any) -> Any:
        output = real(func, args, kwargs)
        return (output[0], output[1] * float("nan"), *output[2:]) if isinstance(output, tuple) else output

    monkeypatch.setattr(kernels, "run", spoilt)


@pytest.mark.usefixtures("second_is_nan")
def test_attention_results_for_backward_are_not_compared() -> None:
    found = {each.operator: each.sqnr or 0 for each in kernel_errors(Attention(), torch.randn(1, 2, 8, 8))}
    (attention,) = [value for name, value in found.items() if "attention" in name]
    assert attention > 100
    assert found["aten::var_mean.correction"] < 0


class Float32Alone(nn.Module):
    """Calls an operator that takes float32 alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize() + x


def test_operator_without_float64_is_named_as_unchecked() -> None:
    found = {each.operator: each.sqnr for each in kernel_errors(Float32Alone(), torch.randn(4, 8))}
    assert (found.pop("aten::add.Tensor") or 0) > 100
    assert found == {"aten::quantize_per_tensor": None}


class Odd(nn.Module):
    """Weights of zeros, a Linear that is called twice, float64 logits with a gradient."""

    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fresh, self.twice = nn.Linear(8, 8), nn.Linear(8, 8)
        nn.init.zeros_(self.fresh.weight)
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            self.calls.add_(x.new_ones(()))
            return self.twice(self.twice(x + self.fresh(x))).double()


def test_custom_user_modules_are_compared() -> None:
    torch.manual_seed(0)
    model, scheme, x = Odd().eval(), DynamicInt8(7), torch.randn(4, 8)
    own = {
        name: FileLayer(
            lambda given, module=module: nn.functional.linear(  # type: ignore[misc]  # bound at once
                scheme.activation(given), scheme.weight(module.weight), module.bias
            ),
            scheme.weight(module.weight),
            True,
        )
        for name, module in model.named_children()
        if isinstance(module, nn.Linear)
    }

    assert expected_logits(model, scheme, x).dtype == torch.float32
    assert all(each.exact > 100 and (each.below_noise or 0) > 6 for each in layer_errors(model, x, own, scheme))
    before = float(model.calls)
    assert all((each.sqnr or 0) > 100 for each in kernel_errors(model, x))
    assert float(model.calls) == before + 1


def test_layer_with_nan_in_one_call_is_worst() -> None:
    model, scheme = nn.Sequential(layer := nn.Linear(8, 8), layer).eval(), DynamicInt8(7)
    results = iter([1.0, 1.0, float("nan"), float("nan")])
    weight = scheme.weight(layer.weight.detach())
    spoilt = FileLayer(
        lambda x: next(results) * nn.functional.linear(scheme.activation(x), weight, layer.bias), weight, True
    )

    (found,) = layer_errors(model, torch.randn(3, 8), {"0": spoilt}, scheme)

    assert found.exact < 0


def test_layer_numbers_are_those_of_worst_call() -> None:
    model, scheme = nn.Sequential(layer := nn.Linear(8, 8), layer).eval(), DynamicInt8(7)
    weight = scheme.weight(layer.weight.detach())
    gains = iter([1.1, 1.0, 1.0, 1.001])  # as they are and on the grid, in the first call and in the second
    own = FileLayer(
        lambda x: next(gains) * nn.functional.linear(scheme.activation(x), weight, layer.bias), weight, True
    )

    (found,) = layer_errors(model, torch.randn(3, 8), {"0": own}, scheme)

    assert found.exact == pytest.approx(60, abs=1)
    assert found.below_noise is not None and found.below_noise < 0
