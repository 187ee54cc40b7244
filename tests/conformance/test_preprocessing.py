"""The tutorial's preprocessing, held against a stored tensor."""

import pytest

from vitgate.observe.inputs import golden
from vitgate.plugin.fixtures import Check
from vitgate.spec.outcome import Finding


@pytest.mark.claim("preprocessing")
def test_preprocessing(session_check: Check) -> None:
    values = session_check.observer.get(golden).demand().values
    session_check.assert_within(
        findings=[
            Finding("steps", float(values["steps"]), "8-bit steps", against="golden"),
            Finding("difference", float(values["normalised"]), "1", against="golden"),
        ]
    )
