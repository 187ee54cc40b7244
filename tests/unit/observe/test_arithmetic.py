"""The words for what a graph computes: the same for every form, another for every constant that matters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from vitgate.inputs.field_files import committed, FieldItem, located
from vitgate.observe.arithmetic import arithmetic
from vitgate.observe.saved_file import executed_graph, walk
from vitgate.pipeline.stages import engine_set


class Fused(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x, scale=self.scale)


class Rounding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(torch.round(x), 0.1, 0, -128, 127)


class Half(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.half().softmax(dim=-1).float()


def words(module: nn.Module, *, frozen: bool = False) -> dict[str, int]:
    scripted = torch.jit.script(module.eval())
    return arithmetic(walk(executed_graph(torch.jit.freeze(scripted) if frozen else scripted)))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.LayerNorm(4, eps=1e-6), {"layer_norm eps=1e-06": 1}),
        (nn.LayerNorm(4), {"layer_norm eps=1e-05": 1}),
        (nn.GELU(), {"gelu none": 1}),
        (nn.GELU(approximate="tanh"), {"gelu tanh": 1}),
        (nn.Softmax(dim=-1), {"attention": 1}),
        (nn.Conv2d(1, 1, 2), {"conv2d": 1}),
        (Rounding(), {"aten::fake_quantize_per_tensor_affine": 1, "aten::round": 1}),
        (Half(), {"attention": 1, "cast to float16": 1}),
        (nn.Sequential(nn.GELU(), nn.Linear(4, 4), nn.GELU()), {"gelu none": 2}),
    ],
    ids=lambda part: type(part).__name__,
)
def test_operators_are_counted_with_their_constants(module: nn.Module, expected: dict[str, int], frozen: bool) -> None:
    assert words(module, frozen=frozen) == expected


FIELD = [item for item in committed() if item.row.variant in ("scripted_quantized", "lite_frozen")]


@pytest.mark.parametrize("item", [item for item in FIELD if item.row.engine == "fbgemm"], ids=lambda item: item.row.id)
def test_files_of_all_releases_have_expected_arithmetic(item: FieldItem, tmp_path: Path) -> None:
    assert item.cell is not None
    with engine_set("fbgemm"):
        module = torch.jit.load(str(located(item, tmp_path)))
        assert arithmetic(walk(executed_graph(module))) == item.cell.arithmetic


@pytest.mark.skipif(
    "scale" not in (nn.functional.scaled_dot_product_attention.__doc__ or ""), reason="this PyTorch has no scale there"
)
def test_custom_attention_scale_is_named() -> None:
    assert words(Fused(0.5), frozen=True) == {"attention scale=0.5": 1}
