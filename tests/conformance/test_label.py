"""Top-1 on the reference picture and on every other picture of the case."""

import pytest

from vitgate.inputs.weights import KNOWN
from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("label")
def test_label(check: Check) -> None:
    observer, cell = check.observer, check.cell
    outputs = observer.outputs(cell).demand()
    original = observer.outputs(cell.at("original")).demand()
    kind = observer.weights(cell.case).values["kind"]
    found = findings.labels(outputs, observer.pictures(cell.case), original, true_labels=kind in KNOWN)
    check.assert_within(findings=found, diagnose=lambda: observer.diagnosis(cell.at("original"), cell))


@pytest.mark.claim("repeatable")
def test_repeatable(check: Check) -> None:
    outputs = check.observer.outputs(check.cell).demand()
    check.assert_within(findings=[findings.repeated(outputs)])
