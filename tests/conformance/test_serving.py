"""What a server does: several pictures in one call, several callers at once, and all cores for one call."""

import pytest

from vitgate.judge import serving
from vitgate.observe.serving import batches, concurrent, expected_batches
from vitgate.observe.threads import threads
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("batch")
def test_batch(check: Check) -> None:
    observer, cell = check.observer, check.cell
    evidence = observer.get(batches, cell).demand()
    own = evidence.arrays
    if cell.scheme is None:
        found = serving.batched(own)
    else:
        original = observer.get(batches, cell.at("original")).demand().arrays["alone"]
        expected = observer.get(expected_batches, cell.case, cell.scheme).demand().arrays
        found = serving.batched_int8(own, original, expected)
    check.assert_within(findings=[*found, serving.per_picture(evidence.values["seconds"])])


@pytest.mark.claim("concurrent")
def test_concurrent(check: Check) -> None:
    check.assert_within(findings=[serving.concurrent(check.observer.get(concurrent, check.cell).demand().values)])


@pytest.mark.claim("threads")
def test_threads(check: Check) -> None:
    found = check.observer.get(threads, check.cell).demand()
    check.assert_within(findings=serving.threads(found.values, found.arrays["one"], found.arrays["all"]))
