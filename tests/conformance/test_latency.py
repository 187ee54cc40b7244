"""Latency as ratios to the original, sampled while no other test of the session runs."""

import pytest

from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("latency")
@pytest.mark.alone
def test_latency(check: Check) -> None:
    bench, cell = check.bench, check.cell
    if cell.form.file:
        bench.artifact(cell).demand()
    samples = bench.latency(cell.case, cell.engine, check.latency_bounds()).demand()
    check.assert_within(findings=findings.latency(samples.values, cell.variant))
