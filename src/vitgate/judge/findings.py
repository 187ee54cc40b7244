"""From evidence to findings: the numbers of each claim, still without their bounds. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vitgate.inputs.field_files import Seen
from vitgate.inputs.weights import KNOWN
from vitgate.judge.latency_ratios import asleep_per_cpu, fastest_quartile, ratio, waited_per_cpu
from vitgate.judge.metrics import Array, by_class, margins, ROUNDING_DB, sqnr, top1
from vitgate.spec.model_output import OutputKind
from vitgate.spec.outcome import Evidence, Finding
from vitgate.spec.variants import NumberType, Runtime, SUCCESSORS, VariantName

NATIVE_PICTURES = 2
"""How many pictures the C++ program runs: its logits are equal bit for bit, and each costs as much as under Python."""

STATED_SIZES: tuple[VariantName, ...] = ("scripted", "scripted_quantized")
"""The variants whose bytes the tutorial states."""

MODULES_OF_A_FILE = 32
"""What a file takes beside its tensors whatever the model, in modules."""

MODULES_OF_A_PACKAGE = 512
"""The same of an AOTInductor package, most of which is a library of compiled code: about 1.8 MB and 3.5 kB a module."""

WAITED = "waited_per_cpu"
"""The statistic that says how busy the machine was."""

AT_BLOCK = "sqnr at "
"""How a statistic begins that says the distance from the original within the network; a place's name follows."""

TUTORIAL_INT8: VariantName = "scripted_quantized"
"""What a successor's costs are shown against: the tutorial's int8 file under the build's usual engine."""


def labels(outputs: Evidence, pictures: Evidence, original: Evidence | None, *, kind: str) -> tuple[Finding, ...]:
    """Return the share of pictures whose top-1 is right, and the smallest margin in logits.

    The labels of the first pictures, as many as are `known`, hold for every weights; the others' only for weights that
    they were made for. Otherwise they are shown: how many of them get the label that the original gives them. That is
    judged where no label is known. A picture of a user's that the original itself gets wrong says nothing of a variant.

    Args:
        outputs: `logits` float32 [N, classes] of the variant.
        pictures: `labels` int64 [N], their `names`, and how many are `known` where the kind does not make them all so:
            the reference alone if nothing is said.
        original: The original's; None where the variant is the original.
        kind: Of the weights, as `vitgate.inputs.weights` has it.
    """
    logits, reference = outputs.arrays["logits"], (original or outputs).arrays["logits"]
    expected, names = pictures.arrays["labels"], pictures.values["names"]
    problem = _incomparable(logits, reference, expected)
    if not problem and expected.max() >= by_class(logits).shape[1]:
        problem = f"label {expected.max()} of {by_class(logits).shape[1]} classes"
    if problem:
        return (Finding("right_labels", math.nan, "1", note=problem),)
    agreeing = float(np.mean(top1(logits) == top1(reference)))
    judged = np.arange(len(expected) if kind in KNOWN else pictures.values.get("known", 1))
    if kind == "own" and original is not None:
        judged = np.flatnonzero(top1(reference) == expected)
    if not len(judged):
        return (Finding("same_labels", agreeing, "1", against="original"),)
    wrong = [at for at in judged if top1(logits)[at] != expected[at]]
    note = ", ".join(f"{names[at]}: got {top1(logits)[at]}, expected {expected[at]}" for at in wrong)
    spread = margins(logits[judged], expected[judged])
    return (
        Finding("right_labels", 1.0 - len(wrong) / len(judged), "1", note=note),
        Finding("smallest_margin", float(spread.min()), "logits", judged=False, note=names[judged[spread.argmin()]]),
        Finding("same_labels", agreeing, "1", against="original", judged=False),
    )


def _incomparable(logits: Array, reference: Array, expected: npt.NDArray[np.int64]) -> str:
    """Say why the labels of these logits say nothing; empty where they do."""
    if logits.ndim != 2 or logits.size == 0 or logits.shape != reference.shape or len(logits) != len(expected):
        return f"logits of shape {logits.shape}, original {reference.shape}, {len(expected)} labels"
    finite = np.isfinite(logits).all() and np.isfinite(reference).all()
    return "" if finite else "NaN or Inf among the logits"


