"""Latency as ratios to the original, sampled while no other test of the session runs."""

import pytest

from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("latency")
@pytest.mark.alone
def test_latency(check: Check) -> None:
    observer, cell = check.observer, check.cell
    if cell.form.file:
        observer.artifact(cell).demand()
    samples = observer.latency(cell.case, cell.engine, check.latency_bounds()).demand()
    check.assert_within(findings=findings.latency(samples.values, cell.variant))
