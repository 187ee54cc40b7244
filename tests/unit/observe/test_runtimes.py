"""What is taken from a runtime's output: by its name, or by its place in a flat list."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from vitgate.observe.runtimes import Loaded
from vitgate.spec.model_output import LOGITS, read_output
from vitgate.spec.outcome import ClaimFailed

X, LAST = torch.zeros(1, 3, 2, 2), torch.ones(1, 3)


def returning(found: Any) -> Any:
    return lambda x: found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("dict:logits", {"logits": LAST, "tokens": X}),
        ("dict:logits", {"tokens": X, "logits": LAST}),
        ("tuple:1", (X, LAST)),
        ("tuple:1", [X, LAST]),
        ("embedding", LAST),
    ],
)
def test_variant_gives_the_named_tensor(words: str, found: Any) -> None:
    assert Loaded(returning(found), output=read_output(words))(X) is LAST


def test_place_in_a_flat_list_is_that_of_the_eager_output() -> None:
    output = read_output("dict:logits")
    place = output.position({"tokens": X, "aux": (X, None, X), "logits": LAST})

    assert Loaded(returning([X, X, X, LAST]), output=read_output(f"tuple:{place}"))(X) is LAST


def test_list_in_another_order_gives_another_tensor() -> None:
    assert Loaded(returning([LAST, X]), output=read_output("tuple:1"))(X) is X


@pytest.mark.parametrize(
    ("output", "found"), [(LOGITS, (LAST, X)), (read_output("dict:logits"), {"scores": LAST}), (LOGITS, None)]
)
def test_output_of_another_kind_fails_at_run(output: Any, found: Any) -> None:
    with pytest.raises(ClaimFailed) as caught:
        Loaded(returning(found), output=output)(X)

    assert (str(caught.value.outcome), caught.value.outcome.error) == ("failed at run", "TypeError")
    assert "the model returned" in caught.value.outcome.message


def test_file_of_which_nobody_says_it_returns_what_it_returns() -> None:
    assert Loaded(returning(LAST))(X) is LAST
