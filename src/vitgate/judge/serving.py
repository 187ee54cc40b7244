"""Findings about a model that a server runs: in batches, and for several callers at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vitgate.judge.computed import expected_error
from vitgate.judge.metrics import Array, sqnr, top1
from vitgate.spec.outcome import Finding

_BATCH = "batch_"


def batched(own: Mapping[str, Array]) -> tuple[Finding, ...]:
    """Return how near a float variant's logits within a batch are to those of the same pictures alone.

    Args:
        own: `alone` float32 [n, classes], and by size `batch_<size>` of the first pictures, [m, classes].
    """
    found = {size: sqnr(own["alone"][: len(logits)], logits) for size, logits in _by_size(own).items()}
    worst = min(found, key=lambda size: _nan_is_least(found[size]), default=0)
    note = "; ".join(f"{size}: {value:.1f} dB" for size, value in found.items())
    return (Finding("sqnr", found.get(worst, math.nan), "dB", against="alone", note=note), *_kept(own))


def batched_int8(own: Mapping[str, Array], original: Array, expected: Mapping[str, Array]) -> tuple[Finding, ...]:
    """Return how much more, in dB, an int8 variant's batches are like the original than int8 should make them.

    How near they are to the same pictures alone is shown: it is what sharing a scale over the batch costs.

    Args:
        own: `alone` float32 [n, classes], and by size `batch_<size>` of the first pictures, [m, classes].
        original: The original's logits of the pictures alone, [n, classes].
        expected: By size those that the reference arithmetic gives in batches, as in `own`.
    """
    wanted = _by_size(expected)
    errors = {
        size: expected_error(logits, original[: len(logits)], wanted[size])[0]
        for size, logits in _by_size(own).items()
        if size in wanted
    }
    if not errors:
        return (Finding("sqnr_change", math.nan, "dB", against="expected", note="no batch"),)
    worst = min(errors.values(), key=lambda each: _nan_is_least(-abs(each.value)))
    note = "; ".join(f"{size}: {each.note}" for size, each in errors.items())
    near = (replace(each, judged=False) for each in batched(own))
    return (replace(worst, note=note), *near)


def concurrent(found: Mapping[str, Any]) -> Finding:
    """Return how many answers of threads that call at once are not those of one caller: `answers`, `changed`."""
    answers, changed = found["answers"], found["changed"]
    note = f"of {answers}" + (f", the worst at {found['worst_sqnr']:.1f} dB" if changed else "")
    return Finding("changed_answers", float(changed) if answers else math.nan, "1", against="serial", note=note)


def _by_size(arrays: Mapping[str, Array]) -> dict[int, Array]:
    """Return the logits of the batches by size, the least first."""
    sizes = sorted(int(name.removeprefix(_BATCH)) for name in arrays if name.startswith(_BATCH))
    return {size: arrays[f"{_BATCH}{size}"] for size in sizes}


def _kept(own: Mapping[str, Array]) -> tuple[Finding, ...]:
    """Return the share of pictures that keep their label in the largest batch, which is shown."""
    largest = list(_by_size(own).values())[-1:]
    alone = own["alone"][: len(largest[0])] if largest else own["alone"]
    if not largest or largest[0].shape != alone.shape or not alone.size:
        return ()
    share = float(np.mean(top1(largest[0]) == top1(alone)))
    return (Finding("same_labels", share, "1", against="alone", judged=False),)


def _nan_is_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value
