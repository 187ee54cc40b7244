"""The ViT of transformers: built without a network, given its weights by name, traced, and looked into like timm's."""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from vitgate.files.errors import MachineError
from vitgate.inputs.huggingface_names import from_timm
from vitgate.inputs.standin import generate, vit_shapes
from vitgate.pipeline.stages import create_model, trace
from vitgate.pipeline.weights_file import model_state
from vitgate.spec.cases import Case, missing_library, read_cases

CASE = read_cases()["vit_base_hf"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
SMALL = CASE.model_copy(update={"arguments": {**CASE.arguments, **SIZES, "image_size": 32}, "input": (3, 32, 32)})

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::torch.jit.TracerWarning")  # as users see
installed = pytest.mark.skipif(bool(missing_library(CASE)), reason="transformers is not installed")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: whoever asks for it fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def standin(case: Case) -> dict[str, torch.Tensor]:
    sizes = vit_shapes(embed_dim=16, depth=3, image=case.input[-1])
    return {name: torch.from_numpy(value.copy()) for name, value in from_timm(generate(sizes, None)).items()}


@installed
def test_model_is_built_offline_with_published_weight_names(alone: None) -> None:
    state = standin(SMALL)
    found = model_state(SMALL)
    assert {name: value.shape for name, value in found.items()} == {name: value.shape for name, value in state.items()}
    model = create_model(SMALL, state)
    assert not model.training
    x = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        assert model(x).shape == (2, 1000)


@installed
def test_missing_weight_is_error() -> None:
    state = standin(SMALL)
    del state["vit.layernorm.bias"]
    with pytest.raises(RuntimeError, match=r"vit\.layernorm\.bias"):
        create_model(SMALL, state)


@installed
def test_timm_and_transformers_names_give_same_network() -> None:
    from timm.models.vision_transformer import VisionTransformer

    sizes = vit_shapes(embed_dim=16, depth=3, image=32)
    weights = {name: torch.from_numpy(value) for name, value in generate(sizes, None).items()}
    norm = partial(torch.nn.LayerNorm, eps=1e-12)
    timms = VisionTransformer(img_size=32, embed_dim=16, depth=3, num_heads=2, norm_layer=norm).eval()
    timms.load_state_dict(weights)
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(create_model(SMALL, standin(SMALL))(x), timms(x), atol=1e-5)


@installed
def test_traced_model_gives_eager_logits_for_another_picture() -> None:
    model = create_model(SMALL, standin(SMALL))
    traced = trace(model, SMALL)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(traced(x), model(x))


@installed
@pytest.mark.parametrize("frozen", [False, True])
def test_the_blocks_of_the_traced_model_are_those_of_the_eager_one(frozen: bool, tmp_path: Path) -> None:
    from vitgate.observe.blocks import block_outputs, blocks_of

    model = create_model(SMALL, standin(SMALL))
    traced = trace(model, SMALL)
    path = tmp_path / "model.pt"
    (torch.jit.freeze(traced) if frozen else traced).save(str(path))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert len(blocks_of(model)) == 3
    eager, saved = (block_outputs(of, x, frozen=frozen, blocks=3) for of in (model, path))
    assert [array.shape for array in saved] == [array.shape for array in eager]
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(eager, saved, strict=True))


def test_missing_transformers_is_environment_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineError, match=r'pip install "vitgate\[transformers\]"') as caught:
        model_state(SMALL)
    assert caught.value.exit_status == 6
    assert "\n" not in str(caught.value)
