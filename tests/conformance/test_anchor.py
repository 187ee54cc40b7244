"""The original itself, held against committed logits: a fault that all variants share shows in no comparison of two."""

import pytest

from vitgate.cases import read_cases
from vitgate.inputs.anchor import committed_logits
from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("anchor")
def test_anchor(check: Check) -> None:
    bench, cell = check.bench, check.cell
    logits = bench.anchor(cell).demand().arrays["logits"]
    known = bench.weights(cell.case).values["kind"] in ("standin", "trained")
    check.assert_within(findings=findings.anchor(logits, committed_logits(read_cases()[cell.case]) if known else None))
