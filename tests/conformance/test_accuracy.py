"""Accuracy over the whole held-out part, paired with the original's, picture by picture."""

import pytest

from vitgate.judge.metrics import paired_accuracy
from vitgate.observe.inputs import pictures
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("accuracy")
def test_accuracy(check: Check) -> None:
    observer, cell = check.observer, check.cell
    original = observer.get(outputs, cell.at("original")).demand().arrays["heldout_logits"]
    own = observer.get(outputs, cell).demand().arrays["heldout_logits"]
    labels = observer.get(pictures, cell.case).arrays["heldout_labels"]
    check.assert_within(findings=paired_accuracy(original, own, labels))
