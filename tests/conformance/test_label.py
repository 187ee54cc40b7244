"""Top-1 on the reference picture and on every other picture of the case.

Of a user's model that returns an embedding its direction and neighbours, of one that decides several labels each.
"""

import pytest

from vitgate.judge import findings, vectors
from vitgate.judge.metrics import Array
from vitgate.observe.diagnosis import diagnosis_of
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check
from vitgate.spec.cases import read_cases


@pytest.mark.claim("label")
def test_label(check: Check) -> None:
    observer, cell = check.observer, check.cell
    own = observer.get(outputs, cell).demand()
    original = None if cell.variant == "original" else observer.get(outputs, cell.at("original")).demand()
    kind, shown = observer.get(weights, cell.case).values["kind"], observer.get(pictures, cell.case)
    output = read_cases()[cell.case].returns.kind
    if output == "logits":
        found = findings.labels(own, shown, original, kind=kind)
    elif output == "embedding":
        found = vectors.embeddings(own, shown, original, _expected(check))
    else:
        found = vectors.decisions(own, shown, original, _expected(check), kind=kind)
    check.assert_within(findings=found, diagnose=lambda: diagnosis_of(observer, cell.at("original"), cell))


def _expected(check: Check) -> Array | None:
    """Return the outputs that int8 should give; None of a variant in float."""
    cell = check.cell
    if cell.scheme is None:
        return None
    return check.observer.get(expected_logits, cell.case, cell.scheme).demand().arrays["logits"]


@pytest.mark.claim("repeatable")
def test_repeatable(check: Check) -> None:
    check.assert_within(findings=[findings.repeated(check.observer.get(outputs, check.cell).demand())])
