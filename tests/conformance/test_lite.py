"""Lite files: what a runtime in the field must understand to run them. That it loads them is part of every other claim
about a lite variant, since their logits come from the real lite interpreter."""

import pytest

from vitgate.judge.operators import outside, read_operators
from vitgate.observe.inputs import weights
from vitgate.observe.saved_weights import graph_operators, lite_info
from vitgate.plugin.fixtures import Check
from vitgate.spec.outcome import Finding


@pytest.mark.claim("lite_bytecode")
def test_lite_bytecode(check: Check) -> None:
    info = check.observer.get(lite_info, check.cell).demand()
    check.assert_within(findings=[Finding("bytecode_version", float(info.values["bytecode_version"]), "1")])


@pytest.mark.claim("lite_operators")
def test_lite_operators(check: Check) -> None:
    operators = check.observer.get(lite_info, check.cell).demand().values["operators"]
    new = outside(operators, read_operators() | _own_operators(check))
    check.assert_that(
        holds=bool(operators) and not new,
        message=f"{len(operators)} operators, not in the allowed list: {', '.join(new) or 'none'}",
    )


def _own_operators(check: Check) -> set[str]:
    """Return what the case adds to the list: of a user's model, if it names none, what its own graph calls."""
    cell = check.cell
    if cell.operators or check.observer.get(weights, cell.case).values["kind"] != "own":
        return {*cell.operators}
    quantized = check.observer.get(graph_operators, cell.at("scripted_quantized")).demand()
    return {*quantized.values["operators"]}
