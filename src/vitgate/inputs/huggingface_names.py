"""What transformers calls the parameters of a ViT: in published checkpoints, in its newer releases, and from timm's.

Weights are kept under the published names, whatever release of transformers runs: it has renamed its modules once, and
the checkpoints stayed as they were. Needs no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# Newer names of transformers (5.x), and the published ones (4.x, `google/vit-base-patch16-224`).
_NEWER = (
    (r"^vit\.layers\.(\d+)\.", r"vit.encoder.layer.\1."),
    (r"\.attention\.q_proj\.", ".attention.attention.query."),
    (r"\.attention\.k_proj\.", ".attention.attention.key."),
    (r"\.attention\.v_proj\.", ".attention.attention.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)

_TIMM = (
    (r"^cls_token$", "vit.embeddings.cls_token"),
    (r"^pos_embed$", "vit.embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "vit.embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.", r"vit.encoder.layer.\1."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^norm\.", "vit.layernorm."),
    (r"^head\.", "classifier."),
)

_FUSED = ".attn.qkv."
_PARTS = ("query", "key", "value")


def published(name: str) -> str:
    """Return the published name of a parameter that transformers calls so, in this release or an older one."""
    return _renamed(name, _NEWER)


def from_timm(state: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return a plain ViT's parameters under the published names; timm keeps query, key and value in one matrix."""
    found: dict[str, Floats] = {}
    for name, value in state.items():
        if _FUSED in name:
            names = [name.replace(_FUSED, f".attention.attention.{part}.") for part in _PARTS]
            found |= {_renamed(each, _TIMM): part for each, part in zip(names, np.split(value, 3), strict=True)}
        else:
            found[_renamed(name, _TIMM)] = value
    return found


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
