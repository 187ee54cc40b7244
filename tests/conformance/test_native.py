"""The files without Python: a C++ program gets the same logits from them."""

import pytest

from vitgate.judge import findings
from vitgate.plugin.check import Check


@pytest.mark.claim("native_program")
def test_native_program(session_check: Check) -> None:
    program = session_check.observer.program().demand().values
    torch = session_check.observer.environment().values["torch"]
    python = [name for name in program["libraries"] if "python" in name]
    own = str(program["version"])
    message = f"it was built against libtorch {own}, torch is {torch}; libraries of Python's: {python or 'none'}"
    session_check.assert_that(holds=torch.startswith(own) and not python, message=message)


@pytest.mark.claim("native")
def test_native(check: Check) -> None:
    outputs = check.observer.outputs(check.cell).demand()
    check.assert_within(findings=findings.native(outputs, check.observer.native(check.cell).demand()))
