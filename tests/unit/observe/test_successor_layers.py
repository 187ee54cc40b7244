"""Linears cut out of successors' files: a sound one is as its arithmetic says, and a fault in one is named."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vitgate.expected.layers import layer_errors, LayerError
from vitgate.expected.names import LINEAR_SCHEMES
from vitgate.observe.successor_layers import successor_layers
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.variants import SUCCESSORS, VariantName

stages = pytest.importorskip("vitgate.pipeline.successor_stages")
pytestmark = pytest.mark.skipif(not hasattr(torch, "export"), reason="this torch has no torch.export")

SHAPE = (1, 3, 8, 64)


class Model(nn.Module):
    """A Linear that is called twice, for two shapes, one without a bias, and two that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.norm, self.narrow = nn.Linear(64, 96), nn.LayerNorm(96), nn.Linear(96, 64, bias=False)
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        self.two.weight = self.one.weight
        self.head = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.narrow(self.norm(self.widen(x.flatten(1, 2))))
        x = self.two(self.one(x)).mean(1)
        return self.head(self.narrow(self.widen(x)))


LAYERS = {"widen", "narrow", "one", "two", "head"}
Spoil = Callable[[Any], None]


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Model().eval()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def nothing(_: Any) -> None:
    pass


def save(variant: VariantName, model: nn.Module, folder: Path, spoil: Spoil) -> Path:
    """Build the variant's file; `spoil` changes the quantized model, or the ONNX model, before it is saved."""
    x, path = torch.rand(SHAPE), folder / "file"
    if variant.startswith("onnx"):
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
        stages.save_onnx(stages.export_onnx(model, x), path)
        if variant == "onnx_int8":
            pytest.importorskip("onnxruntime")
            stages.quantize_onnx(path, path)
        changed = onnx.load(str(path))
        spoil(changed)
        onnx.save(changed, str(path))
        return path
    if variant != "exported":
        pytest.importorskip("torchao")
        model = (stages.quantize_weights if variant == "exported_int8wo" else stages.quantize_torchao)(model)
    spoil(model)
    stages.save_exported(stages.export(model, x), path)
    return path


def errors(
    variant: VariantName, model: nn.Module, folder: Path, spoil: Spoil = nothing, says: nn.Module | None = None
) -> dict[str, LayerError]:
    original = says or model
    path = save(variant, model, folder, spoil)
    linears = {name: module for name, module in original.named_modules() if type(module) is nn.Linear}
    found = successor_layers(path, SUCCESSORS[variant].runtime, linears)
    scheme = LINEAR_SCHEMES[CellId("digits", NO_ENGINE, variant).scheme or "8 bits"]
    return {each.name: each for each in layer_errors(original, torch.rand(SHAPE), found, scheme)}


@pytest.mark.parametrize("variant", ["exported", "onnx"])
def test_every_linear_of_float_file_is_within_rounding(variant: VariantName, model: nn.Module, tmp_path: Path) -> None:
    found = errors(variant, model, tmp_path)

    assert {name for name, each in found.items() if not each.quantized and each.exact > 105} == LAYERS


@pytest.mark.parametrize("variant", ["exported_int8", "exported_int8wo", "onnx_int8"])
def test_every_linear_of_int8_file_is_as_its_scheme_says(
    variant: VariantName, model: nn.Module, tmp_path: Path
) -> None:
    found = errors(variant, model, tmp_path)

    assert set(found) == LAYERS
    int8 = [each for each in found.values() if each.quantized]
    assert int8
    assert min(each.exact for each in found.values()) > 100
    assert min(each.below_noise or 0 for each in int8) > 40


@pytest.mark.parametrize("variant", ["exported", "onnx"])
def test_changed_bias_of_float_file_is_named(variant: VariantName, model: nn.Module, tmp_path: Path) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.widen.bias *= 1.01  # type: ignore[union-attr, operator]
    found = errors(variant, other, tmp_path, says=model)

    assert {name for name, each in found.items() if each.exact < 80} == {"widen"}


def spoil_torchao(model: Any) -> None:
    weight = model.narrow.weight
    inner = getattr(weight, "original_weight_tensor", weight)
    (inner.scale if hasattr(inner, "scale") else inner.tensor_impl.scale).mul_(1.002)


def spoil_onnx(model: Any, gain: float = 1.002) -> None:
    from onnx import numpy_helper

    held = {each.name: each for each in model.graph.initializer}
    for name in [name for name, each in held.items() if list(each.dims) == [96, 64]]:  # one for each call
        scale = held[f"{name.removesuffix('_quantized')}_scale"]
        scale.CopyFrom(numpy_helper.from_array(np.float32(gain) * numpy_helper.to_array(scale), scale.name))


@pytest.mark.parametrize(
    ("variant", "spoil"),
    [("exported_int8", spoil_torchao), ("exported_int8wo", spoil_torchao), ("onnx_int8", spoil_onnx)],
)
def test_gain_of_a_fifth_percent_in_int8_layer_is_named(
    variant: VariantName, spoil: Spoil, model: nn.Module, tmp_path: Path
) -> None:
    found = errors(variant, model, tmp_path, spoil)

    assert {name for name, each in found.items() if each.exact < 60} == {"narrow"}
    assert found["narrow"].exact == pytest.approx(54, abs=1)


def test_product_with_other_weights_is_a_wrong_linear_and_no_missing_one(model: nn.Module, tmp_path: Path) -> None:
    found = errors("onnx_int8", model, tmp_path, lambda made: spoil_onnx(made, 1.05))

    assert set(found) == LAYERS
    assert {name for name, each in found.items() if each.exact < 60} == {"narrow"}
