"""What of a successor's file runs in int8, and what of it a backend runs: a layer that was left out costs, silently."""

import pytest

from vitgate.judge import computed
from vitgate.observe.coverage import coverage
from vitgate.plugin.fixtures import Check
from vitgate.spec.variants import FLOAT_FORMS


@pytest.mark.claim("coverage")
def test_coverage(check: Check) -> None:
    observer, cell = check.observer, check.cell
    own = observer.get(coverage, cell).demand().values
    plain = observer.get(coverage, cell.at(FLOAT_FORMS[cell.variant])) if cell.variant in FLOAT_FORMS else None
    named = observer.get(coverage, cell.at("exported")) if cell.form.runtime == "executorch" else None
    linears = [row for row in named.values["products"] if row["linear"]] if named and not named.outcome else None
    found = computed.coverage(
        own,
        plain.values if plain and not plain.outcome else {},
        linears=None if linears is None else len(linears),
        form=cell.form,
    )
    check.assert_within(findings=found)
