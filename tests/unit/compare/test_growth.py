"""What two records show only together: each step from one number to the next, and bounds that are not the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.changes import check_judged_alike, moved
from vitgate.compare.pairing import paired, VerdictRow
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, FindingRow

from ..conftest import Refuses

PASSED = {"status": "passed", "outcome": "passed"}
DECLARED = {"status": "declared", "outcome": "failed", "deviation": "d"}


@pytest.fixture
def step(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> Callable[..., tuple[VerdictRow, VerdictRow]]:
    """Return a helper: the row of a claim after its number went from one value to another."""

    def make(
        claim: str,
        statistic: str,
        old: float | str | None,
        new: float | str | None,
        against: str = "",
        states: tuple[dict[str, str], dict[str, str]] = (PASSED, PASSED),
        other: tuple[FindingRow, ...] = (),
    ) -> tuple[VerdictRow, VerdictRow]:
        both = []
        for value, state in zip((old, new), states, strict=True):
            found = (
                [] if value == "nothing" else [FindingRow(statistic=statistic, value=value, unit="1", against=against)]
            )
            both.append(record(claims=(claim_row(claim, findings=(*other, *found), **state),)))
        rows = paired(*both)
        return rows[0], moved(rows, *both)[0]

    return make


@pytest.mark.parametrize(
    ("claim", "statistic", "against", "old", "new", "word"),
    [
        ("size", "size", "", 1000.0, 1030.0, "same"),
        ("size", "size", "", 1000.0, 1031.0, "regressed"),
        ("size", "size", "", 1000.0, 10.0, "fixed"),
        ("size", "size", "", 1000.0, 971.0, "same"),
        ("size", "size", "", 0.0, 10.0, "regressed"),  # a ratio to nothing is no number
        ("size", "size", "", 0.5, 0.6, "regressed"),
        ("size", "size", "", 0.5, 0.51, "same"),
        ("size", "ratio", "", 1000.0, 9000.0, "same"),
        ("weights", "size", "", 1000.0, 9000.0, "same"),
        ("logits_original", "sqnr_change", "expected", 0.5, -0.9, "same"),
        ("logits_original", "sqnr_change", "expected", 0.5, -1.1, "regressed"),
        ("logits_original", "sqnr_change", "expected", -1.1, 0.5, "fixed"),
        ("logits_original", "sqnr", "original", 24.0, 10.0, "same"),  # another scheme, of which less is expected
        ("memory", "growth", "", 0.0, 390.0, "same"),
        ("memory", "growth", "", 0.0, 410.0, "regressed"),
        ("memory", "growth", "", 410.0, 0.0, "fixed"),
        ("memory", "peak", "", 0.2e6, 4e6, "same"),  # what a runtime takes for itself is more
        ("memory", "peak", "", -0.1e6, 2e6, "same"),
        ("memory", "peak", "", 400e6, 640e6, "regressed"),
        ("memory", "peak", "", 640e6, 400e6, "fixed"),
        ("lite_bytecode", "bytecode_version", "", 8.0, 8.0, "same"),
        ("lite_bytecode", "bytecode_version", "", 8.0, 9.0, "regressed"),
        ("lite_bytecode", "bytecode_version", "", 9.0, 8.0, "fixed"),
    ],
)
def test_change_beyond_release_bound_is_regressed_or_fixed(
    step: Callable[..., tuple[VerdictRow, VerdictRow]],
    claim: str,
    statistic: str,
    against: str,
    old: float,
    new: float,
    word: str,
) -> None:
    before, after = step(claim, statistic, old, new, against)

    assert before.word == "same"
    assert (after.word, after.red) == (word, word == "regressed")
    assert bool(after.note) is (word != "same")


def test_note_names_change_and_bound(step: Callable[..., tuple[VerdictRow, VerdictRow]]) -> None:
    assert step("size", "size", 1000.0, 2000.0)[1].note == (
        "growth against old: 2 1, expected [-inf, 1.03] [size.growth: would need upper = 2]"
    )
    assert step("size", "size", 2000.0, 1000.0)[1].note == "growth against old: 0.5 1, expected [-inf, 1.03]"
    assert step("logits_original", "sqnr_change", 0.0, -10.0, "expected")[1].note.startswith(
        "sqnr_change against old: -10 dB"
    )
    assert step("lite_bytecode", "bytecode_version", 8.0, 10.0)[1].note.startswith("bytecode_change against old: 2 1")


def test_peak_grows_beyond_what_a_runtime_takes(step: Callable[..., tuple[VerdictRow, VerdictRow]]) -> None:
    assert step("memory", "peak", 16e6, 80e6)[1].note.startswith("peak_growth against old: 3 1")


def test_each_number_of_a_claim_is_looked_at(step: Callable[..., tuple[VerdictRow, VerdictRow]]) -> None:
    peak = (FindingRow(statistic="peak", value=1e8, unit="bytes"),)
    after = step("memory", "growth", 0.0, 100_000.0, other=peak)[1]

    assert (after.word, after.red) == ("regressed", True)
    assert after.note.startswith("growth_change against old: 100000 bytes")
    assert "peak_growth" not in after.note


@pytest.mark.parametrize(
    ("back", "word", "changes"),
    [
        (False, "regressed", ("growth_change against old: 100000 bytes, ", "peak_growth against old: 3 1, ")),
        (True, "fixed", ("growth_change against old: -100000 bytes, ", "peak_growth against old: 0.333333 1, ")),
    ],
    ids=["worse", "better"],
)
def test_note_names_each_number_that_moved(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    back: bool,
    word: str,
    changes: tuple[str, str],
) -> None:
    both = [
        record(claims=(claim_row("memory", findings=(_bytes("growth", growth), _bytes("peak", peak))),))
        for growth, peak in ((0.0, 16e6), (100_000.0, 80e6))
    ]
    both = both[::-1] if back else both

    (row,) = moved(paired(*both), *both)

    assert row.word == word
    notes = row.note.split("; ")
    assert [note.startswith(change) for note, change in zip(notes, changes, strict=True)] == [True, True]


def test_claim_broken_in_both_can_regress_further(step: Callable[..., tuple[VerdictRow, VerdictRow]]) -> None:
    assert step("size", "size", 1000.0, 2000.0, states=(DECLARED, DECLARED))[1].word == "regressed"


@pytest.mark.parametrize("states", [(PASSED, DECLARED), (DECLARED, PASSED)])
def test_changed_outcome_gets_no_growth_note(
    step: Callable[..., tuple[VerdictRow, VerdictRow]], states: tuple[dict[str, str], dict[str, str]]
) -> None:
    before, after = step("size", "size", 1000.0, 2000.0, states=states)

    assert after == before
    assert after.word in ("regressed", "fixed")


@pytest.mark.parametrize(("old", "new"), [(None, 1000.0), (1000.0, None), ("nothing", 1000.0), (1000.0, "nothing")])
def test_number_missing_on_one_side_is_no_change(
    step: Callable[..., tuple[VerdictRow, VerdictRow]], old: float | str | None, new: float | str | None
) -> None:
    before, after = step("size", "size", old, new)

    assert after == before


def test_number_is_found_among_other_findings(step: Callable[..., tuple[VerdictRow, VerdictRow]]) -> None:
    other = (FindingRow(statistic="size", value=1.0, unit="1", against="parent"),)

    assert step("size", "size", 1000.0, 2000.0, other=other)[1].word == "regressed"


def test_row_of_one_record_is_unchanged(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    old, new = record(claims=(claim_row("size"),)), record()
    rows = paired(old, new)

    assert moved(rows, old, new) == rows


@pytest.fixture
def bounded(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> Callable[..., Record]:
    """Return a helper: a record of one number with these bounds."""

    def make(
        claim: str = "label", created: str = "2026-01-01", tolerance: str = "floor", unit: str = "dB", **bounds: Any
    ) -> Record:
        found = FindingRow(statistic="sqnr", value=1.0, unit=unit, tolerance=tolerance, **bounds)
        return record(created=created, claims=(claim_row(claim, findings=(found,)),))

    return make


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"lower": 18.0}, "18.0 to inf dB"),
        ({"lower": 20.0, "upper": 30.0}, "20.0 to 30.0 dB"),
        ({"upper": 20.0}, "-inf to 20.0 dB"),
        ({"lower": 20.0, "unit": "1"}, "20.0 to inf 1"),
    ],
)
def test_other_bounds_or_another_unit_are_refused(
    bounded: Callable[..., Record], fields: dict[str, Any], text: str, refuses: Refuses
) -> None:
    refuses(
        lambda: check_judged_alike(bounded(lower=20.0), bounded(created="2026-01-02", **fields)),
        "the records were judged by different bounds: label[digits-qnnpack-lite] floor by 20.0 to inf dB, and by "
        f"{text} (2026-01-01 and 2026-01-02): make both with the same suite",
    )


def test_equal_bounds_and_other_tolerances_are_comparable(bounded: Callable[..., Record]) -> None:
    for other in ({}, {"tolerance": "other", "upper": 1.0}, {"claim": "size", "upper": 1.0}, {"tolerance": ""}):
        check_judged_alike(bounded(lower=20.0), bounded(**{"lower": 20.0, **other}))
    check_judged_alike(bounded(tolerance="", lower=1.0), bounded(tolerance="", lower=2.0))


@pytest.mark.parametrize(
    ("variant", "new", "word"),
    [("inductor", 1042.0, "same"), ("inductor_int8", 1101.0, "regressed"), ("exported", 1042.0, "regressed")],
)
def test_compiled_package_may_grow_by_its_code(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], variant: str, new: float, word: str
) -> None:
    both = [
        record(claims=(claim_row("size", variant, engine="none", findings=(_bytes("size", value),), **PASSED),))
        for value in (1000.0, new)
    ]

    assert moved(paired(*both), *both)[0].word == word


def _bytes(statistic: str, value: float) -> FindingRow:
    return FindingRow(statistic=statistic, value=value, unit="bytes")
