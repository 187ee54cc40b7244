"""Ids are made and parsed in one place, and what one writes the other reads."""

import pytest

from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, FieldFileId, GroupId, RowName
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.variants import variants_of

CELLS = [
    CellId(case, engine, variant) for case in read_cases() for engine in EVERY_ENGINE for variant in variants_of(engine)
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_ids_round_trip_through_text(cell: CellId) -> None:
    assert CellId.parse(str(cell)) == cell
    assert GroupId.parse(str(cell.group)) == cell.group
    assert FieldFileId.parse(f"2.12.1-{cell}") == FieldFileId("2.12.1", str(cell))


@pytest.mark.parametrize(
    "text", ["", "digits", "digits-x86", "digits-x86-tiny", "digits-tpu-lite", "-x86-lite", "x86-lite"]
)
def test_text_that_names_no_cell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a c"):
        CellId.parse(text)


@pytest.mark.parametrize("text", ["", "digits", "digits-tpu", "-x86"])
def test_text_that_names_no_group_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a case and an engine"):
        GroupId.parse(text)


@pytest.mark.parametrize(
    ("text", "claim", "subject"),
    [
        ("build[digits-x86-lite]", "build", "digits-x86-lite"),
        ("build", "build", ""),
        ("crossing[digits-x86-lite, 2.12.1 on 2.15.0]", "crossing", "digits-x86-lite, 2.12.1 on 2.15.0"),
    ],
)
def test_row_names_round_trip_through_text(text: str, claim: str, subject: str) -> None:
    assert RowName.parse(text) == RowName(claim, subject)
    assert str(RowName(claim, subject)) == text
    assert RowName.of_test(f"tests/conformance/test_{claim}.py::{text}") == RowName(claim, subject)
