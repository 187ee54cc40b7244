"""Each Linear of a saved file, and each operator of the original, by itself: what end-to-end numbers average away."""

import pytest

from vitgate.judge import computed
from vitgate.observe.layers import kernels, layers
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("layers")
def test_layers(check: Check) -> None:
    check.assert_within(findings=computed.layers(check.observer.get(layers, check.cell).demand().values["layers"]))


@pytest.mark.claim("kernels")
def test_kernels(check: Check) -> None:
    found = check.observer.get(kernels, check.cell.case).demand().values["kernels"]
    check.assert_within(findings=[computed.kernels(found)])
