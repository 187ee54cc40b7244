"""Numbers that are computed from the model, and what is judged of them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitgate.judge import computed
from vitgate.spec.outcome import Finding

from .made_evidence import by_name
from .near import near


def layer_row(name: str, exact: float, below: float | None = 60.0) -> dict[str, Any]:
    return {"name": name, "quantized": below is not None, "exact": exact, "below_noise": below}


def test_worst_layers_in_int8_and_in_float_are_named() -> None:
    rows = [layer_row("fc1", 130.0), layer_row("fc2", 40.0, 20.0), layer_row("proj", 128.0, None)]

    assert computed.layers(rows) == (
        Finding("int8_layer", 40.0, "dB", against="expected", note="fc2, of 2; an error of 1% is 40 dB"),
        Finding("int8_rounding", 20.0, "dB", against="expected", note="fc2, of 2; an error of 1% is 40 dB"),
        Finding("float_layer", 128.0, "dB", against="expected", note="proj, of 1; an error of 1% is 40 dB"),
    )


def test_layer_without_number_is_worst() -> None:
    found = by_name(computed.layers([layer_row("fc1", 40.0), layer_row("fc2", math.nan)]))
    assert math.isnan(found["int8_layer"].value)


def test_no_compared_layer_is_nan() -> None:
    none = Finding("int8_layer", math.nan, "dB", against="expected", note="no Linear is called")
    assert computed.layers([]) == near(none)


OPERATORS: list[dict[str, Any]] = [
    {"operator": "aten::addmm", "sqnr": 130.0},
    {"operator": "aten::gelu", "sqnr": 80.0},
    {"operator": "own::op", "sqnr": None},
    {"operator": "own::other", "sqnr": None},
]


@pytest.mark.parametrize(("count", "unchecked"), [(2, ""), (4, "; these know no float64: own::op, own::other")])
def test_worst_operator_and_those_without_float64_are_named(count: int, unchecked: str) -> None:
    note = f"aten::gelu, of 2; an error of 0.01% is 80 dB{unchecked}"
    assert computed.kernels(OPERATORS[:count]) == Finding("kernel", 80.0, "dB", against="float64", note=note)


@pytest.mark.parametrize("rows", [[], OPERATORS[2:]], ids=["none", "none in float64"])
def test_no_compared_operator_is_nan(rows: list[dict[str, Any]]) -> None:
    none = Finding("kernel", math.nan, "dB", against="float64", note="no operator computes in float32")
    assert (computed.kernels(rows),) == near(none)


@pytest.mark.parametrize(("n", "db"), [(4, 13.02883), (16, 6.51442)])
def test_spread_is_three_deviations_of_the_difference_of_two_sizes(n: int, db: float) -> None:
    assert computed.spread(n) == pytest.approx(db, abs=1e-5)


# Signs, four pictures of two classes, whose power is 1: an error of a tenth is at 20 dB, one of a hundredth at 40 dB.
SIGNS = np.array([[1, -1], [-1, 1], [1, -1], [-1, 1]], dtype=np.float32)
EXPECTED = SIGNS[:2] * np.float32(1.01)


def test_larger_error_than_expected_is_said_beside_what_is_shown() -> None:
    own = SIGNS * np.float32(1.1)
    own[2:] = SIGNS[2:]  # beyond the pictures that something is expected of

    assert computed.expected_error(own, SIGNS, EXPECTED) == near(
        Finding("sqnr_change", 20 - 40 + 13.02883, "dB", against="expected", note="20.0 of 40.0 dB expected"),
        Finding("expected_sqnr", 40.0, "dB", against="original", judged=False),
        Finding("sqnr", 23.0103, "dB", against="original", judged=False),
        Finding("cosine", 1.0, "1", against="original", judged=False),
        Finding("largest_difference", 0.1, "std of logits", against="original", judged=False),
    )


def test_nearness_to_the_parent_is_said_beside_what_is_shown() -> None:
    found = computed.two_noises(SIGNS * np.float32(2.2), SIGNS * np.float32(2), SIGNS, EXPECTED)

    assert found == near(
        Finding(
            "sqnr_change",
            20 - (40 - 3.0103) + 13.02883,
            "dB",
            against="expected",
            note="20.0 dB, at least 37.0 expected",
        ),
        Finding("sqnr", 20.0, "dB", against="parent", judged=False),
        Finding("cosine", 1.0, "1", against="parent", judged=False),
        Finding("largest_difference", 0.1, "std of logits", against="parent", judged=False),
    )


def test_every_processor_is_shown_beside_the_worst() -> None:
    held = {"avx2": SIGNS[:2] * np.float32(1.1), "baseline": EXPECTED}
    note = "avx2: 20.0 of 40.0 dB expected; baseline: 40.0 of 40.0 dB expected"

    assert computed.on_processors(held, {}, SIGNS, EXPECTED) == near(
        Finding("sqnr_change", 20 - 40 + 13.02883, "dB", against="expected", note=note),
        Finding("sqnr on avx2", 20.0, "dB", against="original", judged=False),
        Finding("sqnr on baseline", 40.0, "dB", against="original", judged=False),
        Finding("expected_sqnr", 40.0, "dB", against="original", judged=False),
    )


@pytest.mark.parametrize(
    ("own", "expected", "note"),
    [
        (SIGNS, EXPECTED[:0], "shapes (4, 2), (4, 2), (4, 2) and (0, 2)"),
        (SIGNS, EXPECTED[:, :1], "shapes (4, 2), (4, 2), (4, 2) and (2, 1)"),
        (SIGNS[:3], EXPECTED, "shapes (3, 2), (4, 2), (4, 2) and (2, 2)"),
        (SIGNS * np.float32(math.nan), EXPECTED, "NaN or Inf among them"),
        (SIGNS, EXPECTED * np.float32(math.inf), "NaN or Inf among them"),
    ],
    ids=["nothing expected", "other classes expected", "fewer pictures", "nan", "infinite expected"],
)
def test_error_that_cannot_be_compared_is_nan(
    own: NDArray[np.float32], expected: NDArray[np.float32], note: str
) -> None:
    none = near(Finding("sqnr_change", math.nan, "dB", against="expected", note=note))

    assert computed.expected_error(own, SIGNS, expected) == none
    assert computed.two_noises(own, SIGNS, SIGNS, expected) == none


def with_noise(noise_db: float, seed: int, n: int = 200) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return logits of n pictures and five classes, and the same with noise that lies so far below them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, 5)).astype(np.float32)
    noise = generator.normal(size=logits.shape) * 10 ** (-noise_db / 20)
    return logits, (logits + noise).astype(np.float32)


@pytest.mark.parametrize(("noise_db", "change"), [(30.0, 0.0), (33.0, 2.4), (27.0, -2.4)])
def test_error_is_compared_with_expected_error(noise_db: float, change: float) -> None:
    original, expected = with_noise(30.0, 0)
    own = original + (with_noise(noise_db, 1)[1] - with_noise(noise_db, 1)[0])

    found = by_name(computed.expected_error(own, original, expected))

    assert found["sqnr_change"].value == pytest.approx(change, abs=0.4)
    assert found["sqnr_change"].judged
    assert not found["sqnr"].judged
    assert found["expected_sqnr"].value == pytest.approx(30.0, abs=0.5)


def test_sqnr_change_within_sampling_spread_is_zero() -> None:
    original, expected = with_noise(30.0, 0)
    own = original + (with_noise(29.0, 1)[1] - with_noise(29.0, 1)[0])

    found = by_name(computed.expected_error(own, original, expected[:8]))

    assert found["sqnr_change"].value == 0.0


def test_two_int8_models_are_at_most_twice_the_noise_apart() -> None:
    original, expected = with_noise(30.0, 0)
    own, parent = (original + (with_noise(30.0, seed)[1] - with_noise(30.0, seed)[0]) for seed in (1, 2))

    apart = by_name(computed.two_noises(own, parent, original, expected))["sqnr_change"].value
    same = by_name(computed.two_noises(own, own, original, expected))["sqnr_change"].value
    worse = by_name(computed.two_noises(10 * own, parent, original, expected))["sqnr_change"].value

    assert 0.0 < apart < 1.0
    assert same > 100
    assert worse < -20


def test_nan_error_stays_nan() -> None:
    zeros = np.zeros((4, 3), np.float32)
    own, expected = with_noise(30.0, 1, 4)[0][:, :3], with_noise(30.0, 2, 4)[0][:, :3]
    found = computed.expected_error(own, zeros, expected)[0]
    assert math.isnan(found.value)


def processors_of(**times: float) -> tuple[Any, NDArray[np.float32], NDArray[np.float32]]:
    """Return logits by processor whose error is so many times the expected one, the original's, and the expected."""
    rng = np.random.default_rng(0)
    original = rng.normal(size=(10, 10)).astype(np.float32)
    expected = original + rng.normal(size=original.shape).astype(np.float32) * 0.01
    return {name: original + factor * (expected - original) for name, factor in times.items()}, original, expected


