"""Accuracy, agreement and calibration over a folder of the user's own pictures, named with --images."""

import pytest

from vitgate.judge import images
from vitgate.plugin.check import Check


@pytest.mark.claim("images")
def test_images(check: Check) -> None:
    bench, cell = check.bench, check.cell
    own = images.predictions_from(bench.images(cell).demand())
    folder = bench.labelled().demand()
    labels, names = folder.arrays["labels"], folder.values["names"]
    found = images.accuracy(own, labels, bench.plan.images_accuracy)
    if cell.variant != "original":
        original = images.predictions_from(bench.images(cell.at("original")).demand())
        found += images.changes(original, own, labels, names)
    check.assert_within(findings=found)
