"""Every call of the tutorial still binds and works, and says nothing new about its future."""

import pytest

from vitgate.plugin.check import Check
from vitgate.run.api import read_calls


@pytest.mark.claim("calls")
@pytest.mark.parametrize("call", list(read_calls()))
def test_call(session_check: Check, call: str) -> None:
    probe = session_check.bench.probe(call).values
    session_check.assert_that(holds=probe["works"], message=f"{call}: {probe['error']}: {probe['message']}")
