"""Stand-in weights: a whole Vision Transformer without a download, so that every machine judges the same bytes.

A checkpoint is large, licensed and sometimes out of reach, and a framework's own random weights change with its
version. These come from a counter-based generator whose raw stream NumPy guarantees, by exact integer arithmetic and
one float32 multiplication each. Nothing here imports torch; nothing depends on the order of the parameters, the NumPy
release or the machine. Only the head holds committed rows (`scripts/make_head.py`): without them no picture would have
a label.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vitgate.files.errors import UsageError

Shape = tuple[int, ...]
Floats = NDArray[np.float32]

GENERATOR = 1
"""Version of the recipe. It is part of every stream's key: another recipe, other bytes everywhere."""

GAIN = 1.5
"""Standard deviation of a linear layer's weights × sqrt(fan-in). Measured on DeiT-Base: at 1.5 the features of
different pictures have a cosine around 0.5 and int8 leaves 26 to 34 dB; at 1.7 some pictures fall below 24 dB."""

HEAD_GAIN = 0.8
"""The same for the classifier, whose input is normalized: the standard deviation of a picture's logits."""

TOKEN_STD = 0.5
"""Of the class token and the positions: large enough that a lost or shuffled position changes every logit."""

BIAS_STD = 0.1
"""Of every bias: small beside the activations, and visible when dropped."""

_HALF_RANGE = 1 << 15  # raw numbers are int16, uniform on [-2**15, 2**15)
_NORM_OFFSET = 1 << 17  # (2**17 + raw) / 2**17 is exact in float32 and uniform on [0.75, 1.25)
_CHUNK = 1 << 20  # raw 64-bit words a turn: 8 MB


