"""Latency as ratios to the original, sampled while no other test of the session runs."""

import pytest

from vitgate.judge import findings
from vitgate.observe.artifacts import artifact
from vitgate.observe.timing import latency_of
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("latency")
def test_latency(check: Check) -> None:
    observer, cell = check.observer, check.cell
    if cell.form.file:
        observer.get(artifact, cell).demand()
    samples = latency_of(observer, cell, check.latency_bounds()).demand()
    check.assert_within(findings=findings.latency(samples.values, cell.variant))
