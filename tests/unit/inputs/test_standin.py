"""The stand-in model must be the same bytes everywhere; the pinned digest is what every record of it rests on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder, read_toml
from vitgate.inputs import standin

FIXTURES = fixtures_folder()
TABLE = read_toml(FIXTURES / "heads" / "deit_base.toml")
HF_TABLE = read_toml(FIXTURES / "heads" / "vit_base_hf.toml")
PICTURES = [*TABLE["picture"], HF_TABLE["picture"][0]]
HEAD = FIXTURES / TABLE["head"]
TINY = standin.vit_shapes(embed_dim=192, depth=2)


@pytest.fixture(scope="module")
def full_size() -> dict[str, np.ndarray]:
    return standin.generate(standin.vit_shapes(), HEAD)


def test_full_size_model_has_the_pinned_bytes(full_size: dict[str, np.ndarray]) -> None:
    assert TABLE["generator"] == standin.GENERATOR
    assert standin.digest(full_size) == TABLE["sha256"]


def test_full_size_model_is_float32_finite_and_complete(full_size: dict[str, np.ndarray]) -> None:
    assert {name: value.shape for name, value in full_size.items()} == standin.vit_shapes()
    assert sum(value.size for value in full_size.values()) == 86_567_656
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in full_size.values())


def test_scales_follow_the_fan_in(full_size: dict[str, np.ndarray]) -> None:
    spread = {name: float(value.std()) for name, value in full_size.items()}
    assert spread["blocks.3.mlp.fc2.weight"] == pytest.approx(standin.GAIN / 3072**0.5, rel=0.01)
    assert spread["patch_embed.proj.weight"] == pytest.approx(standin.GAIN / 768**0.5, rel=0.01)
    assert spread["pos_embed"] == pytest.approx(standin.TOKEN_STD, rel=0.02)
    assert spread["blocks.0.attn.qkv.bias"] == pytest.approx(standin.BIAS_STD, rel=0.1)
    assert 0.75 <= full_size["blocks.0.norm1.weight"].min() < 0.8 < 1.2 < full_size["norm.weight"].max() < 1.25


def test_head_rows_stand_where_the_file_says(full_size: dict[str, np.ndarray]) -> None:
    classes, weight, bias = standin.read_head(HEAD)
    labels = {picture["label"] for picture in TABLE["picture"]}
    assert labels <= set(classes.tolist())
    assert np.array_equal(full_size["head.weight"][classes], weight)
    assert np.array_equal(full_size["head.bias"][classes], bias)


def test_order_of_the_parameters_does_not_matter() -> None:
    forwards, backwards = (standin.generate(dict(shapes), None) for shapes in (TINY, reversed(TINY.items())))
    assert list(forwards) == list(TINY)
    assert list(backwards) == list(reversed(TINY))
    assert all(np.array_equal(forwards[name], backwards[name]) for name in TINY)
    assert standin.digest(forwards) == standin.digest(backwards)


def test_every_parameter_has_its_own_random_stream() -> None:
    state = standin.generate(TINY, None)
    assert len({value.tobytes() for value in state.values()}) == len(TINY)


def test_generation_does_not_depend_on_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = standin.digest(standin.generate(TINY, None))
    monkeypatch.setattr(standin, "_CHUNK", 1000)
    assert standin.digest(standin.generate(TINY, None)) == whole


@pytest.mark.parametrize("change", ["value", "name", "shape"])
def test_digest_changes_with_value_name_and_shape(change: str) -> None:
    state = {"a": np.arange(6, dtype=np.float32), "b": np.zeros((2, 3), np.float32)}
    before = standin.digest(state)
    if change == "value":
        state["b"][1, 2] = np.float32(1e-45)
    elif change == "name":
        state["c"] = state.pop("b")
    else:
        state["b"] = state["b"].reshape(3, 2)
    assert standin.digest(state) != before


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("deit_base_patch16_224", {}),
        ("deit_tiny_patch16_224", {"embed_dim": 192}),
        ("deit_base_patch16_384", {"image": 384}),
        ("deit_small_distilled_patch16_224", {"embed_dim": 384, "distilled": True}),
        ("vit_base_patch32_224", {"patch": 32}),
    ],
)
def test_shapes_are_those_of_timm(model: str, arguments: dict[str, Any]) -> None:
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    if hasattr(torch, "device") and not hasattr(torch.device("meta"), "__enter__"):
        built = timm.create_model(model)
    else:
        with torch.device("meta"):
            built = timm.create_model(model)
    expected = {name: tuple(value.shape) for name, value in built.state_dict().items()}
    assert list(standin.vit_shapes(**arguments).items()) == list(expected.items())


MEASURE = f"""
import resource, sys, time
from pathlib import Path
from vitgate.inputs import standin
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
state = standin.generate(standin.vit_shapes(), Path({str(HEAD)!r}))
standin.digest(state)
seconds = time.process_time() - started
extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 - 4 * 86567656
print(seconds, extra, "torch" in sys.modules)
"""


def test_generation_is_cheap_and_imports_no_torch() -> None:
    """At most 5 s of processor time and 1 GB above the model itself; torch is never imported."""
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    seconds, extra, torch = run.stdout.split()
    assert float(seconds) < 5
    assert int(extra) < 10**9
    assert torch == "False"


def broken_head(kind: str, folder: Path) -> Path:
    path = folder / "head.safetensors"
    tensors = load_file(HEAD)
    if kind == "truncated":
        path.write_bytes(HEAD.read_bytes()[:-100])
    elif kind == "not safetensors":
        path.write_bytes(b"PK\x03\x04 something else")
    elif kind == "another tensor":
        save_file({**tensors, "extra": tensors["bias"]}, path)
    elif kind == "class twice":
        save_file({**tensors, "classes": np.full_like(tensors["classes"], 3)}, path)
    elif kind == "class out of range":
        save_file({**tensors, "classes": tensors["classes"] + np.int32(900)}, path)
    elif kind == "not a number":
        save_file({**tensors, "weight": np.full_like(tensors["weight"], np.nan)}, path)
    return path


@pytest.mark.parametrize(
    "kind",
    ["missing", "truncated", "not safetensors", "another tensor", "class twice", "class out of range", "not a number"],
)
def test_damaged_head_gives_one_line_error(kind: str, tmp_path: Path) -> None:
    path = broken_head(kind, tmp_path)
    with pytest.raises(UsageError) as caught:
        standin.generate(standin.vit_shapes(depth=1), path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_head_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="rows of 768 features"):
        standin.generate(TINY, HEAD)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: Path(picture["file"]).stem)
def test_committed_picture_is_rgb_with_pinned_digest(picture: dict[str, str]) -> None:
    path = FIXTURES / picture["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == picture["sha256"]
    assert Image.open(path).mode == "RGB"


def test_pictures_have_labels_of_their_own_and_stay_small() -> None:
    labels = [picture["label"] for picture in TABLE["picture"]]
    files = [FIXTURES / picture["file"] for picture in PICTURES]
    assert len(set(labels)) == len(labels) >= 12
    assert set(files) == set((FIXTURES / "images").glob("*.png"))
    assert sum(file.stat().st_size for file in files) < 400_000
    assert TABLE["fallback_reference"] == "images/wolf_sketch.png"
    assert labels[0] == 269
    assert HF_TABLE["fallback_reference"] == "images/soccer_ball.png" == HF_TABLE["picture"][0]["file"]
    assert HF_TABLE["picture"][0]["label"] == 805
