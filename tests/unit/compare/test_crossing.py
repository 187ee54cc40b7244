"""Crossings are held against their maker's own run, under the rows that both versions made of their own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.pairing import (
    judge_latency,
    judge_matrix,
    JudgedLatency,
    JudgedMatrixRow,
    MatrixRow,
    PairedLatency,
)
from vitgate.records.record import Environment, Record
from vitgate.records.rows import CellRow, ClaimRow
from vitgate.spec.outcome import NO_TOOLS

from ..conftest import Refuses
from ..outcomes import in_parts

OLD, NEW = "2.12.1", "2.15.0"
FAILED = {"status": "failed", "outcome": "failed", "message": "two labels are wrong"}
GONE = {"status": "declared", "outcome": "failed at save", "deviation": "gone"}
OFFLINE = {"status": "environment error", "outcome": "environment error"}


def crossing(maker: str = OLD, runner: str = NEW, **fields: Any) -> MatrixRow:
    place = {"case": "digits", "engine": "qnnpack", "variant": "lite"}
    return MatrixRow(
        maker=maker, runner=runner, **in_parts(**{**place, "status": "passed", "outcome": "passed", **fields})
    )


@pytest.fixture
def sides(record: Callable[..., Record], environment: Environment) -> Callable[..., tuple[Record, Record]]:
    """Return a helper: the old and the new record with these claims and cells."""

    def make(
        old: list[ClaimRow] | tuple[()] = (),
        new: list[ClaimRow] | tuple[()] = (),
        cells: tuple[tuple[CellRow, ...], tuple[CellRow, ...]] = ((), ()),
        torch: tuple[str, str] = (f"{OLD}+cpu", f"{NEW}+cpu"),
    ) -> tuple[Record, Record]:
        first, second = (
            record(environment=environment.model_copy(update={"torch": version}), claims=tuple(rows), cells=lines)
            for version, rows, lines in zip(torch, (old, new), cells, strict=True)
        )
        return first, second

    return make


def judged(sides: tuple[Record, Record], row: MatrixRow) -> JudgedMatrixRow:
    return next(item for item in judge_matrix(*sides, [row]) if item.name == row.name)


def test_diagonal_precedes_crossings_with_sizes(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]
) -> None:
    lines = tuple((cell_row(case="digits", size_bytes=size), cell_row("other", size_bytes=9)) for size in (10, 20))
    both = sides([claim_row("build")], [claim_row("build", **FAILED)], lines)
    row = crossing(size_bytes=10, sqnr_db=99.0)

    found = judge_matrix(*both, [row])

    def own(version: str, **fields: Any) -> MatrixRow:
        return crossing(version, version, **fields)

    old, new = own(OLD, size_bytes=10), own(NEW, size_bytes=20, **FAILED)
    assert found == [
        JudgedMatrixRow(name=old.name, word="same", row=old),
        JudgedMatrixRow(name=new.name, word="regressed", row=new),
        JudgedMatrixRow(name=row.name, word="same", row=row),
    ]
    assert row.name == f"artifacts[digits-qnnpack-lite, {OLD} on {NEW}]"


def test_each_cell_has_one_diagonal_per_side_with_a_row(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    both = sides([claim_row("build", "optimized")], [claim_row("build"), claim_row("build", "optimized")])
    rows = [crossing(), crossing(NEW, OLD), crossing(variant="optimized"), crossing(variant="scripted")]

    found = judge_matrix(*both, rows)

    places = [(item.row.variant, item.row.maker, item.row.runner) for item in found]
    assert places == [
        ("lite", NEW, NEW),
        ("optimized", OLD, OLD),
        ("optimized", NEW, NEW),
        *((row.variant, row.maker, row.runner) for row in rows),
    ]
    assert {item.word for item in found[:3]} == {"same"}
    assert all(item.row.size_bytes is None for item in found)


def test_baseline_of_cell_is_its_worst_claim(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [
        claim_row("build"),
        claim_row("label", **FAILED),
        claim_row("repeatable"),
        claim_row("size", **GONE),  # not about what the file computes
        claim_row("build", "optimized", **GONE),
        claim_row("build", engine="x86", **GONE),
        claim_row("build", case="deit_base", **GONE),
    ]

    assert judged(sides(rows), crossing()).word == "fixed"
    assert judged(sides(rows), crossing(**FAILED)).word == "broken in both"
    assert judged(sides(rows), crossing(**GONE)).word == "regressed"
    assert judged(sides([*rows, claim_row("logits_parent", **OFFLINE)]), crossing()).word == "environment error"


@pytest.mark.parametrize(
    ("own", "state", "word", "red"),
    [
        ({}, {}, "same", False),
        ({}, FAILED, "regressed", True),
        ({}, GONE, "regressed", True),
        (GONE, GONE, "broken in both", False),
        (FAILED, FAILED, "broken in both", True),
        (FAILED, {}, "fixed", False),
        ({}, OFFLINE, "environment error", True),
        (OFFLINE, {}, "environment error", True),
        (None, {}, "missing", False),
        (None, GONE, "missing", True),
        (None, FAILED, "missing", True),
        (None, OFFLINE, "environment error", True),
    ],
)
def test_worse_or_undeclared_crossing_is_red(
    sides: Callable[..., tuple[Record, Record]],
    claim_row: Callable[..., ClaimRow],
    own: dict[str, str] | None,
    state: dict[str, str],
    word: str,
    red: bool,
) -> None:
    rows = [] if own is None else [claim_row("build", **own)]
    row = crossing(**state)

    assert judged(sides(rows), row) == JudgedMatrixRow(name=row.name, word=word, red=red, row=row)


def test_disallowed_machine_code_is_not_comparable(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    both = sides([claim_row("build")], [claim_row("build")])
    unrun = crossing(status="unsupported", outcome="unsupported", error=NO_TOOLS, message="machine code")
    lacking = crossing(status="unsupported", outcome="unsupported", message="no engine")

    assert (judged(both, unrun).word, judged(both, unrun).red) == ("not comparable", False)
    assert (judged(both, lacking).word, judged(both, lacking).red) == ("regressed", True)


def test_backward_crossing_is_compared_with_new_record(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    both = sides([claim_row("build", **FAILED)], [claim_row("build")])

    assert judged(both, crossing(NEW, OLD)).word == "same"
    assert judged(both, crossing(OLD, NEW)).word == "fixed"


def test_version_against_itself_has_no_separate_diagonal(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    both = sides([claim_row("build")], [claim_row("build")], torch=(OLD, OLD))

    assert [item.row for item in judge_matrix(*both, [crossing(OLD, OLD)])] == [crossing(OLD, OLD)]


@pytest.mark.parametrize(("maker", "runner"), [(OLD, OLD), (NEW, NEW), ("2.6.0", NEW), (OLD, "2.6.0")])
def test_crossing_of_other_versions_is_refused(
    sides: Callable[..., tuple[Record, Record]], refuses: Refuses, maker: str, runner: str
) -> None:
    row = crossing(maker, runner)

    refuses(
        lambda: judge_matrix(*sides(), [row]),
        f"{row.name} is about other versions than 2.12.1 and 2.15.0 (the matrix): hand in the crossings of these two",
    )


def test_duplicate_rows_are_refused(sides: Callable[..., tuple[Record, Record]], refuses: Refuses) -> None:
    refuses(lambda: judge_matrix(*sides(), [crossing(), crossing()]), "(the matrix)", "duplicate name")
    latency = PairedLatency(case="digits", engine="x86", variant="lite", verdict="not comparable", pairs=0)
    refuses(lambda: judge_latency([latency, latency]), "(the paired latencies)", "duplicate name")


def test_paired_latencies_keep_their_verdicts() -> None:
    rows = [
        PairedLatency(
            case="digits",
            engine="x86",
            variant=verdict.split()[0],
            verdict=verdict,
            pairs=3,
            **dict.fromkeys(("ratio", "low", "high", "old_ms", "new_ms"), 1.0),
        )
        for verdict in ("same", "regressed", "fixed", "not comparable", "environment error")
    ]

    assert judge_latency(rows) == [
        JudgedLatency(
            name=f"paired_latency[digits-x86-{row.variant}]",
            word=row.verdict,
            red=row.verdict in ("regressed", "environment error"),
            row=row,
        )
        for row in rows
    ]


def test_diagonal_of_declared_row_has_its_outcome_and_deviation(
    sides: Callable[..., tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    both = sides([claim_row("build", **GONE)], [claim_row("build", **GONE)])

    (old, _, _) = judge_matrix(*both, [crossing()])

    assert old.row == crossing(OLD, OLD, **GONE)
    assert set(vars(old.row)) == set(MatrixRow.model_fields)
