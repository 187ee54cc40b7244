"""Top-1 on the reference picture and on every other picture of the case."""

import pytest

from vitgate.inputs.weights import KNOWN
from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("label")
def test_label(check: Check) -> None:
    bench, cell = check.bench, check.cell
    outputs = bench.outputs(cell).demand()
    original = bench.outputs(cell.at("original")).demand()
    kind = bench.weights(cell.case).values["kind"]
    found = findings.labels(outputs, bench.pictures(cell.case), original, true_labels=kind in KNOWN)
    check.assert_within(findings=found, diagnose=lambda: bench.diagnosis(cell.at("original"), cell))


@pytest.mark.claim("repeatable")
def test_repeatable(check: Check) -> None:
    outputs = check.bench.outputs(check.cell).demand()
    check.assert_within(findings=[findings.repeated(outputs)])
