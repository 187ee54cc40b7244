"""The sizes that the tutorial gives: 346 MB, 89 MB, and no growth after that; and what the successors' files take."""

import pytest

from vitgate.judge import findings
from vitgate.observe.artifacts import artifact, parameters
from vitgate.observe.environment import default_engine
from vitgate.observe.inputs import weights
from vitgate.plugin.fixtures import Check
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import Finding


@pytest.mark.claim("size")
def test_size(check: Check) -> None:
    found = _of_successor(check) if check.cell.engine == NO_ENGINE else _of_tutorial(check)
    check.assert_within(findings=found)


def _of_tutorial(check: Check) -> tuple[Finding, ...]:
    observer, cell = check.observer, check.cell
    own, scripted = (observer.get(artifact, each).demand() for each in (cell, cell.at("scripted")))
    parent = (
        observer.get(artifact, cell.parent).demand()
        if cell.parent and cell.parent.form.file and cell.parent.form.quantized
        else None
    )
    own_model = observer.get(weights, cell.case).values["kind"] == "own"
    numbers = observer.get(parameters, cell.case).demand().values["numbers"] if own_model else None
    return findings.sizes(own, scripted, parent, numbers)


def _of_successor(check: Check) -> tuple[Finding, ...]:
    observer, cell = check.observer, check.cell
    own = observer.get(artifact, cell).demand()
    int8 = observer.get(artifact, CellId(cell.case, default_engine(observer), findings.TUTORIAL_INT8))
    return findings.successor_sizes(own, observer.get(parameters, cell.case).demand().values["numbers"], int8)
