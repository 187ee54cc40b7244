"""Findings about a model that a server runs: in batches, for several callers at once, and on all cores."""

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
    worst = min(found.values(), key=_nan_is_least, default=math.nan)
    note = "; ".join(f"{size}: {value:.1f} dB" for size, value in found.items())
    return (Finding("sqnr", worst, "dB", against="alone", note=note), *_kept(own))


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


def per_picture(seconds: Mapping[str, float]) -> Finding:
    """Return what a picture takes in the largest batch, as a ratio to one alone, which is shown.

    Args:
        seconds: By size the CPU time of a picture in a call with as many; `1` is alone.
    """
    ratios = {int(size): each / seconds["1"] for size, each in seconds.items() if size != "1" and seconds["1"] > 0.0}
    note = "; ".join(f"{size}: {ratio:.2f}" for size, ratio in sorted(ratios.items()))
    value = ratios[max(ratios)] if ratios else math.nan
    return Finding("time_per_picture", value, "1", against="alone", judged=False, note=note)


def threads(found: Mapping[str, Any], one: Array, every: Array) -> tuple[Finding, ...]:
    """Return how near logits on all threads are to those on one, and how many threads there were; the speed is shown.

    Args:
        found: `allowed`, `pictures`, and on one and on all `took`, `ran`, `seconds`; see
            `vitgate.observe.threads.threads`.
        one: The logits of calls on one thread, [n, classes].
        every: Those of the same calls on all.
    """
    took, (alone, split) = found["took"], found["seconds"]
    counted = f"{found['ran'][1]} were seen; {found['allowed']} cores"
    same = "bit for bit" if np.array_equal(one, every) else ""
    call = f"of {found['pictures']}" if found["pictures"] > 1 else "alone"
    times = f"{call}: {alone * 1e3:.2f} and {split * 1e3:.2f} ms"
    return (
        Finding("sqnr", sqnr(one, every), "dB", against="one_thread", note=same),
        Finding("threads", float(took[1]) if took[0] == 1 else math.nan, "1", note=counted),
        Finding("speedup", alone / split if split > 0.0 else math.nan, "1", judged=False, note=times),
    )


def _by_size(arrays: Mapping[str, Array]) -> dict[int, Array]:
    """Return the logits of the batches by size, the least first."""
    sizes = sorted(int(name.removeprefix(_BATCH)) for name in arrays if name.startswith(_BATCH))
    return {size: arrays[f"{_BATCH}{size}"] for size in sizes}


def _kept(own: Mapping[str, Array]) -> tuple[Finding, ...]:
    """Return the share of pictures that keep their label in the largest batch, which is shown."""
    batches = list(_by_size(own).values())
    if not batches:
        return ()
    largest, alone = batches[-1], own["alone"][: len(batches[-1])]
    if largest.shape != alone.shape or not alone.size:
        return ()
    share = float(np.mean(top1(largest) == top1(alone)))
    return (Finding("same_labels", share, "1", against="alone", judged=False),)


def _nan_is_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value
