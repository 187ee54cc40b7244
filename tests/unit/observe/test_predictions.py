"""One pass over pictures for several variants: each as its user runs it, and none in the way of another."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from vitgate.judge.picture_accuracy import of_variant, predictions_from
from vitgate.observe.outputs import logits_of as logits_of_model
from vitgate.observe.predictions import predicted
from vitgate.spec.outcome import ClaimFailed, Outcome

LABELS = np.array([2, 0, 1])
PICTURES = [np.full((1, 2, 2), value, np.float32) for value in (0.0, 1.0, 2.0)]


def quiet(done: int) -> None:
    del done


def logits_of(x: torch.Tensor) -> torch.Tensor:
    """Give class 0 the most for bright pictures, class 2 for dark ones."""
    value = float(x.mean())
    return torch.tensor([[value, 1.0, 2.0 - value]])


def test_pictures_are_predicted_one_by_one_in_order() -> None:
    shapes: list[tuple[int, ...]] = []
    done: list[Any] = []

    def run(x: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(x.shape))
        return logits_of(x)

    own = predictions_from(of_variant(predicted({"lite": run}, PICTURES, LABELS, done.append), "lite"))

    assert shapes == [(1, 1, 2, 2)] * 3
    assert done == [1, 2, 3]
    assert own.top.tolist() == [2, 0, 0]
    logs = torch.log_softmax(torch.tensor([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 1.0, 0.0]]), dim=1)
    assert own.confidence.tolist() == pytest.approx(logs.exp().max(dim=1).values.tolist(), abs=1e-6)
    assert own.label.tolist() == pytest.approx([float(logs[n, label]) for n, label in enumerate(LABELS)], abs=1e-6)


def test_large_logits_do_not_overflow() -> None:
    run = lambda x: torch.tensor([[1e30, -1e30, 0.0]])  # noqa: E731  # as short as the others

    own = predictions_from(of_variant(predicted({"lite": run}, PICTURES, np.zeros(3, int), quiet), "lite"))

    assert own.confidence.tolist() == [1.0] * 3
    assert own.label.tolist() == [0.0] * 3


def test_failing_variant_does_not_stop_others() -> None:
    seen: list[float] = []

    def breaks(x: torch.Tensor) -> torch.Tensor:
        seen.append(float(x.mean()))
        if len(seen) == 2:
            raise ClaimFailed(Outcome("failed at", "run", "RuntimeError", "no"))
        return logits_of(x)

    found = predicted({"lite": breaks, "optimized": logits_of}, PICTURES, LABELS, quiet)

    assert len(seen) == 2
    assert str(of_variant(found, "lite").outcome) == "failed at run"
    assert predictions_from(of_variant(found, "optimized")).problem(LABELS) == ""


def test_variant_that_modifies_its_input_affects_no_other() -> None:
    def writes(x: torch.Tensor) -> torch.Tensor:
        x += 100.0
        return logits_of(x)

    found = predicted({"lite": writes, "optimized": logits_of}, PICTURES, LABELS, quiet)

    assert predictions_from(of_variant(found, "optimized")).top.tolist() == [2, 0, 0]


@pytest.mark.parametrize(
    "output",
    [torch.tensor([[0.0, float("nan"), 1.0]]), torch.zeros(2, 3), torch.zeros(1, 2)],
    ids=["nan", "two", "fewer_classes"],
)
def test_invalid_output_is_reported_for_all_pictures(output: torch.Tensor) -> None:
    found = of_variant(predicted({"lite": lambda x: output}, PICTURES, np.full(3, 2), quiet), "lite")

    assert "for 3 pictures" in predictions_from(found).problem(np.full(3, 2))


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (torch.zeros(3), "torch.float32 [3] for an input [1, "),
        ((torch.zeros(1, 3), 0), "a tuple"),
        ({"logits": torch.zeros(1, 3)}, "a dict"),
    ],
    ids=["flat", "tuple", "dict"],
)
def test_output_without_logits_names_expected_return(output: Any, what: str) -> None:
    found = of_variant(predicted({"lite": lambda x: output}, PICTURES, np.full(3, 2), quiet), "lite")

    assert found.outcome is not None and (found.outcome.kind, found.outcome.at) == ("failed at", "run")
    assert f"the model returned {what}" in found.outcome.message
    assert "return one tensor of logits of shape [N, classes]" in found.outcome.message


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_logits_of_any_dtype_are_read_as_float32(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1.0, 3.0]], dtype=dtype)
    if dtype.is_floating_point:
        logits.requires_grad_()

    found = logits_of_model(lambda x: logits, torch.zeros(1, 3, 2, 2))

    assert found.dtype == np.float32 and found.tolist() == [[1.0, 3.0]]


def test_memory_does_not_grow_with_number_of_pictures() -> None:
    """A thousand pictures of 1.2 MB, and a thousand classes: never more than a few of them at once."""
    count = 1000

    def drawn() -> Iterator[np.ndarray]:
        yield from (np.full((3, 320, 320), number, np.float32) for number in range(count))

    tracemalloc.start()
    predicted({"lite": lambda x: torch.zeros(1, 1000)}, drawn(), np.zeros(count, int), quiet)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
