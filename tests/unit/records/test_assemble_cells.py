"""From evidence and rows to the lines of the table: broken evidence breaks no line."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vitgate.judge.computed import expected_error
from vitgate.judge.findings import latency, TUTORIAL_INT8
from vitgate.judge.metrics import compare
from vitgate.observe.layers import expected_logits
from vitgate.observe.store import Store
from vitgate.records.assemble import cell_row
from vitgate.records.rows import CellRow, ClaimRow, finding_row, FindingRow
from vitgate.spec.cells import CellId
from vitgate.spec.model_output import ModelOutput
from vitgate.spec.outcome import Evidence, Outcome

LITE = CellId("digits", "qnnpack", "lite")
LOGITS = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.5]], dtype=np.float32)
FASTER = {"thread": [0.5] * 4, "wall": [0.5] * 4, "waited": [0.0] * 4, "process": [0.5] * 4, "profiled_ms": 7.0}
ORIGINAL = {"thread": [1.0] * 4, "wall": [1.0] * 4, "waited": [0.0] * 4, "process": [1.0] * 4, "profiled_ms": 9.0}
STOPPED = Evidence(outcome=Outcome("failed at", "script", "RuntimeError", "no"))


def outputs(logits: Any) -> Evidence:
    return Evidence(arrays={"logits": np.asarray(logits, dtype=np.float32)})


def test_a_line_holds_the_numbers_of_its_evidence(store: Store, put: Callable[..., None]) -> None:
    put("artifact", str(LITE), Evidence({"path": "x", "bytes": 90, "digest": "ab", "seconds": 0.5}))
    put("outputs", str(LITE), outputs(LOGITS))
    put("outputs", "digits-original", outputs(LOGITS))
    put("latency", "digits-qnnpack", Evidence({"lite": FASTER, "original": ORIGINAL}))

    row = cell_row(LITE, store, [])

    assert (row.size_bytes, row.digest_blake2b, row.build_seconds) == (90, "ab", 0.5)
    assert (row.label, row.margin, row.sqnr_db) == (1, 2.0, 200.0)
    assert (row.latency_ms, row.latency_ratio, row.profiler_ms) == (500.0, 0.5, 7.0)
    assert row.latency_ratio_low is not None
    assert row.latency_ratio_high is not None
    assert row.latency_ratio_low < 0.5 < row.latency_ratio_high


def test_a_line_takes_the_numbers_that_its_claims_judged(
    store: Store, put: Callable[..., None], claim_row: Callable[..., ClaimRow]
) -> None:
    put("outputs", str(LITE), outputs(LOGITS))
    put("outputs", "digits-original", outputs(LOGITS))
    put("latency", "digits-qnnpack", Evidence({"lite": FASTER, "original": ORIGINAL}))
    beside = FindingRow(statistic="ratio", value=9.0, unit="1", against=TUTORIAL_INT8, judged=False)
    times = [FindingRow(statistic=name, value=value, unit="1") for name, value in (("ratio", 0.25), ("profiler", None))]
    far = [
        FindingRow(statistic=name, value=value, unit="dB") for name, value in (("sqnr", 0.0), ("expected_sqnr", 21.0))
    ]
    rows = [claim_row("latency", findings=(beside, *times)), claim_row("logits_original", findings=tuple(far))]

    row = cell_row(LITE, store, rows)

    assert (row.latency_ratio, row.profiler_ms, row.latency_ms) == (0.25, None, None)
    assert (row.sqnr_db, row.expected_sqnr_db, row.label, row.margin) == (0.0, 21.0, 1, 2.0)
    assert row.latency_spread_ms == (500.0,) * 5


@pytest.mark.parametrize("scheme", [True, False])
def test_what_no_claim_judged_is_what_it_would_have_judged(
    store: Store, put: Callable[..., None], claim_row: Callable[..., ClaimRow], scheme: bool
) -> None:
    own, original, expected = LOGITS, LOGITS * np.float32(1.1), LOGITS * np.float32(1.2)
    put("outputs", str(LITE), outputs(own))
    put("outputs", "digits-original", outputs(original))
    put("latency", "digits-qnnpack", Evidence({"lite": FASTER, "original": ORIGINAL}))
    if scheme:
        assert LITE.scheme is not None
        put("expected_logits", expected_logits.name("digits", LITE.scheme), outputs(expected))
    far = expected_error(own, original, expected) if scheme else compare(original, own, against="original")
    judged = {"logits_original": far, "latency": latency({"lite": FASTER, "original": ORIGINAL}, "lite")}
    rows = [claim_row(claim, findings=tuple(map(finding_row, found))) for claim, found in judged.items()]

    row = cell_row(LITE, store, [])

    assert row == cell_row(LITE, store, rows).model_copy(update={"outcome": "not checked"})
    assert (row.expected_sqnr_db is not None) is scheme
    assert None not in (row.sqnr_db, row.latency_ratio, row.latency_ms, row.profiler_ms)


def test_a_line_without_evidence_names_its_cell_alone(store: Store) -> None:
    assert cell_row(LITE, store, []) == CellRow(
        case="digits", engine="qnnpack", variant="lite", outcome="not checked", deviation="", digest_blake2b=""
    )


def test_a_float_variant_has_no_expected_error(store: Store, put: Callable[..., None]) -> None:
    scripted = LITE.at("scripted")
    for name in ("digits-scripted", "digits-original"):
        put("outputs", name, outputs(LOGITS))

    row = cell_row(scripted, store, [])

    assert (row.label, row.sqnr_db, row.expected_sqnr_db) == (1, 200.0, None)


def test_the_sign_of_one_logit_of_one_picture_is_its_label(store: Store, put: Callable[..., None]) -> None:
    for name in (str(LITE), "digits-original"):
        put("outputs", name, outputs([[2.0]]))

    row = cell_row(LITE, store, [])

    assert (row.label, row.margin, row.sqnr_db) == (1, 2.0, 200.0)


def test_an_embedding_has_no_label(store: Store, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (str(LITE), "digits-original"):
        put("outputs", name, outputs(LOGITS))
    digits = SimpleNamespace(returns=ModelOutput("embedding"))
    monkeypatch.setattr("vitgate.records.assemble.read_cases", lambda: {"digits": digits})

    row = cell_row(LITE, store, [])

    assert (row.label, row.margin, row.sqnr_db) == (None, None, 200.0)


def test_the_ratio_of_one_round_may_be_anything(store: Store, put: Callable[..., None]) -> None:
    once = {"lite": {**FASTER, "thread": [0.5]}, "original": {**ORIGINAL, "thread": [1.0]}}
    put("latency", "digits-qnnpack", Evidence(once))

    row = cell_row(LITE, store, [])

    assert (row.latency_ratio, row.latency_ratio_low, row.latency_ratio_high) == (0.5, 0.0, None)


def test_a_variant_that_was_not_profiled_has_the_other_times(store: Store, put: Callable[..., None]) -> None:
    put("latency", "digits-qnnpack", Evidence({"lite": {**FASTER, "profiled_ms": None}, "original": ORIGINAL}))

    row = cell_row(LITE, store, [])

    assert (row.latency_ms, row.profiler_ms) == (500.0, None)


def test_the_spread_of_the_samples_is_their_quartiles_in_milliseconds(store: Store, put: Callable[..., None]) -> None:
    own = {**FASTER, "thread": [0.5, 0.1, 0.4, 0.2, 0.3]}
    put("latency", "digits-qnnpack", Evidence({"lite": own, "original": ORIGINAL}))

    assert cell_row(LITE, store, []).latency_spread_ms == pytest.approx((100, 200, 300, 400, 500))


@pytest.mark.parametrize(
    ("own", "original"),
    [
        (STOPPED, outputs(LOGITS)),
        (outputs(LOGITS), STOPPED),
        (outputs(np.empty((0, 3))), outputs(LOGITS)),
        (outputs(LOGITS[0]), outputs(LOGITS)),
        (outputs([[math.nan] * 3] * 2), outputs(LOGITS)),
    ],
    ids=["stopped", "original-stopped", "empty", "one-dimension", "nan"],
)
def test_outputs_that_say_nothing_leave_label_and_numbers_empty(
    own: Evidence, original: Evidence, store: Store, put: Callable[..., None]
) -> None:
    put("outputs", str(LITE), own)
    put("outputs", "digits-original", original)

    row = cell_row(LITE, store, [])

    assert (row.label, row.margin, row.sqnr_db) == (None, None, None)


def test_outputs_of_another_shape_than_the_originals_have_no_sqnr(store: Store, put: Callable[..., None]) -> None:
    put("outputs", str(LITE), outputs(LOGITS[:, :2]))
    put("outputs", "digits-original", outputs(LOGITS))

    row = cell_row(LITE, store, [])

    assert (row.label, row.sqnr_db) == (1, None)


@pytest.mark.parametrize(
    "samples",
    [
        STOPPED,
        Evidence({}),
        Evidence({"lite": FASTER}),
        Evidence({"original": ORIGINAL}),
        Evidence({"lite": {**FASTER, "thread": []}, "original": ORIGINAL}),
        Evidence({"lite": {**FASTER, "thread": [math.nan] * 4}, "original": ORIGINAL}),
    ],
    ids=["stopped", "none", "none-of-the-original", "none-of-the-variant", "no-round", "nan"],
)
def test_samples_that_say_nothing_leave_the_latency_empty(
    samples: Evidence, store: Store, put: Callable[..., None]
) -> None:
    put("latency", "digits-qnnpack", samples)

    row = cell_row(LITE, store, [])

    assert (row.latency_ms, row.latency_ratio, row.latency_spread_ms) == (None, None, ())


@pytest.mark.parametrize(
    ("states", "outcome", "deviation"),
    [
        ([], "not checked", ""),
        ([("label", "passed", "passed", "")], "passed", ""),
        ([("label", "passed", "passed", ""), ("size", "failed", "failed", "")], "FAILED: size", ""),
        ([("b", "failed", "failed", ""), ("a", "environment error", "environment error", "")], "FAILED: a, b", ""),
        ([("a", "declared", "failed at script", "gone"), ("b", "failed", "failed", "old")], "FAILED: b", "gone"),
        ([("a", "passed", "passed", ""), ("b", "declared", "failed at script", "gone")], "failed at script", "gone"),
        ([("a", "passed", "passed", ""), ("b", "declared", "failed", "twice")], "passed", "twice"),
    ],
    ids=["nothing", "passed", "one-failed", "two-failed", "failed-and-declared", "declared-stage", "declared-number"],
)
def test_a_line_sums_up_the_worst_of_its_claims(
    states: list[tuple[str, str, str, str]],
    outcome: str,
    deviation: str,
    store: Store,
    claim_row: Callable[..., ClaimRow],
) -> None:
    rows = [claim_row(claim, status=status, outcome=words, deviation=why) for claim, status, words, why in states]
    another = claim_row(variant="optimized", status="failed", outcome="failed")

    row = cell_row(LITE, store, [*rows, another])

    assert (row.outcome_text, row.deviation) == (outcome, deviation)
