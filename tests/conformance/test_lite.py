"""Lite files: what a runtime in the field must understand to run them. That it loads them is part of every other claim
about a lite variant, since their logits come from the real lite interpreter."""

import pytest

from vitgate.judge.operators import outside, read_operators
from vitgate.observe.artifacts import lite_info
from vitgate.plugin.fixtures import Check
from vitgate.spec.outcome import Finding


@pytest.mark.claim("lite_bytecode")
def test_lite_bytecode(check: Check) -> None:
    info = check.observer.get(lite_info, check.cell).demand()
    check.assert_within(findings=[Finding("bytecode_version", float(info.values["bytecode_version"]), "1")])


@pytest.mark.claim("lite_operators")
def test_lite_operators(check: Check) -> None:
    operators = check.observer.get(lite_info, check.cell).demand().values["operators"]
    new = outside(operators, read_operators() | {*check.cell.operators})
    check.assert_that(
        holds=bool(operators) and not new,
        message=f"{len(operators)} operators, not in the allowed list: {', '.join(new) or 'none'}",
    )
