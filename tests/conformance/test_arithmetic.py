"""What the saved graph computes beside its weights, operator by operator: constants that int8 logits hide."""

import pytest

from vitgate.observe.saved_weights import readback
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("arithmetic")
def test_arithmetic(check: Check) -> None:
    found = check.observer.get(readback, check.cell).demand().values["arithmetic"]
    expected = check.cell.arithmetic
    check.assert_that(holds=found == expected, message=f"the graph has {found}, expected {expected}")
