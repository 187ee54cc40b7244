"""How far each variant's logits are from the original's and from those of the variant that it was made from.

Of the tutorial's int8 model the distance is shown after each block too.
"""

import pytest

from vitgate.judge.findings import by_block, TUTORIAL_INT8
from vitgate.judge.metrics import compare
from vitgate.observe.diagnosis import blocks, diagnosis_of
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check
from vitgate.spec.variants import VariantName


def _compare(check: Check, reference: VariantName, against: str) -> None:
    observer, cell = check.observer, check.cell
    other = cell.at(reference)
    logits = [observer.get(outputs, each).demand().arrays["logits"] for each in (other, cell)]
    shown = by_block(observer.get(blocks, cell)) if (reference, cell.variant) == ("original", TUTORIAL_INT8) else ()
    found = (*compare(*logits, against=against), *shown)
    check.assert_within(findings=found, diagnose=lambda: diagnosis_of(observer, other, cell))


@pytest.mark.claim("logits_original")
def test_logits_original(check: Check) -> None:
    _compare(check, "original", "original")


@pytest.mark.claim("logits_parent")
def test_logits_parent(check: Check) -> None:
    assert check.cell.parent is not None
    _compare(check, check.cell.parent.variant, "parent")
