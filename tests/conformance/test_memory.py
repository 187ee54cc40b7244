"""What a file takes of memory in a process of its own: calls leave none behind, and a load keeps no second copy."""

import pytest

from vitgate.judge import memory as judged
from vitgate.observe.memory import memory, uncounted
from vitgate.observe.saved_weights import parameters
from vitgate.plugin.fixtures import Check
from vitgate.spec.outcome import ClaimFailed


@pytest.mark.claim("memory")
def test_memory(check: Check) -> None:
    if outcome := uncounted():
        raise ClaimFailed(outcome)
    own = check.observer.get(memory, check.cell).demand().values
    form = check.cell.form
    model = check.observer.get(parameters, check.cell.case).demand().values
    check.assert_within(findings=judged.memory(own, model, form.runtime, stored=form.stored))
