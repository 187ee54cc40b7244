"""What transformers' own image processors make of pictures, held against the suite's own tensors of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vitgate.judge.input_tensors import Array, File, golden_steps, of_tensors, step, worst
from vitgate.spec.outcome import Finding

KINDS = ("slow", "fast")
"""The processor that resizes with Pillow, and the one that does so with torchvision."""


def processor_steps(own: Array, made: Mapping[str, Array], about: Mapping[str, Any]) -> list[Finding]:
    """Return how far each processor's tensors are from the suite's own: at most, in how many pixels, and on average.

    The average has a sign. Rounding goes both ways; a scale of 1/256 in the place of 1/255 does not, though it moves no
    value by much.

    Args:
        own: The suite's, [N, C, H, W].
        made: Those of each processor that there is, by kind.
        about: What `vitgate.inputs.image_processor.processed` says of them.
    """
    found: list[Finding] = []
    for kind in [kind for kind in KINDS if kind in made]:
        note = _note(kind, about)
        found += golden_steps(own, made[kind], against=kind, note=note)
        found.append(Finding("mean", _mean(own, made[kind]), "steps", against=kind, note=note))
    return found


def _mean(before: Array, now: Array) -> float:
    if before.shape != now.shape or not before.size:
        return math.nan
    return float((now.astype(np.float64) - before).mean()) / step(float(before.min()), float(before.max()))


def _note(kind: str, about: Mapping[str, Any]) -> str:
    """Say which class it was, which kind this transformers has not, and which files it did not read itself."""
    text = f"{about['classes'][kind]} of transformers {about['release']}"
    absent = [each for each in KINDS if each not in about["classes"]]
    if absent:
        text += f", which has no {absent[0]} one"
    if unread := about["unread"][kind]:
        text += f"; its own reader does not take {unread[0]}" + (f" and {len(unread) - 1} more" if unread[1:] else "")
    return text


def differing(
    findings: Iterable[Finding], names: Sequence[str], own: tuple[Array, Sequence[File]], made: tuple[Any, Any]
) -> str:
    """Say of each processor that is too far which picture it is, how far, and the first step that differs.

    Args:
        findings: What was judged.
        names: What the pictures are called.
        own: The suite's own tensors, and what was seen of the files.
        made: The processors' tensors by kind, and what `processed` says of them.
    """
    arrays, about = made
    before = of_tensors(*own)
    return "; ".join(
        f"{kind} ({about['classes'][kind]}), before being the suite's own: "
        f"{worst(names, before, of_tensors(arrays[kind], about['files'][kind]))}"
        for kind in dict.fromkeys(finding.against for finding in findings if not finding.ok)
    )
