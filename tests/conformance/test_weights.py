"""What is in the file, parameter by parameter: end-to-end numbers cannot see one layer that is off by 5%."""

import pytest

from vitgate.judge import findings
from vitgate.observe.saved_weights import readback
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("weights")
def test_weights(check: Check) -> None:
    found = check.observer.get(readback, check.cell).demand()
    check.assert_within(findings=findings.weights(found.values, quantized=check.cell.form.quantized))
