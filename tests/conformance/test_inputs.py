"""A user's pictures as the model gets them, held against the tensors that were kept of them."""

import pytest

from vitgate.judge.input_tensors import golden_steps, of_tensors, worst
from vitgate.observe.inputs import golden_inputs, pictures
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("inputs")
def test_inputs(check: Check) -> None:
    golden, shown = (check.observer.get(what, check.cell.case).demand() for what in (golden_inputs, pictures))
    before, now = golden.arrays["x"], shown.arrays["x"]
    pair = (of_tensors(before, golden.values["pictures"]), of_tensors(now, shown.values["files"]))
    check.assert_within(findings=golden_steps(before, now), diagnose=lambda: worst(shown.values["names"], *pair))