def repeated(outputs: Evidence) -> Finding:
    """Return the largest difference between the first picture's logits before and after the other pictures."""
    first, again = outputs.arrays["logits"][:1], outputs.arrays["again"]
    same = first.shape == again.shape and first.size > 0
    return Finding("difference_on_repeat", float(np.max(np.abs(first - again))) if same else math.nan, "logits")


def native(outputs: Evidence, found: Evidence) -> tuple[Finding, ...]:
    """Return how far the C++ program's logits are from those of the same file under Python, and the labels it kept."""
    logits, own = outputs.arrays["logits"][:NATIVE_PICTURES], found.arrays["logits"]
    if problem := _incomparable(own, logits, np.arange(len(logits))):
        return (Finding("difference", math.nan, "logits", against="python", note=problem),)
    kept = float(np.mean(top1(own) == top1(logits)))
    difference = float(np.max(np.abs(own - logits)))
    return (
        Finding("difference", difference, "logits", against="python"),
        Finding("same_labels", kept, "1", against="python", judged=False),
    )


def anchor(logits: Array, committed: Array | None) -> tuple[Finding, ...]:
    """Return whether the float model's logits are numbers, and how far they are from the committed ones.

    `committed` is None for weights for which nobody has committed any.
    """
    found = (Finding("finite", float(logits.size > 0 and bool(np.isfinite(logits).all())), "1"),)
    if committed is None:
        return found
    note = f"shapes {committed.shape} and {logits.shape}" if committed.shape != logits.shape else ""
    return (*found, Finding("sqnr", sqnr(committed, logits), "dB", against="committed", note=note))


def sizes(
    own: Evidence,
    scripted: Evidence,
    parent: Evidence | None,
    held: Mapping[str, Any],
    model: Mapping[str, int],
    *,
    stated: bool,
) -> tuple[Finding, ...]:
    """Return how often the file stores the model's tensors, and what it takes beyond them.

    `copies` is exact: of a quantized file how often the int8 weights are stored, all else being there once; of a float
    file how often everything is. `unknown_bytes` are those of records that are neither tensors nor anything else that
    TorchScript writes. `code_per_module` is what is left (code, pickles, padding), for each module of the
    model and `MODULES_OF_A_FILE`. The other numbers are shown; bytes and reduction are judged where the tutorial states
    them.

    Args:
        own: The file's artifact.
        scripted: The artifact of the float file.
        parent: The artifact of the quantized file that this one is made from, if it is.
        held: What the file holds, a `vitgate.observe.readback.Readback` as values.
        model: The eager model's `numbers` and `modules`, itself included.
        stated: The tutorial states the size of this file.
    """
    size, tensors = float(own.values["bytes"]), held["stored_bytes"]
    note = f"{tensors} bytes of tensors, the model's {held['least_bytes']} to {held['most_bytes']}"
    found = [
        Finding("copies", _copies(held), "1", note=note),
        Finding("unknown_bytes", float(held["unknown_bytes"]), "bytes"),
        Finding("code_per_module", (size - tensors) / (model["modules"] + MODULES_OF_A_FILE), "bytes"),
        Finding("size", size, "bytes", judged=stated),
    ]
    if own.values["path"] == scripted.values["path"]:
        return (*found, Finding("size_per_number", size / model["numbers"], "bytes", judged=False))
    found.append(Finding("reduction", 1.0 - size / scripted.values["bytes"], "1", against="scripted", judged=stated))
    if parent is not None:
        found.append(Finding("size_ratio", size / parent.values["bytes"], "1", against="parent", judged=False))
    return tuple(found)


def _copies(held: Mapping[str, Any]) -> float:
    """Return how often the weights are stored: a whole number where all that is stored is explained so."""
    stored, int8, least, most = (held[f"{name}_bytes"] for name in ("stored", "int8", "least", "most"))
    times = max(1, math.ceil((stored - most) / int8) + 1) if int8 else 1
    if least <= stored - (times - 1) * int8 <= most:
        return float(times)
    return float((stored - most) / int8 + 1 if int8 else stored / most)


