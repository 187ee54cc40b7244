"""From samples to ratios of latency, with the guards and the times that are shown beside them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from vitgate.judge import findings
from vitgate.spec.outcome import Finding

from .made_evidence import by_name


def seconds(thread: Any, wall: Any = None, process: Any = None, waited: Any = None) -> Any:
    waited = [0.0] * len(thread) if waited is None else waited
    clocks = {"thread": thread, "wall": wall or thread, "process": process or thread, "waited": waited}
    return {**clocks, "profiled_ms": 9.0}


def test_latency_is_a_ratio_with_its_guards_and_the_plain_times_unjudged() -> None:
    samples = {
        "original": seconds([1.0] * 4),
        "lite": seconds([0.5] * 4, [0.6, 2.1, 1.2, 0.8], process=[1.0, 1.0, 0.75, 1.0], waited=[0.0, 0.0, 0.6, 0.2]),
    }

    found = by_name(findings.latency(samples, "lite"))

    assert {name: row.value for name, row in found.items()} == pytest.approx(
        {"ratio": 0.5, "asleep_per_cpu": 0.2, "waited_per_cpu": 0.4, "process_per_thread": 1.5}
        | {"latency": 500.0, "profiler": 9.0},
        abs=2e-5,  # what reading the clocks takes
    )
    interval = found["ratio"].note.removesuffix(", 4 rounds").split()
    assert interval[0::2] == ["interval", "to"]
    assert float(interval[1]) < 0.5 < float(interval[3])
    assert tuple(replace(row, value=0.0) for row in found.values()) == (
        Finding("ratio", 0.0, "1", against="original", note=found["ratio"].note),
        Finding("asleep_per_cpu", 0.0, "1"),
        Finding("waited_per_cpu", 0.0, "1", judged=False),
        Finding("process_per_thread", 0.0, "1"),
        Finding("latency", 0.0, "ms", judged=False),
        Finding("profiler", 0.0, "ms", judged=False, note="the tutorial's own figure"),
    )


def test_sleep_that_all_variants_share_is_judged_of_each() -> None:
    samples = {name: seconds([1.0] * 4, [1.06] * 4) for name in ("original", "lite")}

    for name in samples:
        found = by_name(findings.latency(samples, name))["asleep_per_cpu"]
        assert (found.judged, found.value) == (True, pytest.approx(0.06, abs=2e-5))


SAMPLES = {
    "original": seconds([1.0] * 4),
    "scripted_quantized": seconds([0.25] * 4),
    "exported": seconds([0.5] * 4),
    "lite": seconds([0.5] * 4),
}


def test_successor_is_shown_beside_tutorial_int8_file() -> None:
    beside, ratio, *_ = findings.latency(SAMPLES, "exported")

    assert beside == Finding("ratio", 2.0, "1", against="scripted_quantized", judged=False)
    assert (ratio.value, ratio.against, ratio.judged) == (0.5, "original", True)


@pytest.mark.parametrize(("variant", "without"), [("lite", ""), ("exported", "scripted_quantized")])
def test_ratio_to_original_stands_alone_without_successor_or_int8_file(variant: str, without: str) -> None:
    found = findings.latency({name: row for name, row in SAMPLES.items() if name != without}, variant)

    assert [each.against for each in found if each.statistic == "ratio"] == ["original"]


@pytest.mark.parametrize(
    "samples",
    [{}, {"original": seconds([1.0])}, {"lite": seconds([1.0])}, {"original": seconds([1.0]), "lite": seconds([])}],
    ids=["none", "none-of-the-variant", "none-of-the-original", "no-round"],
)
def test_latency_without_samples_is_nan(samples: dict[str, dict[str, Any]]) -> None:
    found = by_name(findings.latency(samples, "lite"))

    assert math.isnan(found["ratio"].value)
    if len(samples) < 2:
        assert tuple(found.values()) == (Finding("ratio", math.nan, "1", against="original", note="no samples"),)


def test_guards_with_unpaired_samples_are_nan() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5] * 4, wall=[0.5] * 3, process=[0.5] * 5)}

    found = by_name(findings.latency(samples, "lite"))

    assert math.isnan(found["asleep_per_cpu"].value)
    assert math.isnan(found["process_per_thread"].value)


def test_guards_over_zero_time_are_nan() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5, 0.0, 0.5, 0.5], wall=[0.5] * 4)}

    assert math.isnan(by_name(findings.latency(samples, "lite"))["asleep_per_cpu"].value)


def test_wall_time_is_not_judged_without_waiting_times() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5] * 4, wall=[9.0] * 4, waited=[])}

    assert {"asleep_per_cpu", "waited_per_cpu"}.isdisjoint(by_name(findings.latency(samples, "lite")))