def vit_shapes(
    embed_dim: int = 768,
    depth: int = 12,
    patch: int = 16,
    image: int = 224,
    classes: int = 1000,
    channels: int = 3,
    mlp_ratio: float = 4.0,
    distilled: bool = False,
) -> dict[str, Shape]:
    """Return the shapes of timm's plain ViT and DeiT by state-dict name, in its order (timm 1.0).

    The defaults are those of `deit_base_patch16_224`.

    Args:
        embed_dim: Width of a token.
        depth: Blocks.
        patch: Pixels a side of a patch.
        image: Pixels a side of the picture.
        classes: Logits.
        channels: Of the picture.
        mlp_ratio: Width of the hidden layer of an MLP over `embed_dim`.
        distilled: With a second token and a second head, as DeiT's distilled models.
    """
    tokens = (image // patch) ** 2 + 1 + distilled
    shapes: dict[str, Shape] = {"cls_token": (1, 1, embed_dim), "pos_embed": (1, tokens, embed_dim)}
    if distilled:
        shapes["dist_token"] = (1, 1, embed_dim)
    shapes |= {"patch_embed.proj.weight": (embed_dim, channels, patch, patch), "patch_embed.proj.bias": (embed_dim,)}
    for block in range(depth):
        shapes |= _block_shapes(f"blocks.{block}.", embed_dim, int(embed_dim * mlp_ratio))
    shapes |= _affine("norm", embed_dim) | _linear("head", classes, embed_dim)
    return shapes | _linear("head_dist", classes, embed_dim) if distilled else shapes


def _block_shapes(prefix: str, dim: int, hidden: int) -> dict[str, Shape]:
    attention = _affine("norm1", dim) | _linear("attn.qkv", 3 * dim, dim) | _linear("attn.proj", dim, dim)
    mlp = _affine("norm2", dim) | _linear("mlp.fc1", hidden, dim) | _linear("mlp.fc2", dim, hidden)
    return {prefix + name: shape for name, shape in (attention | mlp).items()}


def _linear(name: str, outputs: int, inputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _affine(name: str, dim: int) -> dict[str, Shape]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def generate(shapes: Mapping[str, Shape], head: Path | None) -> dict[str, Floats]:
    """Return float32 arrays for `shapes` (state-dict name to shape), in their order, as views of one buffer.

    Args:
        shapes: Every parameter of a timm ViT or DeiT; see `vit_shapes`, or take them from a model.
        head: The committed rows of the classifier (safetensors; see `read_head`); None for generated rows only,
            as for a model of another size.

    Raises:
        UsageError: The head file is missing, damaged, or made for a model of another size.
    """
    rows = None if head is None else read_head(head)  # first: a wrong file should not cost a second
    buffer = np.empty(sum(math.prod(shape) for shape in shapes.values()), np.float32)
    state: dict[str, Floats] = {}
    start = 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        _fill(name, shape, buffer[start:stop])
        state[name] = buffer[start:stop].reshape(shape)
        start = stop
    if rows is not None:
        _put_rows(state, *rows, where=head)
    return state


def _fill(name: str, shape: Shape, out: Floats) -> None:
    offset, factor = _offset_and_factor(name, shape)
    start = 0
    for raw in _raw(name, out.size):
        part = out[start : start + raw.size]
        part[:] = raw
        part += np.float32(offset)  # integers below 2**24: exact
        part *= np.float32(factor)  # the only rounding
        start += raw.size


def _offset_and_factor(name: str, shape: Shape) -> tuple[int, float]:
    """Return what turns a raw int16 into the parameter: (raw + offset) × factor."""
    if len(shape) == 1 and name.endswith((".weight", ".gamma")):
        return _NORM_OFFSET, 1 / _NORM_OFFSET
    return 0, _std(name, shape) * math.sqrt(3) / _HALF_RANGE  # a uniform number's deviation is its half range / sqrt(3)


def _std(name: str, shape: Shape) -> float:
    if len(shape) == 1:
        return BIAS_STD
    if "." not in name:
        return TOKEN_STD
    return (HEAD_GAIN if name.startswith("head") else GAIN) / math.sqrt(math.prod(shape[1:]))


def _raw(name: str, count: int) -> Iterator[NDArray[np.int16]]:
    """Yield `count` int16 numbers in chunks, from the stream of this name alone."""
    key = hashlib.sha256(f"vitgate stand-in {GENERATOR}: {name}".encode()).digest()[:16]
    stream = np.random.Philox(key=int.from_bytes(key, "little"))
    while count > 0:
        words = stream.random_raw(min(_CHUNK, -(-count // 4)))
        yield words.astype("<u8", copy=False).view("<i2")[:count]
        count -= 4 * words.size


def read_head(path: Path) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return the classes int64 [N], weights float32 [N, D] and biases float32 [N] of the committed rows.

    The weights are stored as float16, which converts exactly and halves the file. UsageError where the file is missing
    or damaged, holds other tensors, or names a class twice.
    """
    advice = "restore it from the repository, or run scripts/make_head.py"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"cannot read the stand-in head: {error}", where=path, do=advice) from None
    if {name: value.dtype.name for name, value in tensors.items()} != _HEAD_TENSORS:
        raise UsageError(f"not a stand-in head: it must hold {_HEAD_TENSORS}", where=path, do=advice)
    classes, weight, bias = (tensors[name] for name in _HEAD_TENSORS)
    consistent = weight.ndim == 2 and classes.shape == bias.shape == weight.shape[:1] == np.unique(classes).shape
    if not consistent or not np.isfinite(weight).all() or not np.isfinite(bias).all():
        raise UsageError("the rows of the stand-in head do not fit together", where=path, do=advice)
    return classes.astype(np.int64), weight.astype(np.float32), bias.astype(np.float32)


_HEAD_TENSORS = {"classes": "int32", "weight": "float16", "bias": "float32"}


def _put_rows(
    state: dict[str, Floats], classes: NDArray[np.int64], weight: Floats, bias: Floats, where: object
) -> None:
    """Write the rows into the head, and into a distilled DeiT's second one: its logits are the mean of both."""
    heads = [name for name in ("head", "head_dist") if f"{name}.weight" in state]
    for name in heads:
        target = state[f"{name}.weight"]
        if target.shape[1] != weight.shape[1] or not 0 <= classes.min() <= classes.max() < len(target):
            what = f"the stand-in head has rows of {weight.shape[1]} features, the model's head is {target.shape}"
            raise UsageError(what, where=where, do="use a head made for this model, or none")
        target[classes], state[f"{name}.bias"][classes] = weight, bias
    if not heads:
        raise UsageError("the model has no head for the stand-in's rows", where=where, do="use no head")


def digest(state: Mapping[str, Floats]) -> str:
    """Return the sha256 (hex) over names, shapes and little-endian float32 bytes, in the order of the sorted names."""
    total = hashlib.sha256()
    for name in sorted(state):
        value = np.ascontiguousarray(state[name], dtype="<f4")
        total.update(f"{name} {list(value.shape)}\n".encode())
        total.update(value.reshape(-1).data)
    return total.hexdigest()
