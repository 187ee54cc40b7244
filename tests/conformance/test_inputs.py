"""A user's pictures as the model gets them, held against the tensors that were kept of them."""

import pytest

from vitgate.judge import input_tensors
from vitgate.observe.inputs import golden_inputs, pictures
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("inputs")
def test_inputs(check: Check) -> None:
    golden, shown = (check.observer.get(what, check.cell.case).demand() for what in (golden_inputs, pictures))
    before, now = golden.arrays["x"], shown.arrays["x"]
    files = list(zip(golden.values["pictures"], shown.values["files"], strict=True))
    check.assert_within(
        findings=input_tensors.golden(before, now, files),
        diagnose=lambda: input_tensors.worst(shown.values["names"], before, now, files),
    )
