"""The step `build` of `make_head.py`: rows of the labels and of their rivals, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from head_case import Array, FAMILIES, Model
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vitgate.files.errors import UsageError

Mask = NDArray[np.bool_]

TOP = 4.0  # the logit of a picture's own class; generated rows have a deviation of 0.8, their largest is about 2.7
MARGIN = 0.2
CHANCE = 5.0
RIVALS = 6  # chance rivals of each label
STEADY = 0.52  # of the margin: the largest error that the features may make; the rounding of the head adds up to 0.1


class Measured(NamedTuple):
    """What `measure` found, by version; V versions, E engines, P pictures, the reference last."""

    labels: NDArray[np.int64]  # [P]

    versions: list[str]
    features: Array  # [P, D], of the last version: they agree to 1e-5
    duals: Array  # [P, D]: features @ duals.T is the identity
    errors: Array  # [V, E, P, D]
    logits: Array  # [V, P, C]
    noisy: Array  # [V, E, P, C]


def read(of: Model, files: Sequence[Path]) -> Measured:
    """Read and stack the files of `measure`."""
    try:
        runs = [np.load(file) for file in files]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read what was measured: {error}", where=files[0].parent, do="measure again") from None
    errors = [run["noisy_features"].astype(float) - run["features"] for run in runs]
    features = runs[-1]["features"].astype(float)
    logits, noisy = (np.array([run[name] for run in runs], float) for name in ("logits", "noisy_logits"))
    versions = [str(run["version"]) for run in runs]
    return Measured(of.labels, versions, features, np.linalg.pinv(features).T, np.array(errors), logits, noisy)


def build(of: Model, files: Sequence[Path]) -> None:
    """Write the head: classes int32 [N], weight float16 [N, D], bias float32 [N]."""
    found = read(of, files)
    plain = of.state(plain=True)
    bias = plain["head.bias"].astype(float)
    free = set(range(1000)) - set(found.labels.tolist())
    rows: dict[int, Array] = {}
    for label in dict.fromkeys(found.labels.tolist()):
        mine = found.labels == label
        prototype = found.duals[mine].sum(axis=0)
        offsets = _steady_rivals(found, mine, label, free) | _chance_rivals(
            found, mine, label, free, plain["head.weight"]
        )
        free -= set(offsets)
        rows[label] = (TOP - bias[label]) * prototype
        rows |= {c: (TOP - MARGIN - bias[c]) * prototype - offset for c, offset in offsets.items()}
    order = sorted(rows)
    weight = np.array([rows[c] for c in order]).astype(np.float16)
    save_file({"classes": np.array(order, np.int32), "weight": weight, "bias": plain["head.bias"][order]}, of.head)
    print(f"{of.head.name}: {len(order)} rows, {of.head.stat().st_size} bytes")


def _nearest(label: int, free: set[int]) -> list[int]:
    return sorted(free, key=lambda c: (abs(c - label), -c))


def _steady_rivals(found: Measured, mine: Mask, label: int, free: set[int]) -> dict[int, Array]:
    kinds = [(picture, family) for picture in np.flatnonzero(mine).tolist() for family in FAMILIES]
    return {
        c: steady(found, picture, family) for c, (picture, family) in zip(_nearest(label, free), kinds, strict=False)
    }


def steady(found: Measured, picture: int, family: Sequence[int]) -> Array:
    """Return b · u [D] for the mean error of one picture in one family of engines."""
    u = _orthogonal(-found.errors[:, family, picture].mean(axis=(0, 1)), found)
    worst = np.abs(found.errors[:, :, found.labels == found.labels[picture]] @ u).max()
    return u * float(MARGIN * STEADY / worst)


def _chance_rivals(
    found: Measured, mine: Mask, label: int, free: set[int], plain: NDArray[np.float32]
) -> dict[int, Array]:
    """Take the nearest free classes whose measured errors keep the reserve (with C = 5 nearly all do)."""
    spread = np.sqrt((found.errors[:, :, mine] ** 2).mean(axis=(0, 3))).max()  # the noisiest engine and picture
    chosen: dict[int, Array] = {}
    for c in _nearest(label, free)[len(FAMILIES) * int(mine.sum()) :]:
        offset = MARGIN / (CHANCE * spread) * _orthogonal(plain[c].astype(float), found)
        if np.abs(found.errors[:, :, mine] @ offset).max() <= STEADY * MARGIN:
            chosen[c] = offset
        if len(chosen) == RIVALS:
            break
    return chosen


def _orthogonal(vector: Array, found: Measured) -> Array:
    rest = vector - (found.features @ vector) @ found.duals
    return rest / np.linalg.norm(rest)
