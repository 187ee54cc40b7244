"""The step `report` of `make_head.py`: what the head reaches, measured and simulated, and its description."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from head_build import MARGIN, Mask, Measured, read, RIVALS, steady, TOP
from head_case import Array, ENGINES, FAMILIES, FIXTURES, Model
from numpy.typing import NDArray

from vitgate.files.errors import UsageError
from vitgate.inputs import standin

NOISE = 3.0  # the factor that must lose a label


def report(of: Model, files: Sequence[Path]) -> None:
    """Print what the head reaches on the measured engines and in simulation, and write its description."""
    found = read(of, files)
    _print_cells(found)
    ratios = [margin_errors(found, picture) / margins(found)[:, picture].min() for picture in range(len(found.labels))]
    names = [*of.pictures, "reference"][: len(found.labels)]
    print("\npicture: float32 margin, worst |int8 error| and worst harmful one, of the margin")
    for picture, name in enumerate(names):
        worst = ratios[picture]
        print(f"  {name:14} {margins(found)[-1, picture]:.4f}  {np.abs(worst).max():.2f}  {worst.max():.2f}")
    _print_unseen(found)
    _simulate(of, found, ratios)
    _write_table(of, margins(found)[-1])


def margins(found: Measured) -> Array:
    """Return top-1 minus top-2 [V, P] in float32; the label must be top-1."""
    if not (found.logits.argmax(axis=-1) == found.labels).all():
        raise UsageError("a label is lost in float32", where="head", do="build the head from these files first")
    ranked = np.sort(found.logits, axis=-1)
    return ranked[..., -1] - ranked[..., -2]


def rivals_of(found: Measured, picture: int) -> NDArray[np.int64]:
    """Return the classes [R] whose float32 logit was put MARGIN below the label's."""
    return np.flatnonzero(np.abs(found.logits[-1, picture] - (TOP - MARGIN)) < MARGIN / 10)


def margin_errors(found: Measured, picture: int) -> Array:
    """Return how far int8 brings each rival towards the label [V, E, R]; negative is away from it."""
    rivals = rivals_of(found, picture)
    change = found.noisy[:, :, picture] - found.logits[:, None, picture]
    return change[..., rivals] - change[..., [found.labels[picture]]]


def _print_cells(found: Measured) -> None:
    print("version engine: logits' SQNR dB; labels right; lost at multiples of the error; |feature error| / |feature|")
    for v, version in enumerate(found.versions):
        clean = found.logits[v]
        for e, engine in enumerate(ENGINES):
            change = found.noisy[v, e] - clean
            sqnr = 10 * np.log10((clean**2).sum(axis=-1) / (change**2).sum(axis=-1))
            right = (found.noisy[v, e].argmax(axis=-1) == found.labels).sum()
            lost = {k: int(((clean + k * change).argmax(axis=-1) != found.labels).sum()) for k in (1.5, 2, NOISE)}
            relative = np.linalg.norm(found.errors[v, e], axis=-1) / np.linalg.norm(found.features, axis=-1)
            span = f"{sqnr.min():.1f} to {sqnr.max():.1f}"
            print(f"  {version:8}{engine:8} {span}; {right}/{len(found.labels)}; {lost}; {relative.mean():.3f}")
    print(f"logits' standard deviation {found.logits.std(axis=-1).min():.2f} to {found.logits.std(axis=-1).max():.2f}")


def _print_unseen(found: Measured) -> None:
    """Leave one version out, make the steady rivals from the others, and see how the one left out moves along them."""
    low, high = np.inf, 0.0
    for v in range(len(found.versions)):
        others = found._replace(errors=np.delete(found.errors, v, axis=0))
        for picture in range(len(found.labels)):
            for family in FAMILIES:
                along = -(found.errors[v, :, picture] @ steady(others, picture, family)) / MARGIN
                low, high = min(low, float(along[list(family)].min())), max(high, float(along.max()))
    print(f"steady rivals and a version that they were not made from: {low:.2f} to {high:.2f} of the margin")


