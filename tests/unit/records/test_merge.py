"""Shards: whatever the order and the grouping, the record is the one that a whole run would have written."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.records.consistency import check_consistent
from vitgate.records.merge import merge
from vitgate.records.record import read_record, Record
from vitgate.records.rows import CellRow, ClaimRow

from ..releases import release

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, settings  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

pytestmark = pytest.mark.usefixtures("claims_of_committed_records")
factories = settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])  # they only make rows
texts = st.lists(st.sampled_from(string.ascii_lowercase[:4]), max_size=3).map(tuple)


def part(whole: Record, index: int, of: int) -> Record:
    """Return the shard of a whole record that holds every `of`-th case and engine, and as many of the other rows."""
    groups = [(case, engine) for case in whole.cases for engine in whole.engines]
    own = groups[index::of]
    others = [row for row in whole.claims if not row.engine]
    claims = [row for row in whole.claims if (row.case, row.engine) in own] + others[index::of]
    cells = [row for row in whole.cells if (row.case, row.engine) in own]
    fields = {"claims": tuple(claims), "cells": tuple(cells), "complete": False, "shard": f"{index + 1}/{of}"}
    return whole.model_copy(update=fields)


@pytest.mark.parametrize("version", ["1.13.1", "2.12.1", "2.15.0"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_shards_merge_into_whole_run(version: str, count: int) -> None:
    whole = release(version)
    shards = [part(whole, index, count) for index in range(count)]

    merged = merge(shards[::-1])

    assert merged.complete
    assert merged.model_copy(update={"shard": ""}) == whole
    check_consistent(merged, where="the merged record")


@pytest.mark.parametrize("lost", [0, 2])
def test_missing_shard_leaves_run_incomplete(lost: int) -> None:
    shards = [part(release("2.12.1"), index, 3) for index in range(3) if index != lost]

    merged = merge(shards)

    assert not merged.complete
    assert merged.shard == "+".join(str(n) for n in (1, 2, 3) if n != lost + 1) + "/3"


def test_claim_left_out_by_shards_leaves_run_incomplete() -> None:
    shards = [part(release("2.12.1"), index, 2) for index in range(2)]
    shards[0] = shards[0].model_copy(update={"claims": shards[0].claims[1:]})

    assert not merge(shards).complete


def test_whole_record_is_unchanged() -> None:
    whole = release("2.15.0")

    assert merge([whole]) == merge([whole, whole]) == whole


@factories
@given(data=st.data())
def test_order_grouping_and_repetition_do_not_matter(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow], data: Any
) -> None:
    rows = [claim_row(name, variant) for name in ("label", "size", "unknown") for variant in ("lite", "optimized")]
    lines = [cell_row(variant, case="digits", build_seconds=None) for variant in ("lite", "optimized")]

    def draw() -> Record:
        claims = data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row.name))
        cells = data.draw(st.lists(st.sampled_from(lines), unique_by=lambda row: row.variant))
        seconds = data.draw(st.none() | st.floats(0.125, 8.0))
        present = {row.name for row in claims}
        names = data.draw(st.sets(st.sampled_from([*(row.name for row in rows), "calls"])))
        return record(
            created=data.draw(st.sampled_from(["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"])),
            cases=data.draw(st.permutations(["digits", "deit_base"]).map(tuple)),
            claims=tuple(claims),
            cells=tuple(row.model_copy(update={"build_seconds": seconds}) for row in cells),
            missing=tuple(sorted(names - present)),
            complete=False,
            warnings=data.draw(texts),
            shard=data.draw(st.sampled_from(["", "1/3", "2/3", "1+3/3"])),
        )

    a, b, c = draw(), draw(), draw()
    whole = merge([a, b, c])

    assert merge([c, a, b]) == merge([b, merge([c, a])]) == merge([merge([a, b]), c]) == whole
    assert merge([whole, whole]) == merge([whole, b]) == whole
    assert {row.name for row in whole.claims} == {row.name for each in (a, b, c) for row in each.claims}
    assert not {row.name for row in whole.claims} & set(whole.missing)


def test_claim_missing_in_one_shard_and_present_in_another_is_present(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    one = record(missing=("size[digits-qnnpack-lite]", "calls", "weights[x]"), complete=False)
    two = record(claims=(claim_row("size"), claim_row("calls", "", subject="load")))

    assert merge([one, two]).missing == ("weights[x]",)


def test_earliest_start_is_kept(record: Callable[..., Record]) -> None:
    made = [record(created=f"2026-01-0{day}T00:00:00+00:00") for day in (3, 1, 2)]

    assert merge(made).created == made[1].created


def test_outcome_of_cell_is_merged_from_all_parts(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]
) -> None:
    fields = {"case": "digits", "outcome": "passed", "latency_ratio": None}
    one = record(claims=(claim_row(),), cells=(cell_row(build_seconds=3.0, **fields),))
    gone = {"status": "declared", "outcome": "failed at run", "deviation": "d"}
    two = record(
        claims=(claim_row("size", **gone),), cells=(cell_row(build_seconds=2.0, **{**fields, "latency_ratio": 0.4}),)
    )

    cell = merge([one, two]).cells[0]

    assert (cell.outcome_text, cell.deviation) == ("failed at run", "d")
    assert (cell.build_seconds, cell.latency_ratio) == (2.0, 0.4)


def test_failed_claims_of_a_cell_come_from_all_parts(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]
) -> None:
    failed = {"status": "failed", "outcome": "failed"}
    parts = [
        record(claims=(claim_row(name, **failed),), cells=(cell_row(case="digits", outcome="failed", failed=(name,)),))
        for name in ("size", "label")
    ]

    assert [cell.outcome_text for cell in merge(parts).cells] == ["FAILED: label, size"]


def test_claims_left_out_by_every_part_stay_left_out(record: Callable[..., Record]) -> None:
    one, other = (record(left_out=names) for names in (("images", "latency"), ("images",)))

    assert merge([one, other]).left_out == ("images",)


def test_a_whole_run_has_no_shard_in_its_file(
    record: Callable[..., Record], data_file: Callable[[str, str], Path]
) -> None:
    assert '"shard"' not in record().text()
    path = data_file("record.json", record().text())

    assert read_record(path) == record()


def test_merged_rows_are_in_table_order_with_unknown_names_last(
    record: Callable[..., Record], cell_row: Callable[..., CellRow]
) -> None:
    names = [("zoo", "x86", "scripted"), ("alps", "x86", "scripted"), ("digits", "own", "scripted")]
    names += [("digits", "x86", name) for name in ("own_b", "lite", "own_a", "original")]
    names += [("digits", "fbgemm", "lite"), ("deit_base", "x86", "lite")]
    fields = {"outcome": "passed", "size_bytes": None, "label": None, "sqnr_db": None, "latency_ratio": None}
    cells = [cell_row(variant, case=case, engine=engine, **fields) for case, engine, variant in names]

    merged = merge([record(cells=(cell,), cases=(cell.case,), engines=(cell.engine,)) for cell in cells])

    assert merged.cases == ("deit_base", "digits", "alps", "zoo")
    assert merged.engines == ("own", "fbgemm", "x86")
    assert [(row.case, row.engine, row.variant) for row in merged.cells] == [
        ("deit_base", "x86", "lite"),
        ("digits", "own", "scripted"),
        ("digits", "fbgemm", "lite"),
        ("digits", "x86", "original"),
        ("digits", "x86", "lite"),
        ("digits", "x86", "own_a"),
        ("digits", "x86", "own_b"),
        ("alps", "x86", "scripted"),
        ("zoo", "x86", "scripted"),
    ]


def test_rows_are_ordered_by_claim_case_engine_and_subject(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [
        claim_row("own"),
        claim_row("size"),
        claim_row("label", engine="x86"),
        claim_row("label", "optimized"),
        claim_row("label", "lite"),
        claim_row("label", case="deit_base"),
        claim_row("calls", "", engine="", case="", subject="load"),
        claim_row("build"),
    ]

    merged = merge([record(claims=(row,)) for row in rows])

    assert [row.name for row in merged.claims] == [
        "build[digits-qnnpack-lite]",
        "label[deit_base-qnnpack-lite]",
        "label[digits-x86-lite]",
        "label[digits-qnnpack-lite]",
        "label[digits-qnnpack-optimized]",
        "size[digits-qnnpack-lite]",
        "calls[load]",
        "own[digits-qnnpack-lite]",
    ]


@pytest.mark.parametrize(
    ("fields", "complete"),
    [
        ({}, True),  # one of them is a complete run already
        ({"engines": ("x86",)}, False),
        ({"cases": ("deit_base",)}, False),
        ({"missing": ("weights[x]",)}, False),
    ],
)
def test_a_complete_run_stays_complete_with_parts_of_its_own_cases_and_engines(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], fields: dict[str, tuple[str]], complete: bool
) -> None:
    part_ = record(claims=(claim_row("size"),), **{"complete": False, **fields})

    assert merge([record(), part_]).complete is complete
    assert merge([record(shard="1/1"), part_]).complete is complete
    assert not merge([record(complete=False), part_]).complete


def test_complete_part_does_not_complete_run(record: Callable[..., Record]) -> None:
    assert not merge([record(shard="1/2")]).complete
    assert merge([record(shard="1/2"), record(shard="2/2", complete=False)]).complete is False


def test_parts_without_shards_complete_run_if_nothing_is_missing() -> None:
    whole = release("2.12.1")
    parts = [part(whole, index, 2).model_copy(update={"shard": ""}) for index in range(2)]

    assert merge(parts) == whole
    assert not merge(parts[:1]).complete


def test_numbers_of_a_cell_come_from_the_part_that_has_them(
    record: Callable[..., Record], cell_row: Callable[..., CellRow]
) -> None:
    fields = {"case": "digits", "outcome": "not checked"}
    one = record(claims=(), cells=(cell_row(digest_blake2b="", label=None, **fields),))
    two = record(claims=(), cells=(cell_row(digest_blake2b="ab", label=3, build_seconds=2.0, **fields),))

    (cell,) = merge([one, two]).cells

    assert (cell.digest_blake2b, cell.label, cell.build_seconds) == ("ab", 3, 2.0)
    assert cell == two.cells[0]
    (empty,) = merge([one, one]).cells
    assert (empty.digest_blake2b, empty.label) == ("", None)


def test_lists_of_all_parts_are_put_together_in_order(record: Callable[..., Record]) -> None:
    one = record(warnings=("b", "a"), new_operators=("y",), complete=False, missing=("n[2]", "n[1]"))
    two = record(warnings=("c", "a"), new_operators=("x", "y"))

    merged = merge([one, two])

    assert (merged.warnings, merged.new_operators) == (("a", "b", "c"), ("x", "y"))
    assert (merged.missing, merged.complete) == (("n[1]", "n[2]"), False)


def test_parts_complete_run_without_what_it_was_to_leave_out() -> None:
    whole = release("2.12.1")
    kept = tuple(row for row in whole.claims if row.claim != "latency")
    parts = [part(whole.model_copy(update={"claims": kept}), index, 2) for index in range(2)]
    told = [each.model_copy(update={"left_out": ("latency",)}) for each in parts]

    assert merge(told).complete
    assert not merge(parts).complete


def test_narrowed_run_adds_nothing_to_whole_run() -> None:
    whole = release("2.12.1")
    narrowed = whole.model_copy(update={"complete": False, "claims": whole.claims[:5], "cells": ()})
    parts = [part(whole, index, 2) for index in range(2)]

    assert merge([narrowed, whole]) == whole
    assert merge([merge(parts), narrowed]).complete
    assert not merge([narrowed]).complete
    assert not merge([narrowed, whole.model_copy(update={"complete": False, "claims": whole.claims[5:]})]).shard


def test_cases_are_in_order_of_their_file(record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = record().inputs[0]
    monkeypatch.setattr("vitgate.records.merge.read_cases", lambda: {"b": None, "a": None})
    parts = [
        record(cases=(case,), inputs=(rows.model_copy(update={"case": case}),), claims=(), cells=())
        for case in ("aa", "a", "b")
    ]

    merged = merge(parts)

    assert merged.cases == ("b", "a", "aa")
    assert [row.case for row in merged.inputs] == ["b", "a", "aa"]
