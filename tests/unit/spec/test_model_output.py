"""What of a model's output is judged: the words of the key, the element that they name, its place in a flat list."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from vitgate.spec.model_output import described, LOGITS, ModelOutput, read_output

A, B = np.zeros((1, 3), np.float32), np.zeros((1, 2, 4), np.float32)
Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ("logits", LOGITS),
        ("tuple:0", ModelOutput(key=0)),
        ("tuple:12", ModelOutput(key=12)),
        ("dict:logits", ModelOutput(key="logits")),
        ("dict:head:a b", ModelOutput(key="head:a b")),
        ("embedding", ModelOutput("embedding")),
        ("multilabel", ModelOutput("multilabel")),
    ],
)
def test_words_are_read_and_written(words: str, output: ModelOutput) -> None:
    assert read_output(words) == output
    assert str(output) == words


@pytest.mark.parametrize("words", ["", "label", "tuple", "tuple:", "tuple:-1", "tuple:a", "dict:", "dict"])
def test_unknown_words_name_the_known_ones(words: str) -> None:
    with pytest.raises(ValueError, match=r"is unknown: choose from logits, .*tuple:N .*dict:KEY"):
        read_output(words)


@pytest.mark.parametrize(
    ("words", "returned", "element"),
    [
        ("logits", A, A),
        ("tuple:1", (B, A), A),
        ("tuple:1", [B, A], A),
        ("tuple:0", Pair(A, B), A),
        ("dict:logits", {"features": B, "logits": A}, A),
    ],
)
def test_named_element_is_taken(words: str, returned: Any, element: Any) -> None:
    assert read_output(words).taken(returned) is element


@pytest.mark.parametrize(
    ("words", "returned", "line"),
    [
        (
            "logits",
            (A, B),
            "the model returned a tuple of 2: [1, 3], [1, 2, 4]: "
            'name one of its tensors in the case, `output = "tuple:0"`',
        ),
        (
            "dict:logit",
            {"features": B, "logits": A},
            "the model returned a dict of features [1, 2, 4], logits [1, 3], which has no dict:logit: "
            'name one of its tensors in the case, `output = "dict:features"`',
        ),
        (
            "tuple:2",
            [None, A],
            "the model returned a list of 2: NoneType, [1, 3], which has no tuple:2: "
            'name one of its tensors in the case, `output = "tuple:1"`',
        ),
        (
            "dict:logits",
            A,
            "the model returned a tensor [1, 3], which has no dict:logits: leave `output` out of the case",
        ),
        (
            "tuple:1",
            (A, (A, B)),
            "tuple:1 is a tuple of 2: [1, 3], [1, 2, 4], no tensor, in what the model returned: "
            'name one of its tensors in the case, `output = "tuple:0"`',
        ),
        (
            "tuple:0",
            {"logits": A},
            'which has no tuple:0: name one of its tensors in the case, `output = "dict:logits"`',
        ),
        ("logits", None, "the model returned a NoneType: return one tensor [N, classes]"),
    ],
    ids=["none-named", "wrong-key", "wrong-index", "tensor", "nested", "dict-for-tuple", "nothing"],
)
def test_wrong_output_says_what_was_returned_and_what_to_write(words: str, returned: Any, line: str) -> None:
    with pytest.raises(TypeError) as caught:
        read_output(words).taken(returned)

    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("words", "returned", "position"),
    [
        ("logits", A, 0),
        ("tuple:2", (B, None, A), 1),
        ("tuple:1", ([B, B], A), 2),
        ("dict:logits", {"z": B, "aux": {"a": A, "b": B}, "logits": A}, 3),
    ],
)
def test_position_counts_the_tensors_before(words: str, returned: Any, position: int) -> None:
    assert read_output(words).position(returned) == position


def test_long_outputs_are_described_briefly() -> None:
    assert described([A] * 9) == "a list of 9: " + ", ".join(["[1, 3]"] * 6) + " and 3 more"
