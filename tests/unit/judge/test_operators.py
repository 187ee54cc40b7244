"""The allowed operators of a lite file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.schemas import read_model
from vitgate.judge.operators import OperatorFile, outside

from ..conftest import Refuses

ALLOWED = frozenset({"aten::add.Tensor", "aten::linear"})


def test_allowed_operators_are_not_reported() -> None:
    assert outside(["aten::linear", "aten::add.Tensor"], ALLOWED) == []


def test_an_operator_outside_the_list_is_named_once_in_order() -> None:
    found = outside(["new::b", "aten::linear", "new::a", "new::b"], ALLOWED)

    assert found == ["new::a", "new::b"]


@pytest.mark.parametrize("other", ["aten::add", "aten::add.Scalar", "aten::linear.out"])
def test_overloads_are_distinct_operators(other: str) -> None:
    assert outside([other], ALLOWED) == [other]


def test_an_unknown_key_in_the_file_is_refused(data_file: Callable[[str, str], Path], refuses: Refuses) -> None:
    path: Path = data_file("operators.toml", '[[group]]\nid = "a"\nreason = "b"\noperators = []\nwhy = "c"\n')

    refuses(lambda: read_model(OperatorFile, path), path, "group.0.why")
