"""The engine is the one that was asked for, before and after what runs under it, or the stage says so."""

from __future__ import annotations

import pytest
import torch

from vitgate.pipeline import stages
from vitgate.pipeline.stages import engine_set
from vitgate.spec.cases import read_cases
from vitgate.spec.engines import Engine
from vitgate.spec.outcome import ClaimFailed


@pytest.fixture
def before() -> str:
    return torch.backends.quantized.engine


def test_engine_is_set_within_context_alone(before: str) -> None:
    with engine_set("qnnpack"):
        assert torch.backends.quantized.engine == "qnnpack"
    assert torch.backends.quantized.engine == before


def test_ignored_engine_setting_fails_at_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    other: Engine = "fbgemm" if torch.backends.quantized.engine == "qnnpack" else "qnnpack"
    monkeypatch.setattr(torch._C, "_set_qengine", lambda number: None)
    with pytest.raises(ClaimFailed) as caught, engine_set(other):
        pytest.fail("the block ran under another engine")
    assert str(caught.value.outcome) == "failed at set_engine"
    assert f"{other} was set" in caught.value.outcome.message


def test_engine_changed_meanwhile_fails_at_its_stage(before: str) -> None:
    with pytest.raises(ClaimFailed) as caught, engine_set("qnnpack"):
        torch.backends.quantized.engine = "fbgemm"
    assert str(caught.value.outcome) == "failed at set_engine"
    assert torch.backends.quantized.engine == before


def test_exception_within_context_is_unchanged(before: str) -> None:
    with pytest.raises(ValueError, match="its own"), engine_set("qnnpack"):
        torch.backends.quantized.engine = "fbgemm"
        raise ValueError("its own")
    assert torch.backends.quantized.engine == before


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_model_that_needs_values_while_it_is_built_is_built_with_them(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As timm 1.0.15 to 1.0.20 does, where `Tensor.item()` cannot be called on meta tensors."""

    def architecture(case: object) -> torch.nn.Module:
        if torch.empty(0).is_meta:
            raise error("Tensor.item() cannot be called on meta tensors")
        return torch.nn.Linear(2, 3)

    monkeypatch.setattr(stages, "architecture", architecture)

    assert stages.unfilled(read_cases()["digits"]).weight.device.type == "cpu"


class Attends(torch.nn.Module):
    """Attention, an embedding and two Linears, as CLIP-like encoders have."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = torch.nn.Embedding(16, 32)
        self.attention = torch.nn.MultiheadAttention(32, 2, batch_first=True)
        self.hidden = torch.nn.Linear(32, 64)
        self.head = torch.nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.embed(x)
        y = y + self.attention(y, y, y, need_weights=False)[0]
        return self.head(torch.nn.functional.gelu(self.hidden(y)).mean(1))


def test_users_model_gives_what_eager_dynamic_quantization_gives() -> None:
    x = torch.arange(8)[None]
    with stages.engine_set("fbgemm"), torch.no_grad():
        expected = torch.quantization.quantize_dynamic(Attends().eval(), {torch.nn.Linear})(x)

        quantized = stages.quantize_dynamic(Attends().eval(), "fbgemm", as_the_tutorial=False)
        found = torch.jit.freeze(torch.jit.script(quantized))(x)

    assert torch.equal(found, expected)
    assert type(quantized.get_submodule("attention.out_proj")).__name__ == "NonDynamicallyQuantizableLinear"
    assert type(quantized.get_submodule("embed")) is torch.nn.Embedding
