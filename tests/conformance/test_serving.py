"""What a server does: several pictures in one call, and several callers at once."""

import pytest

from vitgate.judge import serving
from vitgate.observe.serving import batches, concurrent, expected_batches
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("batch")
def test_batch(check: Check) -> None:
    observer, cell = check.observer, check.cell
    own = observer.get(batches, cell).demand().arrays
    if cell.scheme is None:
        found = serving.batched(own)
    else:
        original = observer.get(batches, cell.at("original")).demand().arrays["alone"]
        expected = observer.get(expected_batches, cell.case, cell.scheme).demand().arrays
        found = serving.batched_int8(own, original, expected)
    check.assert_within(findings=found)


@pytest.mark.claim("concurrent")
def test_concurrent(check: Check) -> None:
    check.assert_within(findings=[serving.concurrent(check.observer.get(concurrent, check.cell).demand().values)])