def test_worst_processor_is_judged_and_all_are_shown() -> None:
    held, original, expected = processors_of(avx512=1.0, avx2=10.0, baseline=1.0)
    found = by_name(computed.on_processors(held, {}, original, expected))

    assert found["sqnr_change"].value < -10.0
    assert re.search(r"avx2: [12]\d\.\d of [34]\d\.\d dB expected; baseline", found["sqnr_change"].note)
    shown = {name: round(each.value) for name, each in found.items() if name.startswith(computed.ON_PROCESSOR)}
    assert shown == {"sqnr on avx512": 40, "sqnr on avx2": 20, "sqnr on baseline": 40}


def test_processor_without_number_is_worst() -> None:
    held, original, expected = processors_of(avx2=30.0, baseline=math.nan)

    assert math.isnan(by_name(computed.on_processors(held, {}, original, expected))["sqnr_change"].value)


def test_worst_layer_of_all_processors_is_named_with_its_processor() -> None:
    held, original, expected = processors_of(avx512=1.0, avx2=1.0)
    rows = {"avx512": [layer_row("fc1", 130.0)], "avx2": [layer_row("fc1", 54.0, 14.0)]}
    found = by_name(computed.on_processors(held, rows, original, expected))

    assert (found["int8_layer"].value, found["int8_rounding"].value) == (54.0, 14.0)
    assert found["int8_layer"].note.startswith("avx2: fc1")


def test_processors_on_which_a_file_is_wrong_are_named() -> None:
    held, original, expected = processors_of(avx512=1.0, avx2=10.0, baseline=0.1)
    bounds = Finding("sqnr_change", 0.0, "dB", lower=-1.5, upper=1.5)

    assert computed.wrong_on(held, original, expected, bounds) == ("avx2", "baseline")
