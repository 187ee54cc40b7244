"""Findings about numbers that are computed from the model itself: what `vitgate.expected` says they should be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vitgate.judge.metrics import Array, compare, sqnr
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import Variant

ON_PROCESSOR = "sqnr on "
"""How a statistic begins that says the distance from the original on a processor; its name follows."""

DB = 10.0 / math.log(10.0)
"""Decibels of a power that grows by the factor e."""


def layers(rows: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return the worst of the file's Linears, in int8 and in float: `vitgate.expected.layers.LayerError` as values."""
    found = []
    for statistic, key, quantized in _LAYERS:
        own = [row for row in rows if row["quantized"] is quantized]
        if own:
            worst = min(own, key=lambda row: _nan_is_least(float(row[key])))
            note = f"{worst['name']}, of {len(own)}; an error of 1% is 40 dB"
            found.append(Finding(statistic, float(worst[key]), "dB", against="expected", note=note))
    return tuple(found) or (Finding("int8_layer", math.nan, "dB", against="expected", note="no Linear is called"),)


def kernels(rows: Sequence[Mapping[str, Any]]) -> Finding:
    """Return the operator whose results in float32 are farthest from float64's: `KernelError`s as values."""
    checked = [row for row in rows if row["sqnr"] is not None]
    if not checked:
        return Finding("kernel", math.nan, "dB", against="float64", note="no operator computes in float32")
    worst = min(checked, key=lambda row: float(row["sqnr"]))
    unchecked = ", ".join(row["operator"] for row in rows if row["sqnr"] is None)
    note = f"{worst['operator']}, of {len(checked)}; an error of 0.01% is 80 dB"
    note += f"; these know no float64: {unchecked}" if unchecked else ""
    return Finding("kernel", float(worst["sqnr"]), "dB", against="float64", note=note)


def coverage(
    own: Mapping[str, Any], plain: Mapping[str, Any], *, linears: int | None, form: Variant
) -> tuple[Finding, ...]:
    """Return what of a file's products is in int8 and in float, and what of it no backend runs.

    Args:
        own: `vitgate.observe.coverage.Coverage` of the file, as values.
        plain: That of the float file of the same kind; empty where there is none to compare with.
        linears: How many of the products the recipe quantizes, where another file of the model says so.
        form: The variant: its products run in int8, or have their weights in other numbers alone, or neither.
    """
    products = own["products"]
    int8 = [row["name"] for row in products if row["int8"]]
    if not form.computes_int8 and form.stored != "float32":
        return (*_kept(products, form.stored), *_lost(products, plain))
    plainly = [row["name"] for row in products if row["linear"] and not row["int8"]]
    missing = len(plainly) if linears is None else max(0, linears - len(int8))
    note = f"{len(int8)} of {len(products)} products with a weight in int8"
    found = [Finding("weight_products", float(len(products)) if products else math.nan, "1", judged=False)]
    if form.computes_int8:
        found.append(Finding("float_linears", float(missing), "1", note=_some(plainly[:missing], note)))
    else:
        found.append(Finding("int8_linears", float(len(int8)), "1", note=_some(int8, note)))
    found.extend(_lost(products, plain))
    if own["partitions"] is not None:
        outside = [row["name"] for row in products if not row["delegated"]]
        left = ", ".join(f"{count} {name}" for name, count in own["left"].items())
        found.append(Finding("undelegated_products", float(len(outside)), "1", note=_some(outside)))
        found.append(Finding("operators_left", float(sum(own["left"].values())), "1", note=left, judged=False))
    return tuple(found)


def _kept(products: Sequence[Mapping[str, Any]], stored: str) -> Iterator[Finding]:
    """Yield which products have a weight in other numbers than the file should, and which run in int8."""
    int8 = [row["name"] for row in products if row["int8"]]
    others = [row["name"] for row in products if row["linear"] and row["weight"] != stored]
    kept = sum(row["weight"] == stored for row in products)
    note = f"{kept} of {len(products)} weights of products in {stored}"
    yield Finding("weight_products", float(len(products)) if products else math.nan, "1", judged=False)
    yield Finding("float_linears", float(len(others)), "1", note=_some(others, note))
    yield Finding("int8_linears", float(len(int8)), "1", note=_some(int8, note))


def _lost(products: Sequence[Mapping[str, Any]], plain: Mapping[str, Any]) -> Iterator[Finding]:
    if plain:
        yield Finding("lost_products", float(len(plain["products"]) - len(products)), "1", against="float")


def _some(names: Sequence[str], note: str = "") -> str:
    return "; ".join(filter(None, [", ".join(names[:_NAMED]), note]))


_NAMED = 5  # products that a finding names
# Statistic, the field it is about, and of which layers.
_LAYERS = (("int8_layer", "exact", True), ("int8_rounding", "below_noise", True), ("float_layer", "exact", False))


