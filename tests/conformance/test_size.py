"""What a file takes: the model's own tensors, each once, and code; of DeiT-Base the tutorial's 346 and 89 MB."""

import pytest

from vitgate.judge import findings
from vitgate.observe.artifacts import artifact
from vitgate.observe.environment import default_engine
from vitgate.observe.saved_weights import parameters, readback
from vitgate.plugin.fixtures import Check
from vitgate.spec.cases import TUTORIAL_CASE
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
    parent = cell.parent if cell.parent and cell.parent.form.quantized else None
    return findings.sizes(
        own,
        scripted,
        observer.get(artifact, parent).demand() if parent else None,
        observer.get(readback, cell).demand().values,
        observer.get(parameters, cell.case).demand().values,
        stated=cell.case == TUTORIAL_CASE and cell.variant in findings.STATED_SIZES,
    )


def _of_successor(check: Check) -> tuple[Finding, ...]:
    observer, cell = check.observer, check.cell
    own = observer.get(artifact, cell).demand()
    int8 = observer.get(artifact, CellId(cell.case, default_engine(observer), findings.TUTORIAL_INT8))
    model = observer.get(parameters, cell.case).demand().values
    return findings.successor_sizes(own, model, int8, stored=cell.form.stored, runtime=cell.form.runtime)
