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


def layer_row(name: str, exact: float, below: float | None = 60.0) -> dict[str, Any]:
    return {"name": name, "quantized": below is not None, "exact": exact, "below_noise": below}


def test_worst_layer_is_named() -> None:
    rows = [layer_row("fc1", 130.0), layer_row("fc2", 40.0, 20.0), layer_row("proj", 128.0, None)]
    found = by_name(computed.layers(rows))

    assert {name: each.value for name, each in found.items()} == {
        "int8_layer": 40.0,
        "int8_rounding": 20.0,
        "float_layer": 128.0,
    }
    assert found["int8_layer"].note == "fc2, of 2; an error of 1% is 40 dB"


def test_layer_without_number_is_worst() -> None:
    found = by_name(computed.layers([layer_row("fc1", 40.0), layer_row("fc2", math.nan)]))
    assert math.isnan(found["int8_layer"].value)


def test_no_compared_layer_or_kernel_is_nan() -> None:
    (found,) = computed.layers([])
    assert math.isnan(found.value)
    assert math.isnan(computed.kernels([]).value)


def test_worst_operator_is_named() -> None:
    rows = [{"operator": "aten::addmm", "sqnr": 130.0}, {"operator": "aten::gelu", "sqnr": 80.0}]
    found = computed.kernels(rows)
    assert (found.value, found.note) == (80.0, "aten::gelu, of 2; an error of 0.01% is 80 dB")


def test_operators_without_float64_are_named() -> None:
    rows: list[dict[str, object]] = [{"operator": "aten::addmm", "sqnr": 130.0}, {"operator": "own::op", "sqnr": None}]
    found = computed.kernels(rows)
    assert found.value == 130.0
    assert found.note.endswith("these know no float64: own::op")
    assert math.isnan(computed.kernels(rows[1:]).value)


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


@pytest.mark.parametrize("shape", [(0, 5), (3, 4)], ids=str)
def test_error_without_expected_error_is_nan(shape: tuple[int, int]) -> None:
    original, own = with_noise(30.0, 0)
    expected = np.ones(shape, np.float32)

    assert math.isnan(computed.expected_error(own, original, expected)[0].value)
    assert math.isnan(computed.two_noises(own, own, original, expected)[0].value)


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
