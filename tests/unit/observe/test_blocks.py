"""Every form gives its blocks' outputs, and a fault in one block is found in that block."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.backends.xnnpack
from torch import nn

from vitgate.judge.blocks import part_ways
from vitgate.observe.blocks import block_outputs, blocks_of

BLOCKS = 4
FORMS = ["scripted_quantized", "lite_frozen", *(["optimized", "lite"] if torch.backends.xnnpack.enabled else [])]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "qnnpack"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.backends.quantized.engine = before


@pytest.fixture(scope="module")
def model() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    made = VisionTransformer(
        img_size=8, patch_size=2, in_chans=1, num_classes=10, embed_dim=64, depth=BLOCKS, num_heads=4, mlp_ratio=2
    )
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def quantize(model: nn.Module) -> nn.Module:
    return torch.quantization.quantize_dynamic(model, qconfig_spec={nn.Linear}, dtype=torch.qint8)


def save(model: nn.Module, form: str, folder: Path) -> Path:
    from torch.utils.mobile_optimizer import optimize_for_mobile

    path = folder / form
    module = torch.jit.script(quantize(model))
    if form in {"optimized", "lite"}:
        module = optimize_for_mobile(module)
    if form == "lite_frozen":
        module = torch.jit.freeze(module)
    module._save_for_lite_interpreter(str(path)) if "lite" in form else module.save(str(path))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_file_gives_its_own_logits_and_the_blocks_of_its_parent(
    form: str, model: nn.Module, x: torch.Tensor, tmp_path: Path
) -> None:
    path = save(model, form, tmp_path)
    found = block_outputs(path, x, frozen=form != "scripted_quantized", blocks=BLOCKS)
    assert np.array_equal(found[-1], torch.jit.load(str(path))(x).numpy())
    parent = block_outputs(quantize(model), x, frozen=False, blocks=BLOCKS)
    assert [array.shape for array in found] == [array.shape for array in parent] == [(3, 17, 64)] * 5 + [(3, 10)]
    assert not part_ways(parent, found, ordinary=30.0).clear
    assert min(part_ways(parent, found).sqnr) > 25


def test_the_scripted_model_gives_exactly_the_eager_blocks(model: nn.Module, x: torch.Tensor) -> None:
    eager = block_outputs(model, x, frozen=False, blocks=BLOCKS)
    scripted = block_outputs(torch.jit.script(model), x, frozen=False, blocks=BLOCKS)
    assert min(part_ways(eager, scripted).sqnr) > 110


def test_hooks_are_removed(model: nn.Module, x: torch.Tensor) -> None:
    block_outputs(model, x, frozen=False, blocks=BLOCKS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_graph_of_other_depth_is_refused(model: nn.Module, x: torch.Tensor) -> None:
    with pytest.raises(LookupError, match="8 residual additions"):
        block_outputs(torch.jit.script(model), x, frozen=False, blocks=5)


def silence(module: Any) -> None:
    module.weight.zero_()
    module.bias.zero_()


FAULTS: dict[str, Callable[[Any], object]] = {
    "attention left out": lambda block: silence(block.attn.proj),
    "MLP left out": lambda block: silence(block.mlp.fc2),
    "scale off 20% in the MLP": lambda block: block.mlp.fc2.weight.mul_(1.2),
    "scale off 20% in qkv": lambda block: block.attn.qkv.weight.mul_(1.2),
    "norm off 20%": lambda block: block.norm1.weight.mul_(1.2),
}


@pytest.mark.parametrize("kind", ["fp32", "int8 against fp32", "int8 against int8"])
@pytest.mark.parametrize("index", range(BLOCKS))
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_located_in_its_block(fault: str, index: int, kind: str, model: Any, x: torch.Tensor) -> None:
    spoiled = copy.deepcopy(model)
    FAULTS[fault](spoiled.blocks[index])
    sound = quantize(model) if kind == "int8 against int8" else model
    other = spoiled if kind == "fp32" else quantize(spoiled)
    reference, seen = (block_outputs(one, x, frozen=False, blocks=BLOCKS) for one in (sound, other))
    assert part_ways(reference, seen, ordinary=35.0 if kind == "int8 against int8" else None).first == f"blocks.{index}"


@pytest.mark.parametrize(
    ("name", "place"),
    [("patch_embed.proj.weight", "patch_embed"), ("pos_embed", "patch_embed"), ("head.weight", "head")],
)
@pytest.mark.parametrize("quantized", [False, True])
def test_fault_outside_blocks_is_located(name: str, place: str, quantized: bool, model: Any, x: torch.Tensor) -> None:
    spoiled = copy.deepcopy(model)
    spoiled.state_dict()[name].mul_(1.5)
    reference = block_outputs(model, x, frozen=False, blocks=BLOCKS)
    other = block_outputs(quantize(spoiled) if quantized else spoiled, x, frozen=False, blocks=BLOCKS)
    assert part_ways(reference, other).first == place


@pytest.mark.parametrize("form", FORMS)
def test_fault_in_saved_file_is_located(form: str, model: nn.Module, x: torch.Tensor, tmp_path: Path) -> None:
    spoiled: Any = copy.deepcopy(model)
    silence(spoiled.blocks[2].attn.proj)
    path = save(spoiled, form, tmp_path)
    seen = block_outputs(path, x, frozen=form != "scripted_quantized", blocks=BLOCKS)
    assert part_ways(block_outputs(model, x, frozen=False, blocks=BLOCKS), seen).first == "blocks.2"


def test_blocks_are_longest_list_of_equal_modules(model: nn.Module) -> None:
    assert [*blocks_of(model)] == [*model.get_submodule("blocks").children()]


def test_model_without_blocks_is_lookup_error() -> None:
    with pytest.raises(LookupError, match="no list of blocks"):
        blocks_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
