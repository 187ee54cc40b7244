"""Accuracy over the whole held-out part, paired with the original's, picture by picture."""

import pytest

from vitgate.judge.compare import paired_accuracy
from vitgate.plugin.check import Check


@pytest.mark.claim("accuracy")
def test_accuracy(check: Check) -> None:
    bench, cell = check.bench, check.cell
    original = bench.outputs(cell.at("original")).demand().arrays["heldout_logits"]
    own = bench.outputs(cell).demand().arrays["heldout_logits"]
    check.assert_within(findings=paired_accuracy(original, own, bench.pictures(cell.case).arrays["heldout_labels"]))
