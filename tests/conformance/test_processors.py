"""The int8 files on lower processors than the machine's own, to which the libraries' kernels are held."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from vitgate.judge.computed import on_processor, on_processors, wrong_on
from vitgate.judge.metrics import Array
from vitgate.observe.artifacts import artifact
from vitgate.observe.layers import expected_logits, few_outputs, layers
from vitgate.observe.outputs import outputs
from vitgate.plugin.fixtures import Check
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import Arrays, ClaimFailed, Outcome
from vitgate.spec.processors import lower_for, Processor, VALGRIND


@pytest.mark.claim("processors")
def test_processors(check: Check) -> None:
    if message := _lower(check, check.cell)[1]:
        raise ClaimFailed(Outcome("unsupported", message=message))
    held, has_layers = _held(check, check.cell), check.cell in read_claims()["layers"].cells()
    rows: dict[str, Any] = {
        processor: check.observer.held_to(processor).get(layers, check.cell).demand().values["layers"]
        for processor in _lower(check, check.cell)[0]
        if has_layers
    }
    original, expected = _original_and_expected(check, check.cell)
    own = check.observer.get(outputs, check.cell).demand().arrays["logits"]
    check.assert_within(
        findings=[
            *on_processors(held, rows, original, expected),
            on_processor(check.observer.plan.processor, own[: len(expected)], original[: len(expected)]),
        ],
        diagnose=lambda: _diagnosis(check),
    )


def _lower(check: Check, cell: CellId) -> tuple[tuple[Processor, ...], str]:
    plan = check.observer.plan
    return lower_for(cell.form.runtime, plan.processor, valgrind=plan.processors == VALGRIND, lowest=plan.ships_to)


def _held(check: Check, cell: CellId) -> Arrays:
    """Return the logits of the cell's file by processor; the machine's own builds it."""
    check.observer.get(artifact, cell).demand()
    return {
        processor: check.observer.held_to(processor).get(few_outputs, cell).demand().arrays["logits"]
        for processor in _lower(check, cell)[0]
    }


def _original_and_expected(check: Check, cell: CellId) -> tuple[Array, Array]:
    assert cell.scheme is not None
    original = check.observer.get(outputs, cell.at("original")).demand().arrays["logits"]
    return original, check.observer.get(expected_logits, cell.case, cell.scheme).demand().arrays["logits"]


def _diagnosis(check: Check) -> str:
    """Say on which processors the file is wrong, and which others of the same kind are right on all."""
    wrong = ", ".join(_wrong(check, check.cell)) or "none, but for its layers"
    right = ", ".join(_right_everywhere(check)) or "no other"
    return f"Wrong on: {wrong}. Right on every processor: {right}"


def _wrong(check: Check, cell: CellId) -> tuple[str, ...]:
    bounds = next(finding for finding in check.findings if finding.statistic == "sqnr_change")
    return wrong_on(_held(check, cell), *_original_and_expected(check, cell), bounds)


def _right_everywhere(check: Check) -> Iterator[str]:
    for cell in check.claim.cells():
        if cell.group == check.cell.group and cell != check.cell:
            with suppress(ClaimFailed):  # what cannot be built or run is no advice
                if _lower(check, cell)[0] and not _wrong(check, cell):
                    yield str(cell.variant)
