"""The files without Python: a C++ program gets the same logits from them, also where its threads share one."""

import pytest

from vitgate.judge import findings, serving
from vitgate.observe.environment import environment
from vitgate.observe.outputs import outputs
from vitgate.observe.programs import native, native_concurrent, program
from vitgate.plugin.fixtures import Check


@pytest.mark.claim("native_program")
def test_native_program(session_check: Check) -> None:
    found = session_check.observer.get(program).demand().values
    torch = session_check.observer.get(environment).values["torch"]
    python = [name for name in found["libraries"] if "python" in name]
    own = str(found["version"])
    message = f"it was built against libtorch {own}, torch is {torch}; libraries of Python's: {python or 'none'}"
    session_check.assert_that(holds=torch.startswith(own) and not python, message=message)


@pytest.mark.claim("native")
def test_native(check: Check) -> None:
    python, own = (check.observer.get(each, check.cell).demand() for each in (outputs, native))
    check.assert_within(findings=findings.native(python, own))


@pytest.mark.claim("native_concurrent")
def test_native_concurrent(check: Check) -> None:
    check.assert_within(
        findings=[serving.concurrent(check.observer.get(native_concurrent, check.cell).demand().values)]
    )
