"""The sizes that the tutorial gives: 346 MB, 89 MB, and no growth after that."""

import pytest

from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("size")
def test_size(check: Check) -> None:
    bench, cell = check.bench, check.cell
    own, scripted = (bench.artifact(each).demand() for each in (cell, cell.at("scripted")))
    parent = (
        bench.artifact(cell.parent).demand()
        if cell.parent and cell.parent.form.file and cell.parent.form.quantized
        else None
    )
    own_model = bench.weights(cell.case).values["kind"] == "own"
    numbers = bench.parameters(cell.case).demand().values["numbers"] if own_model else None
    check.assert_within(findings=findings.sizes(own, scripted, parent, numbers))
