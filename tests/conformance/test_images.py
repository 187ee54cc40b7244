"""Accuracy, agreement and calibration over a folder of the user's own pictures, named with --images."""

import pytest

from vitgate.judge import picture_accuracy
from vitgate.observe.inputs import labelled
from vitgate.observe.predictions import images_of
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("images")
def test_images(check: Check) -> None:
    observer, cell = check.observer, check.cell
    own = picture_accuracy.predictions_from(images_of(observer, cell).demand())
    folder = observer.get(labelled).demand()
    labels, names = folder.arrays["labels"], folder.values["names"]
    found = picture_accuracy.accuracy(own, labels, observer.plan.images_accuracy)
    if cell.variant != "original":
        original = picture_accuracy.predictions_from(images_of(observer, cell.at("original")).demand())
        found += picture_accuracy.changes(original, own, labels, names)
    check.assert_within(findings=found)