def tensor_bytes(model: Mapping[str, int], numbers: str, stored: NumberType) -> int:
    """Return the bytes of the model's tensors in a file.

    Args:
        model: How many `numbers` and so on there are, and how many of them are `linear`, weights of Linears.
        numbers: Which of the counts.
        stored: In float32 each takes four bytes, in bfloat16 two; in int8 those of Linears take one, others four.
    """
    if stored == "bfloat16":
        return 2 * model[numbers]
    return 4 * model[numbers] - (3 * model["linear"] if stored == "int8" else 0)


def successor_sizes(
    own: Evidence, model: Mapping[str, int], int8: Evidence, *, stored: NumberType, runtime: Runtime
) -> tuple[Finding, ...]:
    """Return what a successor's file takes beyond the model's tensors, for each module; size and ratios are shown.

    Args:
        own: The file's artifact.
        model: The eager model's `numbers`, of which a call reads `used` (a file need not have the others) and `linear`
            are weights of Linears, and `modules`.
        int8: The artifact of the tutorial's scripted, quantized file, where there is one.
        stored: In which numbers the file has the model's tensors.
        runtime: What the file is for.
    """
    size, whole = float(own.values["bytes"]), MODULES_OF_A_PACKAGE if runtime == "inductor" else MODULES_OF_A_FILE
    least, most = (tensor_bytes(model, name, stored) for name in ("used", "numbers"))
    beyond = min(size - least, 0.0) + max(size - most, 0.0)
    found = (
        Finding("code_per_module", beyond / (model["modules"] + whole), "bytes"),
        Finding("size_per_number", size / model["numbers"], "bytes", judged=False),
        Finding("size", size, "bytes", judged=False),
    )
    if int8.outcome is not None:
        return found
    return (*found, Finding("size_ratio", size / int8.values["bytes"], "1", against=TUTORIAL_INT8, judged=False))


def weights(readback: Mapping[str, Any], *, quantized: bool) -> tuple[Finding, ...]:
    """Return how far the weights in the file are from the original's; every statistic over all Linear layers."""
    layers = readback["layers"]
    found = [
        Finding("linears", float(len(layers)), "1", judged=False),
        Finding("surplus_linears", float(readback["surplus_layers"]) if readback["count"] else math.nan, "1"),
        *(_named(statistic, readback[key]) for statistic, key in _LISTS.items()),
    ]
    if quantized:
        found += _quantized(layers)
    else:
        count = float(sum(bool(row["quantized"]) for row in layers))
        found.append(Finding("quantized_linears", count if layers else math.nan, "1"))
    return tuple(found)


# Statistic by the readback's field: each counts names that should not be there.
_LISTS = {
    "unmatched_parameters": "unmatched",
    "misplaced_parameters": "out_of_order",
    "stray_records": "strays",
    "unreadable_objects": "unreadable",
}


def _named(statistic: str, names: Sequence[str]) -> Finding:
    return Finding(statistic, float(len(names)), "1", note=", ".join(names[:3]))


def _quantized(layers: list[dict[str, Any]]) -> list[Finding]:
    plain = [row["name"] for row in layers if not row["quantized"]]
    if plain or not layers:
        return [Finding("plain_linears", float(len(plain)) if layers else math.nan, "1", note=", ".join(plain[:3]))]
    scheme = [row["name"] for row in layers if (row["scheme"], row["dtype"]) != ("per_tensor_affine", "qint8")]
    worst = max(layers, key=lambda row: _nan_is_worst(float(row["max_error_steps"])))
    biases = [row["name"] for row in layers if not row["bias_equal"]]
    coarse = min(layers, key=lambda row: int(row["levels"]))
    scale = max(layers, key=lambda row: _nan_is_worst(abs(float(row["scale_ratio"]) - 1.0)))
    return [
        Finding("plain_linears", 0.0, "1"),
        _named("other_schemes", scheme),
        Finding("error", float(worst["max_error_steps"]), "quantization steps", note=worst["name"]),
        Finding("levels", float(coarse["levels"]), "1", judged=False, note=coarse["name"]),
        Finding("scale_ratio", float(scale["scale_ratio"]), "1", note=scale["name"]),
        _named("changed_biases", biases),
    ]


def _nan_is_worst(error: float) -> float:
    return math.inf if math.isnan(error) else error


