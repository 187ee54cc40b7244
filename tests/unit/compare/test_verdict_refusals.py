"""Records of different selections or inputs are not compared: the line says what differs and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.verdict import compare
from vitgate.files.errors import UsageError
from vitgate.records.record import Record
from vitgate.records.rows import InputRow

from ..conftest import Refuses


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("cases", ("deit_base",), "deit_base"), ("engines", ("x86", "qnnpack"), "x86, qnnpack")],
)
def test_records_of_different_selections_are_refused(
    record: Callable[..., Record], refuses: Refuses, field: str, value: tuple[str, ...], word: str
) -> None:
    refuses(lambda: compare(record(), record(**{field: value})), f"different {field}", word, "run both")


@pytest.mark.parametrize(("field", "what"), [("weights_digest", "weights"), ("pictures_sha256", "pictures")])
def test_records_of_different_inputs_are_refused(
    record: Callable[..., Record], refuses: Refuses, field: str, what: str
) -> None:
    other = record(inputs=(record().inputs[0].model_copy(update={field: "ffff"}),))

    refuses(lambda: compare(record(), other), f"different {what} of digits", "ffff", getattr(record().inputs[0], field))


def test_the_order_of_cases_and_engines_does_not_matter(record: Callable[..., Record]) -> None:
    old, new = record(engines=("x86", "qnnpack")), record(engines=("qnnpack", "x86"))

    assert compare(old, new).exit_status == 0


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"vitgate": "9"}, "of different versions of vitgate: 0.1.0 and 9 (WHERE): run both with the same vitgate"),
        (
            {"cases": ("deit_base", "zoo")},
            "about different cases: digits, and deit_base, zoo (WHERE): run both with the same --case",
        ),
        ({"engines": ("x86",)}, "about different engines: qnnpack, and x86 (WHERE): run both with the same --engine"),
        (
            {"weights_digest": "0123456789abcdef"},
            "about different weights of digits: trained ab and trained 0123456789ab (WHERE): "
            "run both with the same --weights",
        ),
        (
            {"images_digest": "ef"},
            "about different folders of pictures of digits: none and ef (WHERE): run both with the same --images",
        ),
        (
            {"pictures_sha256": "ff"},
            "about different pictures of digits: committed cd and committed ff (WHERE): "
            "run both with the same --assets",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusal_names_difference_and_remedy(record: Callable[..., Record], fields: dict[str, Any], text: str) -> None:
    whole = record(created="2026-01-02")
    if name := next((name for name in fields if name in InputRow.model_fields), ""):
        fields = {"inputs": (whole.inputs[0].model_copy(update={name: fields[name]}),)}

    with pytest.raises(UsageError) as caught:
        compare(record(), whole.model_copy(update=fields))
    with pytest.raises(UsageError) as back:
        compare(whole.model_copy(update=fields), record())

    assert ("deit_base, zoo, and digits" if "cases" in fields else fields.get("weights_digest", "")[:12]) in str(
        back.value
    )
    assert "0123456789abc" not in str(back.value)
    where = "2.13.0+cpu of 2026-01-01T00:00:00+00:00 and 2.13.0+cpu of 2026-01-02"
    assert str(caught.value) == f"the records are {text}".replace("WHERE", where)


def test_inputs_missing_in_one_record_are_not_compared(record: Callable[..., Record]) -> None:
    other = record().inputs[0].model_copy(update={"case": "zoo", "weights_digest": "ff"})

    assert compare(record(), record(inputs=(other, *record().inputs))).exit_status == 0
    assert compare(record(inputs=()), record()).exit_status == 0
