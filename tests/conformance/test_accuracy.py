"""Accuracy over the whole held-out part, paired with the original's, picture by picture."""

import pytest

from vitgate.judge.computed import expected_error
from vitgate.judge.metrics import compare, paired_accuracy
from vitgate.observe.inputs import pictures
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("accuracy")
def test_accuracy(check: Check) -> None:
    observer, cell = check.observer, check.cell
    original = observer.get(outputs, cell.at("original")).demand().arrays["heldout_logits"]
    own = observer.get(outputs, cell).demand().arrays["heldout_logits"]
    labels = observer.get(pictures, cell.case).arrays["heldout_labels"]
    error = compare(original, own, against="original")[:1]
    if cell.scheme:
        expected = observer.get(expected_logits, cell.case, cell.scheme).demand().arrays["heldout_logits"]
        error = expected_error(own, original, expected)
    check.assert_within(findings=(*paired_accuracy(original, own, labels), *error))
