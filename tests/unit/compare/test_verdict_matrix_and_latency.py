"""Files of one side under the other, and paired latency: compared, accepted and judged together with the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from vitgate.compare.verdict import compare, MatrixRow, PairedLatency, Verdict
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow

from ..conftest import Refuses
from ..outcomes import in_parts
from ..releases import release
from .states import accepting, BLOCKED, LACKING


def _crossing(maker: str = "2.12.1", runner: str = "2.15.0", variant: str = "lite_frozen", **fields: Any) -> MatrixRow:
    state = {"status": "passed", "outcome": "passed", **fields}
    return MatrixRow(maker=maker, runner=runner, case="digits", engine="x86", variant=variant, **in_parts(**state))


@pytest.mark.parametrize(
    ("row", "expected", "red"),
    [
        (_crossing(), "same", False),
        (_crossing(status="failed", outcome="failed at load"), "regressed", True),
        (_crossing(status="declared", outcome="failed at load", deviation="xnnpack-gone"), "regressed", True),
        (_crossing(status="environment error", outcome="environment error"), "environment error", True),
        (_crossing("2.15.0", "2.12.1", status="failed", outcome="failed"), "regressed", True),
        (_crossing("2.15.0", "2.12.1", "lite"), "fixed", False),  # what 2.15.0 itself cannot make
        (_crossing("2.15.0+cu132", "2.12.1+cu130", "lite", **BLOCKED), "broken in both", False),
        (_crossing(variant="unknown"), "missing", False),
        (_crossing(variant="unknown", status="declared", outcome="failed at load", deviation="x"), "missing", True),
    ],
    ids=lambda value: value.name if isinstance(value, MatrixRow) else str(value),
)
def test_crossing_is_compared_with_run_of_its_maker(row: Any, expected: str, red: bool) -> None:
    old, new = release("2.12.1"), release("2.15.0")
    known = accepting("xnnpack-gone-call", "profiler-use-cuda")

    verdict = compare(old, new, matrix=[row], accepted=known)

    found = next(item for item in verdict.matrix if item.name == row.name)
    assert (found.word, found.red) == (expected, red)
    diagonal = {item.row.maker for item in verdict.matrix if item.row.maker == item.row.runner}
    assert diagonal == (set() if row.variant == "unknown" else {"2.12.1", "2.15.0"})


def test_a_crossing_fails_for_its_own_cause_and_can_be_accepted() -> None:
    row = _crossing(status="failed", outcome="failed at load", message="unknown builtin op")
    same = release("2.12.1")
    new = same.model_copy(update={"environment": same.environment.model_copy(update={"torch": "2.15.0"})})

    verdict = compare(same, new, matrix=[row])

    assert [(cause.kind, cause.rows) for cause in verdict.causes] == [("crossing", (row.name,))]
    assert verdict.exit_status == 1
    assert "unknown builtin op" in verdict.causes[0].says
    assert row.name in verdict.answer
    assert compare(same, new, matrix=[row], accepted=accepting(row.name)).exit_status == 0


@pytest.mark.parametrize("pair", [("2.12.1", "2.12.1"), ("2.6.0", "2.15.0")])
def test_crossings_of_other_versions_are_refused(pair: tuple[str, str], refuses: Refuses) -> None:
    refuses(lambda: compare(release("2.12.1"), release("2.15.0"), matrix=[_crossing(*pair)]), "the matrix", pair[0])


def test_duplicate_crossing_is_refused(refuses: Refuses) -> None:
    refuses(lambda: compare(release("2.12.1"), release("2.15.0"), matrix=[_crossing()] * 2), "duplicate name")


def test_claims_of_crossings_are_compared_only_where_both_records_have_them(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    crossing = claim_row("artifacts")
    old, new = record(claims=(claim_row(), crossing)), record(missing=("artifacts",), complete=False)

    assert compare(old, new).exit_status == compare(new, old).exit_status == 0
    assert [row.claim for row in compare(old, new).rows] == ["label"]
    assert [row.claim for row in compare(old, old).rows] == ["label", "artifacts"]


def _latency(verdict: str, **fields: Any) -> PairedLatency:
    row = {"ratio": 1.3, "low": 1.2, "high": 1.4, "pairs": 20, "old_ms": 10.0, "new_ms": 13.0, **fields}
    return PairedLatency(case="digits", engine="x86", variant="lite", verdict=verdict, **row)


@pytest.mark.parametrize(
    ("given_", "expected", "status"),
    [
        ("same", "same", 0),
        ("fixed", "fixed", 0),
        ("not comparable", "not comparable", 0),
        ("regressed", "regressed", 1),
        ("environment error", "environment error", 6),
    ],
)
def test_a_paired_latency_is_red_only_where_it_regressed(
    record: Callable[..., Record], given_: str, expected: str, status: int
) -> None:
    verdict = compare(record(), record(), latency=[_latency(given_)])

    assert (verdict.latency[0].word, verdict.exit_status) == (expected, status)
    assert any("1.30 times the latency" in cause.says for cause in verdict.causes) is (status == 1)


def test_a_slower_cell_can_be_accepted(record: Callable[..., Record]) -> None:
    verdict = compare(
        record(), record(), latency=[_latency("regressed")], accepted=accepting("paired_latency[digits-x86-lite]")
    )

    assert verdict.exit_status == 0


@pytest.mark.parametrize("fields", [{"pairs": 0}, {"ratio": 0.0}, {"ratio": float("nan")}, {"unit": "s"}], ids=str)
def test_invalid_latency_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _latency("same", **fields)


def test_verdict_round_trips_through_json() -> None:
    row = _crossing(status="declared", outcome="failed at load", deviation="xnnpack-gone", sqnr_db=20.0)
    verdict = compare(
        release("2.12.1"),
        release("2.15.0"),
        matrix=[row],
        latency=[_latency("not comparable", ratio=None, note="one side lacks it")],
    )

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_rows_matrix_and_latency_are_judged_together(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], environment: Environment
) -> None:
    other = environment.model_copy(update={"torch": "2.15.0"})
    cell = {"case": "digits", "engine": "qnnpack", "variant": "lite"}
    row = MatrixRow(maker="2.13.0", runner="2.15.0", status="failed", outcome="failed", **cell)
    numbers = dict.fromkeys(("ratio", "low", "high", "old_ms", "new_ms"), 2.0)
    latency = PairedLatency(verdict="regressed", pairs=3, **cell, **numbers)
    old, new = record(claims=(claim_row("build"),)), record(claims=(claim_row("build"),), environment=other)

    verdict = compare(old, new, matrix=[row], latency=[latency])

    assert [item.name for item in verdict.rows] == ["build[digits-qnnpack-lite]"]
    assert [item.row.runner for item in verdict.matrix] == ["2.13.0", "2.15.0", "2.15.0"]
    assert [(item.name, item.cause) for item in verdict.latency] == [(latency.name, "slower")]
    assert [(cause.kind, cause.rows) for cause in verdict.causes] == [
        ("crossing", (row.name,)),
        ("latency", (latency.name,)),
    ]
    assert [change.what for change in verdict.changes.environment] == ["torch"]


def test_latency_of_another_machine_is_not_compared() -> None:
    old = release("2.15.0")
    lacking = {**LACKING, "findings": (), "deviation": "", "message": "an emulated processor"}
    claims = tuple(row.model_copy(update=lacking) if row.claim == "latency" else row for row in old.claims)
    there = old.environment.model_copy(update={"machine": "aarch64"})
    new = old.model_copy(update={"claims": claims, "environment": there})

    verdict = compare(old, new)

    assert {row.word for row in verdict.rows if row.claim in ("latency", "table")} == {"not comparable"}
    assert verdict.exit_status == 0
    assert "Latency is not compared: the records are of two machines." in verdict.notes
    assert verdict.answer.startswith("PyTorch 2.15.0 on x86_64 → 2.15.0 on aarch64: may upgrade")
