"""Two records whose pictures became other tensors, as when torchvision changes what it does by default."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitgate.compare.acceptance import read_acceptances
from vitgate.compare.changes import Change
from vitgate.compare.inputs import input_changes
from vitgate.compare.verdict import compare
from vitgate.files.errors import UsageError
from vitgate.judge.input_tensors import summary
from vitgate.records.record import parse_record, Record
from vitgate.records.rows import ClaimRow, PreprocessedRow

from ..judge.test_input_tensors import both, CHANGES, one_level_off, PHOTOS, sound, Tensors
from ..releases import release

NAMES = ("volcano", "pizza")


def with_pictures(record: Record, x: Tensors, **fields: Any) -> Record:
    """Return the record with what the pictures became."""
    rows = [PreprocessedRow(name=name, **{**summary(each), **fields}) for name, each in zip(NAMES, x, strict=False)]
    inputs = [row.model_copy(update={"preprocessed": tuple(rows)}) for row in record.inputs]
    return record.model_copy(update={"inputs": tuple(inputs)})


@pytest.fixture
def pair(record: Callable[..., Record]) -> Callable[[str], tuple[Record, Record]]:
    """Return a helper: a record, and one of a version that changed one step."""

    def make(change: str) -> tuple[Record, Record]:
        before, now = both(PHOTOS, CHANGES[change][0])
        return with_pictures(record(), before), with_pictures(record(), now)

    return make


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_changed_preprocessing_is_a_red_row(
    change: str, back: bool, pair: Callable[[str], tuple[Record, Record]]
) -> None:
    old, new = pair(change)[::-1] if back else pair(change)

    verdict = compare(old, new)

    (row,) = (row for row in verdict.rows if row.red)
    assert (row.name, row.word, row.case, verdict.exit_status) == ("inputs[digits]", "regressed", "digits", 1)
    assert row.note.startswith("preprocessed inputs of digits changed: 2 of 2 pictures, ")
    assert "[inputs.change: would need upper = " in row.note
    step = CHANGES[change][1].split()[0]
    assert f"first step that differs: {step}" in row.note
    assert "1 thing breaks: inputs (inputs[digits])" in verdict.answer
    assert verdict.changes.inputs == (Change(what="digits", old="", new=row.note),)


def test_changed_preprocessing_is_accepted_by_its_row(pair: Callable[[str], tuple[Record, Record]]) -> None:
    verdict = compare(*pair("no antialias"), accepted=read_acceptances(["inputs[digits]"], None))

    assert verdict.exit_status == 0


def test_row_of_golden_inputs_that_holds_is_turned(
    pair: Callable[[str], tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    golden = claim_row("inputs", "", subject="digits", case="digits", engine="")
    old, new = (each.model_copy(update={"claims": (*each.claims, golden)}) for each in pair("bilinear"))

    assert [(row.name, row.word) for row in compare(old, new).rows if row.red] == [("inputs[digits]", "regressed")]


def test_one_level_here_and_there_is_shown_and_not_red(record: Callable[..., Record]) -> None:
    before, now = both(PHOTOS, lambda path: one_level_off(path, 0.02))

    verdict = compare(with_pictures(record(), before), with_pictures(record(), now))

    assert verdict.exit_status == 0
    assert "distance against old: 0.1" in verdict.changes.inputs[0].new


def test_same_inputs_are_no_row(record: Callable[..., Record]) -> None:
    same = with_pictures(record(), np.stack(list(map(sound, PHOTOS))))
    verdict = compare(same, same)

    assert (verdict.exit_status, verdict.changes.inputs) == (0, ())
    assert [row.claim for row in verdict.rows if row.claim == "inputs"] == []
    assert [row.preprocessed for row in verdict.new.inputs] == [()]


def test_record_without_preprocessed_inputs_has_nothing_to_compare(
    record: Callable[..., Record], pair: Callable[[str], tuple[Record, Record]]
) -> None:
    assert compare(record(), pair("halves")[1]).exit_status == 0


def test_new_record_that_lost_them_is_red(
    record: Callable[..., Record], pair: Callable[[str], tuple[Record, Record]]
) -> None:
    verdict = compare(pair("halves")[0], record())

    assert [row.note for row in verdict.rows if row.red] == [
        "preprocessed inputs of digits changed: the new record says nothing of them"
    ]


def test_not_a_number_and_another_shape_are_red(record: Callable[..., Record]) -> None:
    before, _ = both(PHOTOS, sound)
    broken = before.copy()
    broken[0] = np.nan

    for now, words in ((broken, "a tensor holds NaN or infinity"), (before[..., :30], "the shape of a tensor")):
        verdict = compare(with_pictures(record(), before), with_pictures(record(), now))
        (note,) = (row.note for row in verdict.rows if row.red)
        assert note.endswith(f"; first step that differs: {words}")
        assert "would need a finite number" in note


def test_other_decoder_is_named_with_what_it_reads(record: Callable[..., Record]) -> None:
    before, now = both(PHOTOS, lambda path: one_level_off(path, 1.0) + np.float32(1))
    old = with_pictures(record(), before, decoded="ab", mean=(1.0, 2.0, 3.0))
    new = with_pictures(record(), now, decoded="cd", mean=(4.0, 5.0, 6.0))

    (note,) = (row.note for row in compare(old, new).rows if row.red)

    assert note.endswith(
        "decode (Pillow reads other pixels; red, green, blue on average 4.00, 5.00, 6.00, before 1.00, 2.00, 3.00)"
    )


def test_picture_that_changed_is_named_beside_one_that_did_not(record: Callable[..., Record]) -> None:
    before, now = both(PHOTOS, lambda path: one_level_off(path, 0.02))
    now[0] = before[0]

    (change,) = input_changes(with_pictures(record(), before), with_pictures(record(), now))

    assert change.finding.ok
    assert change.note.startswith("preprocessed inputs of digits changed: 1 of 2 pictures, pizza the most, ")


def test_golden_row_that_is_broken_in_both_is_turned(
    pair: Callable[[str], tuple[Record, Record]], claim_row: Callable[..., ClaimRow]
) -> None:
    golden = claim_row("inputs", "", subject="digits", case="digits", engine="", status="failed", outcome="failed")
    old, new = (each.model_copy(update={"claims": (*each.claims, golden)}) for each in pair("bilinear"))

    assert {row.name: row.word for row in compare(old, new).rows}["inputs[digits]"] == "regressed"


def test_other_files_are_not_compared(record: Callable[..., Record]) -> None:
    x, _ = both(PHOTOS, sound)

    with pytest.raises(UsageError) as caught:
        compare(with_pictures(record(), x, file="ab"), with_pictures(record(created="later"), x, file="cd"))

    assert str(caught.value) == (
        "the records are about different pictures of digits: the file of volcano has changed "
        "(2.13.0+cpu of 2026-01-01T00:00:00+00:00 and 2.13.0+cpu of later): run both with the same pictures"
    )


@pytest.mark.parametrize(("first", "second", "value"), [(1, 3, 3.0), (3, 1, 3.0), (3, math.nan, math.nan)])
def test_distance_of_a_case_is_that_of_its_worst_picture(
    record: Callable[..., Record], first: float, second: float, value: float
) -> None:
    before = np.zeros((2, 1, 8, 8), np.float32)
    before[:, :, 4:] = 255.0  # so that a step is 1
    now = before.copy()
    now[0, 0, 0, 0] += 8 * first  # one value of 64: the root mean square is an eighth of it
    now[1, 0, 0, 0] += 8 * second

    (change,) = input_changes(with_pictures(record(), before), with_pictures(record(), now))

    assert change.finding.value == pytest.approx(value, nan_ok=True)
    assert change.note.startswith("preprocessed inputs of digits changed: 2 of 2 pictures, ")
    assert NAMES[int(first < second or math.isnan(second))] in change.note


def test_pictures_that_held_no_numbers_before_are_red(record: Callable[..., Record]) -> None:
    now, _ = both(PHOTOS, sound)

    (change,) = input_changes(with_pictures(record(), now * np.nan), with_pictures(record(), now))

    assert not change.finding.ok
    assert change.note.endswith("first step that differs: a tensor holds NaN or infinity")


def test_one_picture_alone_is_named_with_its_step(record: Callable[..., Record]) -> None:
    before, now = (each[:1] for each in both(PHOTOS, CHANGES["blue first"][0]))

    (change,) = input_changes(with_pictures(record(), before), with_pictures(record(), now))

    assert "1 of 1 pictures, volcano the most, " in change.note
    assert change.note.endswith("colour order (the channels are 3, 2, 1 of those before)")


def test_picture_that_had_no_edges_has_no_sharpness_to_compare(record: Callable[..., Record]) -> None:
    now, _ = both(PHOTOS, sound)

    (change,) = input_changes(with_pictures(record(), np.ones_like(now)), with_pictures(record(), now))

    assert "first step that differs: decode, resize or crop (" in change.note


def test_record_keeps_what_pictures_became(record: Callable[..., Record]) -> None:
    whole = with_pictures(record(), both(PHOTOS, sound)[0], file="ab", decoded="cd", mean=(1.0, 2.0, 3.0))

    assert parse_record(whole.text(), where="test") == whole
    assert len(whole.text()) - len(record().text()) < 2 * 1500, "bytes for each picture"


@pytest.mark.parametrize("torch", ["1.13.1", "2.2.2", "2.6.0", "2.9.1", "2.12.1"])
def test_pictures_of_committed_records_became_the_same_tensors(torch: str) -> None:
    old, new = (release(name) for name in (torch, "2.15.0"))

    assert all(row.preprocessed for row in (*old.inputs, *new.inputs))
    assert input_changes(old, new) == []
