"""From evidence and rows to the record: nothing that was not checked counts, and broken evidence breaks no record."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.judge.computed import expected_error
from vitgate.judge.findings import latency, TUTORIAL_INT8
from vitgate.judge.metrics import compare
from vitgate.observe.layers import expected_logits
from vitgate.observe.store import Store
from vitgate.records.assemble import assemble, cell_row, expected_claims
from vitgate.records.rows import ClaimRow, finding_row, FindingRow
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import Evidence, Outcome
from vitgate.spec.run_config import RunConfig

LITE = CellId("digits", "qnnpack", "lite")
LOGITS = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.5]], dtype=np.float32)
FASTER = {"thread": [0.5] * 4, "wall": [0.5] * 4, "waited": [0.0] * 4, "process": [0.5] * 4, "profiled_ms": 7.0}
ORIGINAL = {"thread": [1.0] * 4, "wall": [1.0] * 4, "waited": [0.0] * 4, "process": [1.0] * 4, "profiled_ms": 9.0}
STOPPED = Evidence(outcome=Outcome("failed at", "script", "RuntimeError", "no"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "evidence")


@pytest.fixture
def put(store: Store) -> Callable[..., None]:
    """Return a helper that puts evidence into the store."""

    def put(kind: str, name: str, evidence: Evidence) -> None:
        store.get(kind, name, lambda: evidence)

    return put


def outputs(logits: Any) -> Evidence:
    return Evidence(arrays={"logits": np.asarray(logits, dtype=np.float32)})


@pytest.fixture
def rows_of(claim_row: Callable[..., ClaimRow]) -> Callable[..., Any]:
    """Return a helper: a passed row for every claim that a whole run of a plan checks."""

    def make(plan: RunConfig, leave_out: str = "") -> Any:
        names = [name[:-1].split("[") for name in expected_claims(plan) if name != leave_out]
        rows = [claim_row(claim, "", subject=subject) for claim, subject in names]
        others = [claim for claim in read_claims().values() if claim.per not in ("cell", "engine")]
        others = [claim for claim in others if claim.id not in {leave_out, *plan.left_out()}]
        return rows + [claim_row(claim.id, "", subject="x", case="", engine="") for claim in others]

    return make


def test_a_whole_run_is_expected_to_check_every_claim_about_the_plans_cells(plan: Callable[..., RunConfig]) -> None:
    names = expected_claims(plan())

    by_cell = [each for each in read_claims().values() if each.per == "cell" and each.engines != (NO_ENGINE,)]
    assert len(names) == len(set(names))
    assert {name.partition("[")[0] for name in names} >= {claim.id for claim in by_cell} - plan().left_out()
    assert {"build[digits-qnnpack-lite]", "label[digits-qnnpack-original]", "table[digits-qnnpack]"} <= set(names)


@pytest.mark.parametrize("other", ["deit_base", "x86"])
def test_nothing_is_expected_about_cells_outside_the_plan(other: str, plan: Callable[..., RunConfig]) -> None:
    assert [name for name in expected_claims(plan()) if other in name] == []


def test_more_engines_and_cases_are_expected_in_full(plan: Callable[..., RunConfig]) -> None:
    one, two = plan(), plan(engines=("qnnpack", "x86"))

    assert len(expected_claims(two)) == 2 * len(expected_claims(one))


def test_a_run_that_checked_everything_is_complete(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    record = assemble(plan(), store, rows_of(plan()), narrowed=False)

    assert record.missing == ()
    assert record.complete


@pytest.mark.parametrize("name", ["build[digits-qnnpack-lite]", "table[digits-qnnpack]", "calls"])
def test_a_claim_that_nobody_checked_is_missing(
    name: str, plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    record = assemble(plan(), store, rows_of(plan(), leave_out=name), narrowed=False)

    assert record.missing == (name,)
    assert not record.complete


def test_run_of_successors_alone_misses_no_call_of_the_tutorial(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    successors = plan(engines=("none",), engine=("none",))

    assert "calls" not in {row.claim for row in rows_of(successors)}
    assert assemble(successors, store, rows_of(successors), narrowed=False).missing == ()


def test_a_run_that_the_user_narrowed_misses_nothing_and_is_not_complete(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    record = assemble(plan(), store, [claim_row()], narrowed=True)

    assert record.missing == ()
    assert not record.complete


def test_a_record_has_a_line_for_each_variant_of_what_was_checked_and_none_for_an_engine_that_is_lacking(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [claim_row(), claim_row(engine="x86", status="unsupported", outcome="unsupported")]

    record = assemble(plan(engines=("qnnpack", "x86")), store, rows, narrowed=True)

    assert {row.engine for row in record.cells} == {"qnnpack"}
    assert len(record.cells) == len({row.variant for row in record.cells}) > 1


def test_the_inputs_of_each_case_are_named(
    plan: Callable[..., RunConfig], store: Store, put: Callable[..., None], claim_row: Callable[..., ClaimRow]
) -> None:
    put("weights", "digits", Evidence({"kind": "trained", "note": "committed", "digest": "ab", "path": "x"}))
    put("pictures", "digits", Evidence({"source": "committed", "note": "ten digits", "sha256": "cd"}))

    (row,) = assemble(plan(), store, [claim_row()], narrowed=True).inputs

    assert (row.case, row.weights, row.weights_digest, row.pictures_sha256) == ("digits", "trained", "ab", "cd")


def test_the_folder_of_pictures_is_named_for_the_cases_that_went_through_it(
    plan: Callable[..., RunConfig], store: Store, put: Callable[..., None], claim_row: Callable[..., ClaimRow]
) -> None:
    for case in ("digits", "deit_tiny"):
        put("weights", case, Evidence({"kind": "trained", "note": "committed", "digest": "ab", "path": "x"}))
        put("pictures", case, Evidence({"source": "committed", "note": "ten digits", "sha256": "cd"}))
    put("labelled", "labelled", Evidence({"note": "8 pictures", "digest": "ef"}))
    asked = plan(cases=("digits", "deit_tiny"), images="/pictures")

    digits, tiny = assemble(asked, store, [claim_row()], narrowed=True).inputs

    assert (digits.images_note, digits.images_digest) == ("", "")
    assert (tiny.images_note, tiny.images_digest) == ("8 pictures", "ef")


def test_a_run_with_pictures_lacks_what_it_did_not_check_of_them(
    plan: Callable[..., RunConfig], rows_of: Callable[..., Any], store: Store
) -> None:
    asked = plan(cases=("deit_tiny",), images="/pictures")

    assert assemble(asked, store, rows_of(asked), narrowed=False).missing == ()
    lost = "images[deit_tiny-qnnpack-lite]"
    assert assemble(asked, store, rows_of(asked, lost), narrowed=False).missing == (lost,)


def test_news_of_warnings_and_operators_are_listed_once(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [claim_row("warnings", subject=subject, status="failed", message="new Warning") for subject in ("a", "b")]
    rows += [claim_row("warnings", subject="c")]
    rows += [claim_row("lite_operators", status="failed", message="new::op")]

    record = assemble(plan(), store, rows, narrowed=True)

    assert (record.warnings, record.new_operators) == (("new Warning",), ("new::op",))


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
    ],
    ids=["stopped", "none", "none-of-the-original", "none-of-the-variant", "no-round"],
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