def _nan_is_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def expected_error(own: Array, original: Array, expected: Array) -> tuple[Finding, ...]:
    """Return how much more, in dB, the logits are like the original's than int8 should make them; the rest is shown.

    What lies within the spread of two errors that are measured by so few numbers is no change.

    Args:
        own: The variant's logits, float32 [N, classes].
        original: The original's, [N, classes].
        expected: Those that the reference arithmetic gives for the first n pictures, [n, classes].
    """
    if note := _incomparable(own, original, original, expected):
        return (Finding("sqnr_change", math.nan, "dB", against="expected", note=note),)
    found, should = (sqnr(original[: len(expected)], each) for each in (own[: len(expected)], expected))
    change, slack = found - should, spread(expected.size)
    beyond = 0.0 if abs(change) <= slack else change - math.copysign(slack, change)  # NaN stays NaN
    return (
        Finding("sqnr_change", beyond, "dB", against="expected", note=f"{found:.1f} of {should:.1f} dB expected"),
        Finding("expected_sqnr", should, "dB", against="original", judged=False),
        *_shown(compare(original, own, against="original")),
    )


def on_processors(
    held: Mapping[str, Array], rows: Mapping[str, Sequence[Mapping[str, Any]]], original: Array, expected: Array
) -> tuple[Finding, ...]:
    """Return the worst of the processors that an int8 file was held to, and the SQNR on each, which is shown.

    Args:
        held: The file's logits by processor, float32 [n, classes].
        rows: The `LayerError`s of its Linears by processor; empty where they cannot be looked at.
        original: The original's logits, [N, classes].
        expected: Those that the reference arithmetic gives for the first n pictures, [n, classes].
    """
    found, first = _errors(held, original, expected), original[: len(expected)]
    worst = max(found.values(), key=lambda each: -_nan_is_least(-abs(each.value)))
    said = "; ".join(f"{name}: {each.note}" for name, each in found.items())
    by_layer = [replace(each, note=f"{name}: {each.note}") for name, own in rows.items() for each in layers(own)]
    least = {each.statistic: each for each in sorted(by_layer, key=lambda each: -_nan_is_least(each.value))}
    shown = [on_processor(name, own, first) for name, own in held.items() if math.isfinite(found[name].value)]
    should = Finding("expected_sqnr", sqnr(first, expected), "dB", against="original", judged=False)
    return (replace(worst, note=said), *least.values(), *shown, should)


def on_processor(name: str, own: Array, original: Array) -> Finding:
    """Return the SQNR of the logits on one processor, which is shown.

    Args:
        name: The processor's.
        own: The file's logits there, float32 [n, classes].
        original: The original's, [n, classes].
    """
    return Finding(f"{ON_PROCESSOR}{name}", sqnr(original, own), "dB", against="original", judged=False)


def wrong_on(held: Mapping[str, Array], original: Array, expected: Array, bounds: Finding) -> tuple[str, ...]:
    """Return the processors on which the error is not within bounds.

    Args:
        held: The file's logits by processor, float32 [n, classes].
        original: The original's logits, [N, classes].
        expected: Those that the reference arithmetic gives for the first n pictures, [n, classes].
        bounds: A finding `sqnr_change` with the bounds of its row.
    """
    found = _errors(held, original, expected)
    return tuple(name for name, each in found.items() if not replace(bounds, value=each.value).ok)


def _errors(held: Mapping[str, Array], original: Array, expected: Array) -> dict[str, Finding]:
    """Return how much nearer, or farther, the logits are on each processor than int8 should make them."""
    n = len(expected)
    return {name: expected_error(own[:n], original[:n], expected)[0] for name, own in held.items()}


def _incomparable(own: Array, other: Array, original: Array, expected: Array) -> str:
    """Say why an error of these logits says nothing; empty where it does."""
    shapes = (own.shape, other.shape, original.shape)
    if len({*shapes}) > 1 or not expected.size or expected.shape != original[: len(expected)].shape:
        return f"shapes {own.shape}, {other.shape}, {original.shape} and {expected.shape}"
    return "" if all(np.isfinite(each).all() for each in (own, other, original, expected)) else "NaN or Inf among them"


def spread(n: int) -> float:
    """Return three standard deviations, dB, of the difference of two sizes of an error, each measured by n numbers.

    That of each is sqrt(2 / n) times `DB`, as of the logarithm of a chi-squared variable.
    """
    return 3.0 * DB * math.sqrt(2.0) * math.sqrt(2.0 / n)


def _shown(found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings as ones that are judged by a row of the user's alone."""
    return (replace(each, judged=False) for each in found)


def two_noises(own: Array, parent: Array, original: Array, expected: Array) -> tuple[Finding, ...]:
    """Return how much nearer the logits are to the parent's than two int8 models whose noise has nothing in common.

    Both are as far from the original as `expected`, so that they are up to twice its power from each other, 3 dB less.

    Args:
        own: The variant's logits, float32 [N, classes].
        parent: Those of the file that it is made from, [N, classes].
        original: The original's, [N, classes].
        expected: Those that the reference arithmetic gives for the first n pictures, [n, classes].
    """
    n = len(expected)
    if note := _incomparable(own, parent, original, expected):
        return (Finding("sqnr_change", math.nan, "dB", against="expected", note=note),)
    found, least = sqnr(parent[:n], own[:n]), sqnr(original[:n], expected) - 10.0 * math.log10(2.0)
    note = f"{found:.1f} dB, at least {least:.1f} expected"
    return (
        Finding("sqnr_change", found - least + spread(expected.size), "dB", against="expected", note=note),
        *_shown(compare(parent, own, against="parent")),
    )
