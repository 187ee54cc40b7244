"""Verdicts to report: of two releases, and of records in which every free text is hostile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.verdict import compare, MatrixRow, PairedLatency, Verdict
from vitgate.records.record import Environment, Record
from vitgate.records.rows import CellRow, ClaimRow

from ..releases import release
from .hostile_text import HOSTILE


@pytest.fixture(scope="module")
def real() -> Verdict:
    """Return a red verdict with a matrix, latencies and an acceptance."""
    cell = {"case": "digits", "engine": "x86", "variant": "lite_frozen"}
    crossing = MatrixRow(
        maker="2.12.1", runner="2.15.0", status="failed", outcome="failed at", at="load", sqnr_db=12.5, **cell
    )
    numbers = {"ratio": 1.25, "low": 1.2, "high": 1.3, "pairs": 30, "old_ms": 8.0, "new_ms": 10.0}
    latency = PairedLatency(**cell, **numbers, verdict="regressed")
    entries = (Acceptance("profiler-use-cuda", "--accept"), Acceptance("no-such", "accepted.toml:7"))
    old, new = release("2.12.1"), release("2.15.0")
    return compare(old, new, matrix=[crossing], latency=[latency], accepted=Acceptances(entries))


@pytest.fixture
def hostile(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    environment: Environment,
) -> Verdict:
    """Return a verdict of records in which every free text is hostile."""
    texts = {"message": HOSTILE, "error": HOSTILE}
    bad = [
        claim_row("label", status="failed", outcome="failed", **texts),
        claim_row("size", status="declared", outcome="failed", deviation=HOSTILE, **texts),
        claim_row("calls", "", subject=HOSTILE, status="failed", outcome="failed", **texts),
        claim_row(HOSTILE, "", subject=HOSTILE, status="failed", outcome="failed at", at=HOSTILE, **texts),
    ]
    good = [row.model_copy(update={"status": "passed", "outcome": "passed", "message": ""}) for row in bad]
    other = environment.model_copy(update={"cpu": HOSTILE, "packages": {HOSTILE: HOSTILE}, "torch": "2.15.0" + HOSTILE})
    inputs = (record().inputs[0].model_copy(update={"weights_note": HOSTILE}),)
    old = record(claims=tuple(good), inputs=inputs)
    new = record(claims=tuple(bad), environment=other, inputs=inputs, warnings=(HOSTILE,), new_operators=(HOSTILE,))
    crossing = MatrixRow(
        maker=environment.torch,
        runner=other.torch,
        case=HOSTILE,
        engine=HOSTILE,
        variant=HOSTILE,
        status="failed",
        outcome="failed at",
        at=HOSTILE,
        message=HOSTILE,
    )
    entries = (Acceptance(HOSTILE, HOSTILE, HOSTILE, HOSTILE), Acceptance("x" + HOSTILE, HOSTILE))
    return compare(old, new, matrix=[crossing], accepted=Acceptances(entries))
