"""A leak shows whatever its form, and steps of an allocator do not; what a load takes is told from its tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from vitgate.judge.memory import FOR_A_MODULE, growth, memory
from vitgate.spec.outcome import Finding
from vitgate.spec.variants import FORMS, NumberType, Runtime

EVERY, SAMPLES = 10, 40
MODEL = {"numbers": 1_000, "linear": 600, "modules": 68}


def told(samples: Sequence[int] = (5_000,) * SAMPLES, **numbers: Any) -> dict[str, Any]:
    own = {"imports": 1_000, "loaded": 4_000, "called": 5_000, "peak": 15_000, "again_called": 7_000}
    return {**own, "every": EVERY, "samples": list(samples), **numbers}


@pytest.mark.parametrize("start", [0, 300_000_000])
@pytest.mark.parametrize("a_call", [100_000, 4_096, 700])
def test_steady_leak_is_its_slope(a_call: int, start: int) -> None:
    pages = [start + (number * EVERY * a_call) // 4096 * 4096 for number in range(SAMPLES)]

    assert growth(pages, EVERY) == pytest.approx(a_call, rel=0.03)


def test_list_that_is_copied_as_it_grows_is_a_leak() -> None:
    calls = [(number + 1) * EVERY for number in range(SAMPLES)]
    held = [4_096 * (calls_ + calls_ // 8) for calls_ in calls]  # and what the next copy takes

    assert growth(held, EVERY) > 4_000


def test_leak_in_bursts_is_found() -> None:
    bursts = [number // 4 * 4 * EVERY * 1_000 for number in range(SAMPLES)]  # 40 kB after each 40 calls

    assert growth(bursts, EVERY) > 500


@pytest.mark.parametrize("at", [10, 15, 20, 25, 30, 39])
def test_one_step_is_no_leak(at: int) -> None:
    assert growth([0] * at + [3_000_000] * (SAMPLES - at), EVERY) == 0.0


def test_steps_of_an_allocator_are_no_leak() -> None:
    """Take what the lite interpreter of 2.15.0 did: 120 kB in 400 calls, and no more in 8,000."""
    steps = {4: 12, 17: 108, 26: 120}
    held = [max(kb for at, kb in {0: 0, **steps}.items() if at <= number) * 1024 for number in range(SAMPLES)]

    assert growth(held, EVERY) == 0.0


@pytest.mark.parametrize("rising", [2, 3, 5, 7])
def test_saw_is_no_leak(rising: int) -> None:
    saw = [number % rising * 400_000 for number in range(SAMPLES)]

    assert growth(saw, EVERY) < 1_000


@pytest.mark.parametrize("count", [7, 10, 12, 20])
def test_few_calls_of_a_slow_model_are_enough(count: int) -> None:
    assert growth([number * EVERY * 100_000 for number in range(count)], EVERY) == pytest.approx(100_000, rel=0.2)


def test_smaller_of_both_slopes_is_taken() -> None:
    saw = [99, 0, 9, 1, 7, 2, 12]  # without the first: of 15 pairs the median is 3 / 4, of 5 steps 6
    doubling = [0] * 4 + [2**number for number in range(12)]  # of ten blocks the median step is 64, of 10 / 12 samples

    assert growth(saw, 2) == 0.375
    assert growth(doubling, 2) == pytest.approx(64 * 10 / 12 / 2)


def test_first_calls_do_not_count() -> None:
    assert growth([number * 40_960 for number in range(10)] + [400_000] * 30, EVERY) == 0.0


def test_memory_that_is_given_back_is_no_leak() -> None:
    assert growth([300_000 - number * 4096 for number in range(SAMPLES)], EVERY) < 0.0


@pytest.mark.parametrize("samples", [(), (1,), tuple(range(6))])
def test_too_few_samples_say_nothing(samples: Sequence[int]) -> None:
    assert math.isnan(growth(samples, EVERY))


@pytest.mark.parametrize(("stored", "tensors"), [("float32", 4_000), ("bfloat16", 2_000), ("int8", 2_200)])
@pytest.mark.parametrize("runtime", ["torchscript", "lite_interpreter"])
def test_what_a_load_takes_is_a_ratio_to_tensors_and_modules(
    runtime: Runtime, stored: NumberType, tensors: int
) -> None:
    by_name = {each.statistic: each.value for each in memory(told(), MODEL, runtime, stored=stored)}

    assert by_name["peak_ratio"] == 14_000 / (tensors + 100 * FOR_A_MODULE[runtime]["peak"])
    assert by_name["second_ratio"] == 2_000 / (tensors + 100 * FOR_A_MODULE[runtime]["second"])


def test_growth_and_ratios_are_judged_and_what_was_measured_is_shown() -> None:
    samples = [number * EVERY * 4_096 for number in range(SAMPLES)]
    note = "{} bytes; the model's tensors are 4000"

    found = memory(told(samples), MODEL, "onnxruntime", stored="float32")

    assert found == (
        Finding("growth", 4_096.0, "bytes", note="a call, of 400 with new pictures"),
        Finding("second_ratio", 2_000 / 1_204_000, "1", against="expected", note=note.format(2_000)),
        Finding("second", 2_000.0, "bytes", judged=False),
        Finding("peak_ratio", 14_000 / 2_504_000, "1", against="expected", note=note.format(14_000)),
        Finding("peak", 14_000.0, "bytes", judged=False),
        Finding("imports", 1_000.0, "bytes", judged=False),
    )


def test_kernel_without_a_peak_leaves_the_rest() -> None:
    found = {each.statistic for each in memory(told(peak=None), MODEL, "inductor", stored="float32")}

    assert found == {"growth", "second_ratio", "second", "imports"}


def test_every_runtime_has_its_room() -> None:
    assert set(FOR_A_MODULE) == {form.runtime for form in FORMS.values()} - {"eager"}
