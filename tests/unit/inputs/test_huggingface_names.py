"""A ViT's parameters under the names that transformers publishes, from timm's and from those of its newer releases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vitgate.inputs.huggingface_names import from_timm, published
from vitgate.inputs.standin import generate, vit_shapes

SMALL = vit_shapes(embed_dim=8, depth=2, patch=4, image=8, classes=5)


def test_every_timm_parameter_maps_once() -> None:
    state = generate(SMALL, None)
    found = from_timm(state)
    assert sum(value.size for value in found.values()) == sum(math.prod(shape) for shape in SMALL.values())
    assert {name.partition(".")[0] for name in found} == {"vit", "classifier"}


def test_query_key_and_value_are_the_thirds_of_timms_matrix_in_that_order() -> None:
    state = generate(SMALL, None)
    found, prefix = from_timm(state), "vit.encoder.layer.1.attention.attention."
    for kind in ("weight", "bias"):
        parts = [found[f"{prefix}{part}.{kind}"] for part in ("query", "key", "value")]
        assert np.array_equal(np.concatenate(parts), state[f"blocks.1.attn.qkv.{kind}"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit.layers.3.attention.q_proj.weight", "vit.encoder.layer.3.attention.attention.query.weight"),
        ("vit.layers.11.attention.o_proj.bias", "vit.encoder.layer.11.attention.output.dense.bias"),
        ("vit.layers.0.mlp.fc1.weight", "vit.encoder.layer.0.intermediate.dense.weight"),
        ("vit.layers.0.mlp.fc2.weight", "vit.encoder.layer.0.output.dense.weight"),
        ("vit.layers.0.layernorm_before.weight", "vit.encoder.layer.0.layernorm_before.weight"),
        ("vit.embeddings.cls_token", "vit.embeddings.cls_token"),
        ("classifier.weight", "classifier.weight"),
    ],
)
def test_newer_names_become_the_published_ones(name: str, expected: str) -> None:
    assert published(name) == expected == published(expected)
