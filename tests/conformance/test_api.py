"""Every call of the tutorial still binds and works, and says nothing new about its future."""

import pytest

from vitgate.judge.torch_warnings import read_warnings, stale, unexpected
from vitgate.observe.environment import environment, tutorial_call
from vitgate.plugin.fixtures import Check
from vitgate.spec.claims import read_calls

every_call = pytest.mark.parametrize("call", list(read_calls()))


@pytest.mark.claim("calls")
@every_call
def test_calls(session_check: Check, call: str) -> None:
    probe = session_check.observer.get(tutorial_call, call).demand().values
    message = f"{call}: {probe['error']}: {probe['message']}"
    session_check.assert_that(holds=probe["works"], message=message, error=probe["error"])


@pytest.mark.claim("warnings")
@every_call
def test_warnings(session_check: Check, call: str) -> None:
    observer = session_check.observer
    heard = observer.get(tutorial_call, call).demand().values["warnings"]
    observed = {call: [(row["category"], row["text"]) for row in heard]}
    torch = observer.get(environment).values["torch"]
    news = [*unexpected(observed, read_warnings(), torch), *stale(observed, read_warnings(), torch)]
    session_check.assert_that(holds=not news, message="; ".join(news))
