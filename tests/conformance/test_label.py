"""Top-1 on the reference picture and on every other picture of the case."""

import pytest

from vitgate.judge import findings
from vitgate.observe.diagnosis import diagnosis_of
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("label")
def test_label(check: Check) -> None:
    observer, cell = check.observer, check.cell
    own = observer.get(outputs, cell).demand()
    original = None if cell.variant == "original" else observer.get(outputs, cell.at("original")).demand()
    kind = observer.get(weights, cell.case).values["kind"]
    found = findings.labels(own, observer.get(pictures, cell.case), original, kind=kind)
    check.assert_within(findings=found, diagnose=lambda: diagnosis_of(observer, cell.at("original"), cell))


@pytest.mark.claim("repeatable")
def test_repeatable(check: Check) -> None:
    check.assert_within(findings=[findings.repeated(check.observer.get(outputs, check.cell).demand())])
