"""Faults of kernels, which leave every file, graph, weight and size as it is: each is found on a model of a user's too.

The dispatcher's `quantized::linear_dynamic` is replaced by one that is faithful but for one thing, and so are kernels
of float32. What lies below the rounding of float32 is in `BELOW`, with its size.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from vitgate.expected.kernels import kernel_errors
from vitgate.expected.layers import FileLayer, layer_errors
from vitgate.expected.logits import expected_logits
from vitgate.expected.schemes import DynamicInt8
from vitgate.files.schemas import fixtures_folder
from vitgate.judge import computed
from vitgate.judge.metrics import Array
from vitgate.judge.tolerances import read_tolerances
from vitgate.pipeline.stages import create_model
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import ACTIVATION_BITS, Engine
from vitgate.spec.outcome import Finding

pytestmark = pytest.mark.long

Kernel = Callable[[torch.Tensor, Any, bool], torch.Tensor]
CELL = CellId("deit_base", "fbgemm", "scripted_quantized")  # whose tolerances are those of every case


@contextmanager
def replaced(name: str, kernel: Callable[..., Any]) -> Iterator[None]:
    """Replace an operator's kernel on the CPU for as long as the block lasts."""
    space, _, operator = name.partition("::")
    library = torch.library.Library(space, "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a kernel already
        library.impl(operator, kernel, "CPU")
    try:
        yield
    finally:
        library._destroy()


def rounded(
    x: torch.Tensor, levels: int = 127, shift: float = 0.0, clip: float = 1.0, down: bool = False
) -> torch.Tensor:
    """Round activations to a grid that includes 0, `shift` steps off, over a part of their range."""
    low, high = clip * min(float(x.min()), 0.0), clip * max(float(x.max()), 0.0)
    scale = (high - low) / levels or 1.0
    zero = round(-low / scale)
    steps = (x / scale).floor() if down else (x / scale).round()
    return ((steps + zero).clamp(0, levels) - zero + shift) * scale


def spoilt(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    y = y.clone()
    y[..., 0] *= 0.5
    return y


def only_first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Change the results of the layers that have three times as many outputs as inputs: one kind of layer in a ViT."""
    return lambda x, y: change(y) if y.shape[-1] == 3 * x.shape[-1] else y


RESULTS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gain of 2%": lambda x, y: y * 1.02,
    "gain of 0.2%": lambda x, y: y * 1.002,
    "gain of 0.01%": lambda x, y: y * 1.0001,
    "one kind of layer 1% off": only_first(lambda y: y * 1.01),
    "one output column halved": spoilt,
    "results in bfloat16": lambda x, y: y.bfloat16().float(),
    "results in float16": lambda x, y: y.half().float(),
    "results clipped": lambda x, y: y.clamp(max=0.5 * float(y.max())),
    "an offset of a thousandth": lambda x, y: y + 1e-3 * y.std(),
}
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "6 bits": lambda x: rounded(x, 63),
    "8 bits": lambda x: rounded(x, 255),
    "zero point off by one": lambda x: rounded(x, shift=1.0),
    "range cut by a tenth": lambda x: rounded(x, clip=0.9),
    "rounded down": lambda x: rounded(x, down=True),
    "float": lambda x: x,
}
BELOW = {"a gain of a millionth": 120.0}  # dB: as large as the rounding of float32


def small_vit() -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(img_size=32, patch_size=8, num_classes=3, embed_dim=48, depth=2, num_heads=2)
    return model.eval().requires_grad_(False)


def digits() -> nn.Module:
    case = read_cases()["digits"]
    assert case.trained is not None
    model = create_model(case, load_file(fixtures_folder() / case.trained))
    return model.requires_grad_(False)


class Judged:
    """A model with its int8 form, and the findings about it that are out of bounds."""

    def __init__(self, model: nn.Module, shape: tuple[int, ...], engine: Engine = "fbgemm", pictures: int = 40) -> None:
        self.model, self.scheme = model, DynamicInt8(ACTIVATION_BITS[engine])
        self.x = torch.rand(pictures, *shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
        torch.backends.quantized.engine = engine
        self.int8 = torch.quantization.quantize_dynamic(self.model, qconfig_spec={nn.Linear}, dtype=torch.qint8)
        self.original = self.logits(self.model)
        self.expected = expected_logits(self.model, self.scheme, self.x).numpy()
        children = dict(self.int8.named_modules())
        linears = [name for name, module in self.model.named_modules() if type(module) is nn.Linear]
        self.layers = {
            name: FileLayer(children[name], children[name].weight(), True)  # type: ignore[operator]
            for name in linears
        }

    def logits(self, model: nn.Module) -> Array:
        with torch.no_grad():
            return torch.cat([model(self.x[at : at + 1]) for at in range(len(self.x))]).numpy()

    def red(self) -> set[str]:
        """Return the claims that do not hold."""
        errors = layer_errors(self.model, self.x[:1], self.layers, self.scheme)
        of_layers = computed.layers([vars(each) for each in errors])
        of_logits = computed.expected_error(self.logits(self.int8), self.original, self.expected)
        of_kernels = computed.kernels([vars(each) for each in kernel_errors(self.model, self.x[:1])])
        claims = {"layers": of_layers, "logits_original": of_logits}
        out = {claim for claim, found in claims.items() if not all(holds(claim, each, CELL) for each in found)}
        return out | (set() if holds("kernels", of_kernels, CELL.at("original")) else {"kernels"})


def holds(claim: str, finding: Finding, cell: CellId) -> bool:
    return read_tolerances().bounded(claim, finding, cell, "own", "x86_64").ok


@pytest.fixture(autouse=True, scope="module")
def engine_as_before() -> Iterator[None]:
    """Leave the process's engine as it was: other tests are about one that nobody sets."""
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before


@pytest.fixture(scope="module", params=["own", "digits"])
def judged(request: pytest.FixtureRequest) -> Judged:
    if request.param == "own":
        return Judged(small_vit(), (3, 32, 32))
    return Judged(digits(), read_cases()["digits"].input)


def kernel_of(activation: Callable[[torch.Tensor], torch.Tensor], result: Any = lambda x, y: y) -> Kernel:
    def kernel(x: torch.Tensor, packed: Any, reduce_range: bool = False) -> torch.Tensor:
        weight, bias = torch.ops.quantized.linear_unpack(packed)
        return result(x, functional.linear(activation(x), weight.dequantize(), bias))

    return kernel


def test_reference_int8_kernel_passes(judged: Judged) -> None:
    assert judged.red() == set()
    with replaced("quantized::linear_dynamic", kernel_of(rounded)):
        assert judged.red() == set()


@pytest.mark.parametrize("name", RESULTS)
def test_int8_kernel_with_wrong_results_is_found(judged: Judged, name: str) -> None:
    with replaced("quantized::linear_dynamic", kernel_of(rounded, RESULTS[name])):
        assert "layers" in judged.red()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_int8_kernel_with_other_rounding_is_found(judged: Judged, name: str) -> None:
    with replaced("quantized::linear_dynamic", kernel_of(ACTIVATIONS[name])):
        assert "layers" in judged.red()


@pytest.mark.parametrize("name", BELOW)
def test_error_below_rounding_is_not_found(judged: Judged, name: str) -> None:
    with replaced("quantized::linear_dynamic", kernel_of(rounded, lambda x, y: y * (1 + 1e-6))):
        assert judged.red() == set()


def addmm(gain: float) -> Callable[..., Any]:
    def kernel(
        bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, *, beta: float = 1, alpha: float = 1
    ) -> torch.Tensor:
        return (beta * bias + alpha * torch.mm(x, y)) * (gain if x.dtype == torch.float32 else 1.0)

    return kernel


def layer_norm(gain: float) -> Callable[..., Any]:
    def kernel(x: torch.Tensor, shape: list[int], weight: torch.Tensor, bias: torch.Tensor, eps: float) -> Any:
        mean = x.mean(-1, keepdim=True)
        rstd = ((x - mean).square().mean(-1, keepdim=True) + eps).rsqrt()
        return ((x - mean) * rstd * weight + bias) * (gain if x.dtype == torch.float32 else 1.0), mean, rstd

    return kernel


def gelu(gain: float) -> Callable[..., Any]:
    def kernel(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
        return 0.5 * x * (1 + torch.erf(x / 2**0.5)) * (gain if x.dtype == torch.float32 else 1.0)

    return kernel


def attention(gain: float) -> Callable[..., Any]:
    def kernel(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        attn_mask: torch.Tensor | None = None,
        scale: float | None = None,
    ) -> Any:
        weights = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        found = weights.softmax(-1) @ value
        return found * (gain if query.dtype == torch.float32 else 1.0), weights.logsumexp(-1)

    return kernel


FLOAT = {
    "aten::addmm": addmm,
    "aten::native_layer_norm": layer_norm,
    "aten::gelu": gelu,
    "aten::_scaled_dot_product_flash_attention_for_cpu": attention,
}


@pytest.mark.parametrize("operator", FLOAT)
@pytest.mark.parametrize("size", [1e-2, 1e-3, 1e-4])
def test_inaccurate_float_kernel_is_found(judged: Judged, operator: str, size: float) -> None:
    with replaced(operator, FLOAT[operator](1.0 + size)):
        assert "kernels" in judged.red()


@pytest.mark.parametrize("operator", FLOAT)
def test_accurate_float_kernel_passes(judged: Judged, operator: str) -> None:
    with replaced(operator, FLOAT[operator](1.0)):
        assert "kernels" not in judged.red()


def with_outliers(seed: int, times: float, share: float) -> nn.Module:
    """Make up a ViT as trained Transformers are: weights of heavy tails, and a few channels far above the others."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(seed)
    model = VisionTransformer(img_size=32, patch_size=8, num_classes=50, embed_dim=96, depth=4, num_heads=3)
    model.eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.copy_(0.05 * torch.distributions.StudentT(3.0).sample(weight.shape))
        if "norm" in name and name.endswith("weight"):
            weight[torch.randperm(len(weight))[: max(1, round(share * len(weight)))]] *= times
    return model


@pytest.mark.parametrize("engine", ["fbgemm", "onednn", "qnnpack"])
@pytest.mark.parametrize(("times", "share"), [(1.0, 0.0), (10.0, 0.02), (50.0, 0.01), (100.0, 0.01), (100.0, 0.03)])
def test_outliers_of_trained_models_cause_no_false_alarm(engine: Engine, times: float, share: float) -> None:
    judged = Judged(with_outliers(int(times), times, share), (3, 32, 32), engine)

    assert judged.red() == set()


def test_lost_bit_is_found_in_model_with_outliers() -> None:
    judged = Judged(with_outliers(1, 50.0, 0.01), (3, 32, 32))

    with replaced("quantized::linear_dynamic", kernel_of(ACTIVATIONS["6 bits"])):
        assert {"layers", "logits_original"} <= judged.red()
