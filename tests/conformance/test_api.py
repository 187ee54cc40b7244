"""Every call of the tutorial still binds and works, and says nothing new about its future."""

import pytest

from vitgate.judge.calls import read_calls
from vitgate.judge.warnings import read_warnings, stale, unexpected
from vitgate.plugin.check import Check

every_call = pytest.mark.parametrize("call", list(read_calls()))


@pytest.mark.claim("calls")
@every_call
def test_call(session_check: Check, call: str) -> None:
    probe = session_check.bench.probe(call).demand().values
    message = f"{call}: {probe['error']}: {probe['message']}"
    session_check.assert_that(holds=probe["works"], message=message, error=probe["error"])


@pytest.mark.claim("warnings")
@every_call
def test_warnings(session_check: Check, call: str) -> None:
    bench = session_check.bench
    observed = {call: [(row["category"], row["text"]) for row in bench.probe(call).demand().values["warnings"]]}
    torch = bench.environment().values["torch"]
    news = [*unexpected(observed, read_warnings(), torch), *stale(observed, read_warnings(), torch)]
    session_check.assert_that(holds=not news, message="; ".join(news))
