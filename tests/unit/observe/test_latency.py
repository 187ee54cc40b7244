"""When the sampling of latencies ends: two rounds do where nothing slept in any call."""

from __future__ import annotations

import pytest

from vitgate.judge.latency_ratios import Bound
from vitgate.observe.latency import _enough


@pytest.mark.parametrize(
    ("walls", "ends"),
    [
        ([1.0, 1.0], True),
        ([1.0, 1.1], False),
        ([1.1, 1.1], False),
        ([1.0, 1.1, 1.0], True),
        ([1.1, 1.1, 1.0], False),
    ],
    ids=["awake", "one-of-two-slept", "both-slept", "worst-of-three-is-left-out", "two-of-three-slept"],
)
@pytest.mark.parametrize("waited", [True, False], ids=["told", "untold"])
def test_sampling_goes_on_while_a_call_sleeps(walls: list[float], ends: bool, waited: bool) -> None:
    calls = len(walls)
    still = {"thread": [1.0] * calls, "process": [1.0] * calls, "wall": [1.0] * calls, "waited": [0.0] * calls}
    own = {**still, "wall": walls, "waited": [0.0] * calls if waited else []}

    found = _enough(calls, 99.0, {"original": still, "lite": own}, {"lite": Bound(0.5, 1.5)})

    assert found is (ends or not waited)


@pytest.mark.parametrize(("walls", "ends"), [([1.0, 1.0], True), ([1.1, 1.0], False)], ids=["awake", "slept"])
def test_calls_of_which_the_system_told_some_alone_are_looked_at(walls: list[float], ends: bool) -> None:
    own = {"thread": [1.0, 1.0], "process": [1.0, 1.0], "wall": walls, "waited": [0.0]}

    assert _enough(2, 99.0, {"original": own, "lite": own}, {"lite": Bound(0.5, 1.5)}) is ends
