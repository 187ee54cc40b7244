"""Records that are not of one run do not merge: the line says what differs, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.records.merge import merge
from vitgate.records.record import Environment, read_record, Record
from vitgate.records.rows import CellRow, ClaimRow

from ..conftest import Refuses

pytestmark = pytest.mark.usefixtures("claims_of_committed_records")


def test_contradicting_rows_are_refused(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], refuses: Refuses
) -> None:
    other = record(claims=(claim_row(message="else"),))

    refuses(lambda: merge([record(), other]), "label[digits-qnnpack-lite]", "different things")


def test_contradicting_sizes_are_refused(
    record: Callable[..., Record], cell_row: Callable[..., CellRow], refuses: Refuses
) -> None:
    one, two = (record(cells=(cell_row(case="digits", size_bytes=size),)) for size in (1, 2))

    text = (
        "two records have a different size_bytes of digits-qnnpack-lite (merge): keep each case and engine within one"
    )
    refuses(lambda: merge([one, two]), f"{text} shard")


@pytest.mark.parametrize(
    "field",
    [
        "torch",
        "commit",
        "configuration_digest",
        "packages",
        "python",
        "machine",
        "cpu_capability",
        "xnnpack",
        "processor",
    ],
)
def test_records_of_different_environments_are_refused(
    record: Callable[..., Record], environment: Environment, refuses: Refuses, field: str
) -> None:
    value = {"packages": {"torch": "0"}, "xnnpack": True}.get(field, "other")
    other = record(environment=environment.model_copy(update={field: value}))

    refuses(lambda: merge([record(), other]), "different", field)


def test_records_of_different_inputs_suites_or_splits_are_refused(
    record: Callable[..., Record], refuses: Refuses
) -> None:
    inputs = (record().inputs[0].model_copy(update={"weights_digest": "ff"}),)

    refuses(lambda: merge([record(), record(inputs=inputs)]), "inputs of digits")
    refuses(lambda: merge([record(), record(vitgate="9")]), "versions of vitgate", "9")
    refuses(lambda: merge([record(shard="1/2"), record(shard="1/3")]), "different numbers of shards: 2 and 3")
    refuses(lambda: merge([record(shard="3/2")]), "there is no shard 3 of 2 (merge): make that record again")
    refuses(lambda: merge([]), "nothing to merge")


@pytest.mark.parametrize("shard", ["0/2", "1", "a/b", "1/2/3", "1+/2", "-1/2"])
def test_invalid_shard_in_record_is_refused(
    record: Callable[..., Record], shard: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("record.json", record().text().replace('"created"', f'"shard": "{shard}",\n"created"'))

    refuses(lambda: read_record(path), "shard")


def test_refusals_do_not_depend_on_order(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> None:
    records = [record(), record(claims=(claim_row(message="else"),)), record(claims=(claim_row("size"),))]
    for shift in range(3):
        with pytest.raises(UsageError):
            merge(records[shift:] + records[:shift])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"vitgate": "9"}, "the records are of different versions of vitgate: 0.1.0 and 9 (merge): ONE"),
        (
            {"ships_to": "avx2"},
            "the records are of different values of --ships-to: avx2 and baseline (merge): ONE",
        ),
        ({"shard": "1/3"}, "the records are of different numbers of shards: 2 and 3 (merge): ONE"),
        ({"shard": "1+3/2"}, "there is no shard 3 of 2 (merge): make that record again"),
        (
            {"claims": "other"},
            "two records say different things of the row label[digits-qnnpack-lite] (merge): "
            "leave one of them out, or make it again",
        ),
        (
            {"inputs": "other"},
            "two records say different things of the inputs of digits (merge): leave one of them out, or make it again",
        ),
        (
            {"cells": "other"},
            "two records have a different label of digits-qnnpack-lite (merge): "
            "keep each case and engine within one shard",
        ),
        ({"environment": "other"}, "the records are of different environments (python): 3.11.9 and 3.12 (merge): ONE"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refusals_name_what_where_and_remedy(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    environment: Any,
    fields: dict[str, str],
    text: str,
) -> None:
    cell = cell_row(case="digits", label=1)
    other = {
        "claims": (claim_row(message="else"),),
        "cells": (cell.model_copy(update={"label": 2}),),
        "inputs": (record().inputs[0].model_copy(update={"weights_note": "else"}),),
        "environment": environment.model_copy(update={"python": "3.12"}),
    }
    changed = {name: other[name] if value == "other" else value for name, value in fields.items()}

    with pytest.raises(UsageError) as caught:
        merge([record(cells=(cell,), shard="1/2"), record(**{"cells": (cell,), "shard": "2/2", **changed})])

    assert str(caught.value) == text.replace("ONE", "merge the parts of one run")
    with pytest.raises(UsageError) as caught:
        merge([])
    assert str(caught.value) == "there is nothing to merge: name at least one record"