def latency(samples: Mapping[str, Any], variant: str) -> tuple[Finding, ...]:
    """Return the ratio to the original, the guards that CPU time of one thread cannot see, and the plain times."""
    own, original = samples.get(variant), samples.get("original")
    if own is None or original is None:
        return (Finding("ratio", math.nan, "1", against="original", note="no samples"),)
    found = ratio(own["thread"], original["thread"])
    note = f"interval {found.low:.3f} to {found.high:.3f}, {len(own['thread'])} rounds"
    beside = samples.get(TUTORIAL_INT8) if variant in SUCCESSORS else None
    costs = () if beside is None else (_against_int8(own, beside),)
    return (
        *costs,
        Finding("ratio", found.value, "1", against="original", note=note),
        *_sleep(own),
        Finding("process_per_thread", _least(own["process"], own["thread"]), "1"),
        Finding("latency", fastest_quartile(own["thread"]) * 1000.0, "ms", judged=False),
        Finding("profiler", own["profiled_ms"] or math.nan, "ms", judged=False, note="the tutorial's own figure"),
    )


def _sleep(own: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the time asleep, and how busy the machine was; neither where the system does not say who waited."""
    if not own["waited"]:
        return ()
    return (
        Finding("asleep_per_cpu", asleep_per_cpu(own["wall"], own["thread"], own["waited"]), "1"),
        Finding(WAITED, waited_per_cpu(own["thread"], own["waited"]), "1", judged=False),
    )


def by_block(blocks: Evidence) -> tuple[Finding, ...]:
    """Return the SQNR after each block, in dB, which is shown and not judged; none of a model that has no blocks."""
    found = {} if blocks.outcome else blocks.values["sqnr"]
    return tuple(
        Finding(f"{AT_BLOCK}{place}", value, "dB", against="original", judged=False) for place, value in found.items()
    )


def _against_int8(own: Mapping[str, Any], int8: Mapping[str, Any]) -> Finding:
    return Finding("ratio", ratio(own["thread"], int8["thread"]).value, "1", against=TUTORIAL_INT8, judged=False)


def field(outputs: Evidence, seen: Seen, output: OutputKind = "logits") -> tuple[Finding, ...]:
    """Return how far a file's logits are from what its maker saw, and from its float original as the maker saw it.

    Of a file about which nothing was recorded it is judged that the numbers are numbers, and come out the same again.
    A file's own error, its SQNR against the float original, is the measure: `distance` is how much further than that
    the numbers have moved, `sqnr_change` how much the error has grown. What a user recorded has the user's own bound.

    Args:
        outputs: `logits` float32 [N, classes] of the file, and `again`.
        seen: What its maker saw.
        output: What the logits are; only where they give one label is it judged that it is kept.
    """
    logits = outputs.arrays["logits"]
    finite = float(logits.size > 0 and bool(np.isfinite(logits).all()))
    found = [Finding("finite", finite, "1"), repeated(outputs)]
    if seen.logits is None:
        return tuple(found)
    same = logits.shape == seen.logits.shape and logits.ndim == 2 and logits.size > 0
    kept = float(np.mean(top1(logits) == top1(seen.logits))) if same else math.nan
    if output == "logits":
        found.append(Finding("same_labels", kept, "1", against="maker"))
    near = sqnr(seen.logits, logits)
    if seen.original is None:
        return (*found, Finding("sqnr", near, "dB", seen.least_sqnr_db, against="maker", tolerance=seen.bound))
    noise, own = min(sqnr(seen.original, seen.logits), ROUNDING_DB), sqnr(seen.original, logits)
    return (
        *found,
        Finding("sqnr", near, "dB", against="maker", judged=False),
        Finding("distance", near - noise, "dB", against="maker", note=f"the maker's own error was {noise:.1f} dB"),
        Finding("sqnr_change", min(own, ROUNDING_DB) - noise, "dB", against="maker"),
        Finding("sqnr", own, "dB", against="original"),
    )


def _least(of: list[float], to: list[float]) -> float:
    """Return the least ratio of paired samples; NaN where they do not pair or none was taken."""
    if not of or len(of) != len(to) or min(to) <= 0.0:
        return math.nan
    return min(a / b for a, b in zip(of, to, strict=True))
