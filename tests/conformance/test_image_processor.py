"""A case's pictures through transformers' own image processors, held against the suite's tensors of them."""

import pytest

from vitgate.judge.image_processors import differing, processor_steps
from vitgate.observe.inputs import image_processor, pictures
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("image_processor")
def test_image_processor(check: Check) -> None:
    made, shown = (check.observer.get(what, check.cell.case).demand() for what in (image_processor, pictures))
    own, pair = (shown.arrays["x"], shown.values.get("files", [])), (made.arrays, made.values)
    check.assert_within(
        findings=processor_steps(own[0], *pair),
        diagnose=lambda: differing(check.findings, shown.values["names"], own, pair),
    )
