"""Parts of one run may come of several machines of one kind: what each was stays in the merged record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.records.merge import merge
from vitgate.records.record import Environment, Record
from vitgate.records.rows import PreprocessedRow


def test_machines_of_one_kind_may_have_different_names(record: Callable[..., Record], environment: Environment) -> None:
    one = record(environment=environment.model_copy(update={"kernels": {"oneDNN": "AMX"}}))
    update = {"cpu": "Another", "cores": 4, "kernels": {"oneDNN": "AVX2"}}
    other = record(environment=environment.model_copy(update=update))

    merged = merge([one, other]).environment

    assert (merged.cpu, merged.cores, merged.kernels) == ("Another | Some Xeon", 2, {"oneDNN": "AMX | AVX2"})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=str)
def test_kernels_of_all_parts_are_named_once(
    record: Callable[..., Record], environment: Environment, order: tuple[int, ...]
) -> None:
    takes = [{"oneDNN": "AVX2"}, {"oneDNN": "AMX", "MKL": "AVX512"}, {"oneDNN": "AMX"}]
    one, two, three = (record(environment=environment.model_copy(update={"kernels": takes[each]})) for each in order)

    expected = {"MKL": "AVX512", "oneDNN": "AMX | AVX2"}
    assert merge([one, two, three]).environment.kernels == expected
    assert merge([merge([one, two]), three]).environment.kernels == expected


def test_last_bit_of_a_tensor_may_differ_between_the_machines_of_one_run(record: Callable[..., Record]) -> None:
    (row,) = record().inputs
    one, other = (
        row.model_copy(update={"preprocessed": (PreprocessedRow(name="zero", digest=digest, shape=(1, 8, 8)),)})
        for digest in ("ab", "cd")
    )

    assert merge([record(inputs=(each,)) for each in (one, other)]).inputs == (one,)


def test_run_of_another_processor_stays_one_of_it(record: Callable[..., Record]) -> None:
    assert merge([record(ships_to="avx2"), record(ships_to="avx2")]).ships_to == "avx2"


def test_processors_of_merged_parts_are_named_once(record: Callable[..., Record], environment: Environment) -> None:
    def on(cpu: Any, system: Any = "Linux", cores: Any = 2) -> Record:
        values = {"cpu": cpu, "platform": system, "cores": cores}
        return record(environment=environment.model_copy(update=values))

    merged = merge([merge([on("B", cores=8), on("A", "Linux 6")]), on("B", cores=4)]).environment

    assert (merged.cpu, merged.platform, merged.cores) == ("A | B", "Linux | Linux 6", 2)
