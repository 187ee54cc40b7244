"""From evidence to what a record says of a run's inputs: weights, pictures, and what became of each picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vitgate.judge.input_tensors import summary
from vitgate.observe.store import Store
from vitgate.records.assemble import assemble
from vitgate.records.rows import InputRow, PreprocessedRow
from vitgate.spec.outcome import Evidence
from vitgate.spec.run_config import RunConfig

X = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
FILES = [
    {"sha256": "01", "decoded": "02", "mean": [1.0, 2.0, 3.0]},
    {"sha256": "03", "decoded": "", "mean": []},  # which Pillow cannot read
]


@pytest.fixture
def put_inputs(put: Callable[..., None]) -> Callable[..., None]:
    """Return a helper that puts the weights and pictures of a case into the store."""

    def make(case: str, **values: Any) -> None:
        put("weights", case, Evidence({"kind": "trained", "note": "committed", "digest": "ab", "path": "x"}))
        about = {"source": "embedded", "note": "two digits", "sha256": "cd", "names": ["zero", "one"]}
        put("pictures", case, Evidence({**about, **values}, {"x": X}))

    return make


def inputs(plan: RunConfig, store: Store) -> tuple[InputRow, ...]:
    return assemble(plan, store, [], narrowed=True).inputs


def test_the_inputs_of_a_case_are_named(
    plan: Callable[..., RunConfig], store: Store, put_inputs: Callable[..., None]
) -> None:
    put_inputs("digits")

    (row,) = inputs(plan(), store)

    assert row.model_copy(update={"preprocessed": ()}) == InputRow(
        case="digits",
        weights="trained",
        weights_note="committed",
        weights_digest="ab",
        pictures="embedded",
        pictures_note="two digits",
        pictures_sha256="cd",
    )


def test_each_picture_is_named_with_its_file_and_tensor(
    plan: Callable[..., RunConfig], store: Store, put_inputs: Callable[..., None]
) -> None:
    put_inputs("deit_tiny", files=FILES)

    (row,) = inputs(plan(cases=("deit_tiny",)), store)

    assert row.preprocessed == (
        PreprocessedRow(name="zero", file="01", decoded="02", mean=(1.0, 2.0, 3.0), **summary(X[0])),
        PreprocessedRow(name="one", file="03", decoded="", mean=(), **summary(X[1])),
    )


def test_pictures_that_are_no_files_are_named_with_their_tensors(
    plan: Callable[..., RunConfig], store: Store, put_inputs: Callable[..., None]
) -> None:
    put_inputs("digits")

    (row,) = inputs(plan(), store)

    assert row.preprocessed == (
        PreprocessedRow(name="zero", **summary(X[0])),
        PreprocessedRow(name="one", **summary(X[1])),
    )


@pytest.mark.parametrize("kind", ["weights", "pictures"])
def test_a_case_that_lacks_weights_or_pictures_is_left_out(
    kind: str, plan: Callable[..., RunConfig], store: Store, put: Callable[..., None], put_inputs: Callable[..., None]
) -> None:
    put_inputs("deit_tiny", files=FILES)
    put(kind, "digits", Evidence({"kind": "trained", "source": "embedded"}))

    assert [row.case for row in inputs(plan(cases=("digits", "deit_tiny")), store)] == ["deit_tiny"]


def test_the_folder_of_pictures_is_named_for_the_cases_that_went_through_it(
    plan: Callable[..., RunConfig], store: Store, put: Callable[..., None], put_inputs: Callable[..., None]
) -> None:
    for case in ("digits", "deit_tiny"):
        put_inputs(case)
    put("labelled", "labelled", Evidence({"note": "8 pictures", "digest": "ef"}))

    digits, tiny = inputs(plan(cases=("digits", "deit_tiny"), images="/pictures"), store)

    assert (digits.images_note, digits.images_digest) == ("", "")
    assert (tiny.images_note, tiny.images_digest) == ("8 pictures", "ef")
