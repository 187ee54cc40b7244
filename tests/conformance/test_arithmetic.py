"""What the saved graph computes beside its weights, operator by operator: constants that int8 logits hide.

Of a case that does not say what it should be, what the original computes that is scripted here; frozen, if the file is,
since freezing leaves branches out.
"""

from collections import Counter

import pytest

from vitgate.observe.saved_weights import readback, scripted_arithmetic
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("arithmetic")
def test_arithmetic(check: Check) -> None:
    observer, cell = check.observer, check.cell
    found, expected = observer.get(readback, cell).demand().values["arithmetic"], cell.arithmetic
    if expected is None:
        original = observer.get(scripted_arithmetic, cell.case, "frozen" if cell.form.frozen else "modules")
        expected, found = original.demand().values["arithmetic"], _unpacked(found)
    check.assert_that(holds=found == expected, message=f"the graph has {found}, expected {expected}")


def _unpacked(found: dict[str, int]) -> dict[str, int]:
    """Count a convolution that the mobile optimizer has packed as what it was; it does not pack all of a model."""
    total: Counter[str] = Counter()
    for word, count in found.items():
        total[word.removeprefix("prepacked ")] += count
    return dict(total)