def _simulate(of: Model, found: Measured, ratios: Sequence[Array], draws: int = 100000) -> None:
    """Print the chance that int8 loses a label, from the errors of the logits (the head's own rounding is in them).

    `as measured`: every rival's mean over the versions and engines of a family, plus Gaussian scatter of the size found
    for rivals of that kind (chance, steady). `any direction`: as though nothing were steady, chance rivals only, with
    Gaussian errors of their RMS; so acts a fault whose noise has nothing to do with the usual one.
    """
    rng = np.random.default_rng(0)
    print(
        "\nsimulated probability of a lost label in the whole set (largest for one picture), at multiples of the error"
    )
    for e, engine in enumerate(ENGINES):
        family = next(list(f) for f in FAMILIES if e in f)
        for kind in (_as_measured, _any_direction):
            worst = []
            for picture, ratio in enumerate(ratios):
                samples = ratio[:, family].reshape(-1, ratio.shape[-1])
                worst.append(kind(rng, samples, is_chance(of, found, picture), draws))
            text = []
            for factor in (1.0, 1.5, 2.0, NOISE):
                lost = np.array([factor * w > 1 for w in worst])
                text.append(f"{factor:.1f}x {lost.any(axis=0).mean():.5f} ({lost.mean(axis=1).max():.5f})")
            print(f"  {engine:8} {kind.__name__.strip('_'):14} {'  '.join(text)}")


def is_chance(of: Model, found: Measured, picture: int) -> Mask:
    """Return which rivals [R] of a picture are of the chance kind: their b is several times that of the steady ones."""
    classes, weight, _ = standin.read_head(of.head)
    rows = weight[np.searchsorted(classes, rivals_of(found, picture))].astype(float)
    norms = np.linalg.norm(rows - (rows @ found.features.T) @ found.duals, axis=1)
    return np.isin(np.arange(len(norms)), np.argsort(norms)[-RIVALS:])


def _as_measured(rng: np.random.Generator, samples: Array, chance: Mask, draws: int) -> Array:
    """Return the largest error among the rivals in each draw [draws]; samples [N, R] are in units of the margin."""
    mean = samples.mean(axis=0)
    scatter = ((samples - mean) ** 2).sum(axis=0) / max(len(samples) - 1, 1)
    size = np.sqrt(np.where(chance, scatter[chance].mean(), scatter[~chance].mean()))
    worst: Array = (mean + rng.standard_normal((draws, len(mean))) * size).max(axis=1)
    return worst


def _any_direction(rng: np.random.Generator, samples: Array, chance: Mask, draws: int) -> Array:
    """The same for errors without a steady part."""
    size = np.sqrt((samples[:, chance] ** 2).mean())
    worst: Array = (rng.standard_normal((draws, int(chance.sum()))) * size).max(axis=1)
    return worst


def _write_table(of: Model, margin: Array) -> None:
    shapes = ", ".join(f"{name} = {json.dumps(value)}" for name, value in of.shapes.items())
    lines = [
        f"# The stand-in for {of.name}: what its bytes must be, and the project's own labelled pictures.",
        "# Written by scripts/make_head.py; `sha256` of all parameters is vitgate.inputs.standin.digest's.",
        "# `margin` is top-1 minus top-2 of the float32 logits.",
        "",
        f'model = "{of.name}"',
        f"generator = {standin.GENERATOR}",
        f"shapes = {{ {shapes} }}",
        f'head = "{of.head.relative_to(FIXTURES).as_posix()}"',
        f'sha256 = "{standin.digest(of.state())}"',
        "# Where the tutorial's own picture cannot be had; both have the label 269."
        if of.has_reference
        else "# Where the user has given no picture of the reference's label.",
        f'fallback_reference = "images/{next(iter(of.pictures))}.png"',
    ]
    for (name, (label, title)), value in zip(of.pictures.items(), margin, strict=False):
        sha256 = hashlib.sha256((FIXTURES / "images" / f"{name}.png").read_bytes()).hexdigest()
        lines += [
            "",
            "[[picture]]",
            f'file = "images/{name}.png"',
            f"label = {label}",
            f'name = "{title}"',
            f'sha256 = "{sha256}"',
            f"margin = {value:.4f}",
        ]
    of.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
