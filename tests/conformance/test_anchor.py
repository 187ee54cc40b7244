"""The original itself, held against what was published or committed of it.

A fault that all variants share shows in no comparison of two of them.
"""

import pytest

from vitgate.inputs.pictures import committed_logits
from vitgate.inputs.weights import KNOWN
from vitgate.judge import findings
from vitgate.observe.inputs import weights
from vitgate.observe.outputs import anchor
from vitgate.observe.saved_weights import parameters
from vitgate.plugin.fixtures import Check
from vitgate.spec.cases import read_cases


@pytest.mark.claim("anchor")
def test_anchor(check: Check) -> None:
    observer, cell = check.observer, check.cell
    logits = observer.get(anchor, cell).demand().arrays["logits"]
    known = observer.get(weights, cell.case).values["kind"] in KNOWN
    check.assert_within(findings=findings.anchor(logits, committed_logits(read_cases()[cell.case]) if known else None))


@pytest.mark.claim("parameters")
def test_parameters(check: Check) -> None:
    found = check.observer.get(parameters, check.cell.case).demand()
    count, published = found.values["count"], check.cell.parameters
    check.assert_that(holds=count == published, message=f"the model has {count:,} parameters, expected {published:,}")
