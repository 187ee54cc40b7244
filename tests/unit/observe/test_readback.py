"""Faults put into a saved network, each found by the field that is there for it."""

from __future__ import annotations

import copy
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.backends.xnnpack
from timm.models.efficientformer import EfficientFormer
from torch import nn

from vitgate.observe.model_state import model_state
from vitgate.observe.readback import read_back, Readback
from vitgate.observe.saved_file import stray_records

FORMS = [
    "scripted_quantized",
    "lite_frozen",
    *(["optimized", "lite"] if torch.backends.xnnpack.enabled else []),  # type: ignore[attr-defined]
]
LAYER = "blocks.1.mlp.fc1"


@pytest.fixture(params=["fbgemm", "qnnpack"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this PyTorch lacks {request.param}")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = request.param
    yield request.param
    torch.backends.quantized.engine = before


@pytest.fixture(scope="module")
def model() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    made = VisionTransformer(
        img_size=8, patch_size=4, in_chans=1, num_classes=10, embed_dim=32, depth=3, num_heads=2, mlp_ratio=2
    )
    for name, parameter in made.named_parameters():
        if parameter.dim() == 1 and not name.startswith("blocks.2"):  # some constants equal, as in a fresh network
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval().requires_grad_(False)


@pytest.fixture
def readback(model: nn.Module, tmp_path: Path) -> Callable[..., Readback]:
    """Return a helper: quantize the model, let `spoil` change it, save it in a form, read it back."""
    original = model_state(model, torch.zeros(1, 1, 8, 8))

    def make(form: str, spoil: Callable[[nn.Module], None] = lambda _: None, model: nn.Module = model) -> Readback:
        path = tmp_path / form
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save(model, path, form, spoil)
            return read_back(path, original, frozen=form not in {"scripted", "scripted_quantized"}, quantized=True)[0]

    return make


def save(model: nn.Module, path: Path, form: str, spoil: Callable[[nn.Module], None]) -> None:
    from torch.utils.mobile_optimizer import optimize_for_mobile

    quantized = torch.quantization.quantize_dynamic(model, qconfig_spec={nn.Linear}, dtype=torch.qint8)
    if quantized is not model:
        spoil(quantized)
    module = torch.jit.script(quantized)
    if form == "lite_frozen":
        torch.jit.freeze(module)._save_for_lite_interpreter(str(path))
    elif form == "lite":
        optimize_for_mobile(module)._save_for_lite_interpreter(str(path))
    else:
        (optimize_for_mobile(module) if form == "optimized" else module).save(str(path))


def layer(found: Readback, name: str = LAYER) -> Any:
    return next(one for one in found.layers if one.name == name)


def repack(quantized: nn.Module, change: Callable[[torch.Tensor, float, int], tuple[torch.Tensor, float, int]]) -> None:
    module: Any = quantized.get_submodule(LAYER)
    weight = module.weight()
    made = change(weight.int_repr(), weight.q_scale(), weight.q_zero_point())
    module.set_weight_bias(torch._make_per_tensor_quantized_tensor(*made), module.bias())


@pytest.mark.parametrize("form", FORMS)
def test_sound_file_has_no_difference(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    found = readback(form)
    assert (found.unmatched, found.out_of_order, found.strays, found.unreadable) == ((),) * 4
    assert (len(found.layers), found.surplus_layers, found.count) == (13, 0, 44)
    for one in found.layers:
        assert (one.quantized, one.scheme, one.dtype, one.bias_equal) == (True, "per_tensor_affine", "qint8", True)
        assert one.max_error_steps is not None
        assert one.levels is not None
        assert 0.4 < one.max_error_steps <= 0.5 + 1e-4
        assert one.scale_ratio == pytest.approx(1.0, abs=1e-6)
        assert one.levels > 100


@pytest.mark.parametrize("form", FORMS)
def test_scale_off_by_five_percent_is_found(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    found = readback(form, lambda q: repack(q, lambda values, scale, zero: (values, 1.05 * scale, zero)))
    assert layer(found).scale_ratio == pytest.approx(1.05, abs=1e-5)
    assert layer(found).max_error_steps > 5
    assert max(abs((one.scale_ratio or 0) - 1) for one in found.layers if one.name != LAYER) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_zero_point_off_by_one_is_found(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    found = readback(form, lambda q: repack(q, lambda values, scale, zero: (values, scale, zero + 1)))
    assert 1.4 < layer(found).max_error_steps <= 1.5 + 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_four_bits_are_found(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    def coarse(values: torch.Tensor, scale: float, zero: int) -> tuple[torch.Tensor, float, int]:
        return (values.float() / 16).round().clamp(-8, 7).mul(16).to(torch.int8), scale, zero

    found = readback(form, lambda q: repack(q, coarse))
    assert layer(found).levels <= 16
    assert layer(found).max_error_steps > 7


@pytest.mark.parametrize("form", FORMS)
def test_layer_left_in_float_is_found(
    form: str, engine: str, readback: Callable[..., Readback], model: nn.Module
) -> None:
    found = readback(
        form, lambda q: setattr(q.get_submodule("blocks.1.mlp"), "fc1", copy.deepcopy(model.get_submodule(LAYER)))
    )
    assert [one.name for one in found.layers if not one.quantized] == [LAYER]
    assert (layer(found).dtype, layer(found).bias_equal) == ("float32", True)
    assert found.unmatched == ()


@pytest.mark.parametrize("form", FORMS)
def test_swapped_blocks_are_found(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    def swap(quantized: Any) -> None:
        quantized.blocks[0], quantized.blocks[1] = quantized.blocks[1], quantized.blocks[0]

    found = readback(form, swap)
    wrong = {one.name.rsplit(".", 2)[0][:8] for one in found.layers if (one.max_error_steps or 0) > 1}
    assert wrong == {"blocks.0", "blocks.1"}
    assert found.unmatched or found.out_of_order


@pytest.mark.parametrize("form", FORMS)
def test_changed_bias_is_found(form: str, engine: str, readback: Callable[..., Readback]) -> None:
    def change(quantized: nn.Module) -> None:
        module: Any = quantized.get_submodule(LAYER)
        bias = module.bias().clone()
        bias[3] = torch.nextafter(bias[3], torch.tensor(9.0))
        module.set_weight_bias(module.weight(), bias)

    found = readback(form, change)
    assert [one.name for one in found.layers if not one.bias_equal] == [LAYER]
    assert found.unmatched == (f"{LAYER}.bias",)


@pytest.mark.parametrize(
    "name", ["patch_embed.proj.weight", "patch_embed.proj.bias", "blocks.1.norm2.weight", "pos_embed"]
)
@pytest.mark.parametrize("form", FORMS)
def test_changed_float_parameter_is_found(form: str, name: str, engine: str, readback: Callable[..., Readback]) -> None:
    def change(quantized: nn.Module) -> None:
        quantized.state_dict()[name].reshape(-1)[0] += 1e-3

    found = readback(form, change)
    assert found.unmatched == (name,)
    assert found.strays or form == "optimized"


def test_every_copy_of_the_weights_is_compared(tmp_path: Path) -> None:
    weights = np.arange(12, dtype=np.int8)
    spoiled = weights.copy()
    spoiled[-1] += 1
    with zipfile.ZipFile(tmp_path / "m.ptl", "w") as archive:
        for index, content in enumerate((weights, weights, spoiled)):
            archive.writestr(f"m/constants/{index}.storage", content.tobytes())
        archive.writestr("m/bytecode.pkl", b"not a tensor")
    assert stray_records(tmp_path / "m.ptl", [torch.from_numpy(weights)]) == ("constants/2.storage (12 bytes)",)


def test_the_fp32_file_holds_every_parameter(model: nn.Module, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(model).save(str(tmp_path / "m.pt"))
        original = model_state(model, torch.zeros(1, 1, 8, 8))
        found = read_back(tmp_path / "m.pt", original, frozen=False, quantized=False)[0]
    assert (found.unmatched, found.strays) == ((), ())
    assert {(one.quantized, one.dtype, one.bias_equal) for one in found.layers} == {(False, "float32", True)}


class OutOfOrder(nn.Module):
    """Defines its parts in another order than it uses them, and one that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.part = nn.Sequential(nn.Linear(4, 4), nn.Identity())
        self.unused = nn.Linear(4, 4)
        self.first = nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.part(self.first(x) * self.scale))


def test_state_is_in_order_of_use() -> None:
    state = model_state(OutOfOrder(), torch.zeros(1, 4))
    assert [name for name in state.tensors if name in state.used] == [
        "first.weight",
        "first.bias",
        "scale",
        "part.0.weight",
        "part.0.bias",
        "last.weight",
        "last.bias",
    ]
    assert sorted(state.tensors) == sorted(OutOfOrder().state_dict())
    assert state.linears == ("part.0", "last", "unused")
    assert state.used_linears == ("part.0", "last")


def test_model_defined_out_of_order_has_no_difference(tmp_path: Path) -> None:
    model: Any = OutOfOrder().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) + 1)
    model.part[0].bias += 1
    model.last.bias += 2
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.freeze(torch.jit.script(model)).save(str(path))
    state = model_state(model, torch.zeros(1, 4))
    found = read_back(path, state, frozen=True, quantized=False)[0]
    assert (found.out_of_order, found.unmatched, found.strays) == ((), (), ())
    backwards = replace(state, tensors=dict(reversed(state.tensors.items())))
    assert read_back(path, backwards, frozen=True, quantized=False)[0].out_of_order != ()


class Attention(nn.Module):
    """nn.MultiheadAttention, whose projections are no Linear that dynamic quantization converts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return self.head(self.attention(y, y, y, need_weights=False)[0].mean(1))


class Folded(nn.Module):
    """A batch norm that freezing folds into the convolution before it, and a buffer that no state dict has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8))
        for buffer in self.stem.buffers():
            buffer.data = buffer + torch.rand(8) if buffer.is_floating_point() else buffer
        self.register_buffer("offset", torch.rand(1, 8), persistent=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(x).mean((2, 3)) + self.offset)


class Shared(nn.Module):
    """A Linear that is called twice, two that share their weights, and a table that is gathered by an index."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.two.weight = self.one.weight
        self.two.bias.data += 1
        self.table = nn.Parameter(torch.rand(5, 8))
        self.mask_token = nn.Parameter(torch.rand(8))
        self.gain = torch.rand(8)  # a plain attribute

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.two(self.one(self.one(x))) + self.table[torch.tensor([3, 1, 1, 0])].mean(0)
        return self.head(x * self.gain)


class Cached(EfficientFormer):
    """A table that the first call gathers by an index and keeps: a frozen file holds its two parts."""

    def __init__(self) -> None:
        super().__init__(depths=(1, 1, 1, 2), embed_dims=(8, 16, 24, 32), num_vit=1, num_classes=3)
        for parameter in self.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)


OWN = [(Attention, (1, 4, 16)), (Folded, (1, 3, 8, 8)), (Shared, (1, 8)), (Cached, (1, 3, 224, 224))]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("made", "shape"), OWN, ids=lambda value: getattr(value, "__name__", ""))
def test_sound_file_of_user_model_has_no_difference(
    made: type[nn.Module], shape: tuple[int, ...], form: str, engine: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = made().eval().requires_grad_(False)
    original = model_state(copy.deepcopy(model), torch.rand(shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(model, tmp_path / form, form, lambda _: None)
        found = read_back(tmp_path / form, original, frozen=form != "scripted_quantized", quantized=True)[0]
    assert (found.unmatched, found.out_of_order, found.strays, found.unreadable) == ((),) * 4
    assert found.surplus_layers == 0
    assert all(one.quantized and one.bias_equal and (one.max_error_steps or 9) < 0.501 for one in found.layers)
    copies = 2 if engine == "fbgemm" and form.startswith("lite") else 1
    stored = found.stored_bytes - (copies - 1) * found.int8_bytes
    assert found.least_bytes <= stored <= found.most_bytes


@pytest.mark.parametrize(
    ("made", "shape", "name"),
    [
        (Attention, (1, 4, 16), "attention.in_proj_weight"),
        (Folded, (1, 3, 8, 8), "stem.1.running_var"),
        (Folded, (1, 3, 8, 8), "offset"),
        (Shared, (1, 8), "table"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_tensor_is_named_in_a_frozen_file(
    made: type[nn.Module], shape: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = made().eval().requires_grad_(False)
    original = model_state(copy.deepcopy(model), torch.rand(shape))
    dict([*model.named_parameters(), *model.named_buffers()])[name] += 0.01
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(model, tmp_path / "m.ptl", "lite_frozen", lambda _: None)
        found = read_back(tmp_path / "m.ptl", original, frozen=True, quantized=True)[0]
    assert name in found.unmatched
    assert found.strays
