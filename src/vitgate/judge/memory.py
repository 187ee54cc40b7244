"""Findings about memory: what calls leave behind, and what loading a file takes beyond its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vitgate.judge.findings import MODULES_OF_A_FILE, tensor_bytes
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import NumberType, Runtime

_WARM_UP = 4  # of the samples the first in so many parts: allocators and profilers take what they keep in steps
_BLOCKS = 10  # of samples, the median of each of which is compared with the one before
_FEWEST = 6  # samples after the warm-up


def memory(
    own: Mapping[str, Any], model: Mapping[str, int], runtime: Runtime, *, stored: NumberType
) -> tuple[Finding, ...]:
    """Return how much each call leaves, and how much a load and a call take of what they should.

    `growth` is judged; see there. `peak_ratio` is the most that the first load and call took, `second_ratio` what the
    same file held once it was loaded and called a second time, when the runtime has all that it needs for itself: each
    as a ratio to the model's tensors and what the runtime keeps for each module, `FOR_A_MODULE`. The rest is shown:
    both in bytes, and `imports`, what the process had before.

    Args:
        own: What `vitgate.observe.memory_worker.measured` returns.
        model: The eager model's `numbers`, of which `linear` are weights of Linears, and `modules`.
        runtime: Loads the file.
        stored: In which numbers the file has the model's tensors.
    """
    tensors = tensor_bytes(model, "numbers", stored)
    calls = len(own["samples"]) * own["every"]
    taken = {"second": own["again_called"] - own["called"]}
    if own["peak"] is not None:  # else the kernel finds none
        taken["peak"] = own["peak"] - own["imports"]
    found = [
        Finding("growth", growth(own["samples"], own["every"]), "bytes", note=f"a call, of {calls} with new pictures")
    ]
    for name, value in taken.items():
        room = FOR_A_MODULE[runtime][name] * (model["modules"] + MODULES_OF_A_FILE)
        note = f"{value} bytes; the model's tensors are {tensors}"
        found.append(Finding(f"{name}_ratio", value / (tensors + room), "1", against="expected", note=note))
        found.append(Finding(name, float(value), "bytes", judged=False))
    return (*found, Finding("imports", float(own["imports"]), "bytes", judged=False))


FOR_A_MODULE: Mapping[Runtime, Mapping[str, int]] = {
    "torchscript": {"peak": 150_000, "second": 80_000},
    "lite_interpreter": {"peak": 10_000, "second": 3_000},
    "export": {"peak": 130_000, "second": 25_000},
    "inductor": {"peak": 130_000, "second": 25_000},
    "executorch": {"peak": 5_000, "second": 5_000},
    "onnxruntime": {"peak": 25_000, "second": 12_000},
}
"""Bytes that a runtime keeps for each module, about, at the first load and call and at the second (docs/memory.md)."""


def growth(samples: Sequence[int], every: int) -> float:
    """Return the bytes that a call leaves; NaN where too few samples say so.

    The smaller of two robust slopes of what is left after a warm-up, since a leak is in both. The median of the slopes
    of all pairs (Theil and Sen) is not 0 where there is a single step: of pairs about its middle more than half hold
    it. The median of the steps from one block's median to the next is, but not where memory rises slowly and falls at
    once, again and again.

    Args:
        samples: Bytes, one after each `every` calls.
        every: How many calls lie between two.
    """
    late = np.asarray(samples[len(samples) // _WARM_UP :])
    if len(late) < _FEWEST:
        return math.nan
    first, second = np.triu_indices(len(late), 1)
    of_pairs = np.median((late[second] - late[first]) / (second - first))
    blocks = np.array_split(late, min(_BLOCKS, len(late)))
    of_blocks = np.median(np.diff([np.median(block) for block in blocks])) * len(blocks) / len(late)
    return float(min(of_pairs, of_blocks)) / every
