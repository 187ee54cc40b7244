"""How far each variant's logits are from the original's and from those of the variant that it was made from.

Of the tutorial's int8 model the distance is shown after each block too.
"""

import numpy as np
import pytest

from vitgate.judge.computed import expected_error, two_noises
from vitgate.judge.findings import by_block, TUTORIAL_INT8
from vitgate.judge.metrics import compare
from vitgate.observe.diagnosis import blocks, diagnosis_of
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.observe.saved_weights import readback
from vitgate.plugin.fixtures import Check
from vitgate.spec.cells import CellId


@pytest.mark.claim("logits_original")
def test_logits_original(check: Check) -> None:
    if check.cell.scheme:
        _expect(check)
    else:
        _compare(check, check.cell.at("original"), "original")


@pytest.mark.claim("logits_parent")
def test_logits_parent(check: Check) -> None:
    """What the optimizer rewrites, or freezing folds, rounds otherwise: int8 makes noise of that."""
    assert check.cell.parent is not None
    if check.cell.variant != "optimized" and (_is_equal(check) or not _is_folded(check)):
        _compare(check, check.cell.parent, "parent")
    else:
        _expect(check, check.cell.parent)


def _is_equal(check: Check) -> bool:
    """Whether the logits are the parent's bit for bit, so that nothing need be asked about the file."""
    assert check.cell.parent is not None
    own, parent = (
        check.observer.get(outputs, cell).demand().arrays["logits"] for cell in (check.cell, check.cell.parent)
    )
    return np.array_equal(own, parent)


def _is_folded(check: Check) -> bool:
    return bool(check.observer.get(readback, check.cell).values.get("folded"))


def _compare(check: Check, other: CellId, against: str) -> None:
    observer, cell = check.observer, check.cell
    logits = [observer.get(outputs, each).demand().arrays["logits"] for each in (other, cell)]
    check.assert_within(
        findings=compare(*logits, against=against), diagnose=lambda: diagnosis_of(observer, other, cell)
    )


def _expect(check: Check, parent: CellId | None = None) -> None:
    """Hold the int8 model's error, or its distance from its parent, against what its arithmetic should make."""
    observer, cell = check.observer, check.cell
    original = cell.at("original")
    assert cell.scheme is not None
    logits, reference = (observer.get(outputs, each).demand().arrays["logits"] for each in (cell, original))
    expected = observer.get(expected_logits, cell.case, cell.scheme).demand().arrays["logits"]
    if parent is None:
        shown = by_block(observer.get(blocks, cell)) if cell.variant == TUTORIAL_INT8 else ()
        found = (*expected_error(logits, reference, expected), *shown)
    else:
        found = two_noises(logits, observer.get(outputs, parent).demand().arrays["logits"], reference, expected)
    check.assert_within(findings=found, diagnose=lambda: diagnosis_of(observer, parent or original, cell))
