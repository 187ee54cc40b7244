"""The sizes that the tutorial gives: 346 MB, 89 MB, and no growth after that; and what the successors' files take."""

import pytest

from vitgate.cases import Cell
from vitgate.engines import NO_ENGINE
from vitgate.judge import findings
from vitgate.outcome import Finding
from vitgate.plugin.check import Check


@pytest.mark.claim("size")
def test_size(check: Check) -> None:
    found = _of_successor(check) if check.cell.engine == NO_ENGINE else _of_tutorial(check)
    check.assert_within(findings=found)


def _of_tutorial(check: Check) -> tuple[Finding, ...]:
    bench, cell = check.bench, check.cell
    own, scripted = (bench.artifact(each).demand() for each in (cell, cell.at("scripted")))
    parent = (
        bench.artifact(cell.parent).demand()
        if cell.parent and cell.parent.form.file and cell.parent.form.quantized
        else None
    )
    own_model = bench.weights(cell.case).values["kind"] == "own"
    numbers = bench.parameters(cell.case).demand().values["numbers"] if own_model else None
    return findings.sizes(own, scripted, parent, numbers)


def _of_successor(check: Check) -> tuple[Finding, ...]:
    bench, cell = check.bench, check.cell
    own = bench.artifact(cell).demand()
    int8 = bench.artifact(Cell(cell.case, bench.usual_engine(), findings.TUTORIAL_INT8))
    return findings.successor_sizes(own, bench.parameters(cell.case).demand().values["numbers"], int8)
