"""Weights fit the model that they are for, in its order and types, or the first difference is named."""

from __future__ import annotations

import pytest
import torch

from vitgate.files.errors import UsageError
from vitgate.inputs.weights import check_state

from .server import one_line
from .tiny_state import SHAPES, tiny


def check(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    own = {name: torch.empty(shape, device="meta") for name, shape in SHAPES.items()}
    return check_state(state, own, where="mine.pth", model="tiny_vit")


def test_matching_state_is_ordered_as_in_model() -> None:
    given = tiny()
    state = check(dict(reversed(list(given.items()))))
    assert list(state) == list(SHAPES)
    assert all(state[name].data_ptr() == given[name].data_ptr() for name in SHAPES)  # not copied


@pytest.mark.accepts("checkpoint", "weights in float16, bfloat16 or float64: judged as float32")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_dtypes_become_float32(dtype: torch.dtype) -> None:
    state = check({name: tensor.to(dtype) for name, tensor in tiny().items()})
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert torch.equal(state["pos"], tiny()["pos"])


@pytest.mark.refuses("checkpoint", "weights of another architecture; the first differences are named")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pos": None}, ["1 missing: pos", "of 3 parameters"]),
        ({"fc_norm.weight": torch.ones(3)}, ["1 extra: fc_norm.weight"]),
        ({"pos": None, "position": torch.ones(2)}, ["1 missing: pos; 1 extra: position"]),
        ({f"extra.{n}": torch.ones(1) for n in range(5)}, ["5 extra: extra.0, extra.1, extra.2, …"]),
        ({"pos": torch.ones(1, 2, 5)}, ["1 of 3 shapes", "pos is [1, 2, 5] instead of [1, 2, 3]"]),
        ({"pos": torch.ones(6)}, ["pos is [6] instead of [1, 2, 3]"]),
    ],
    ids=["missing", "extra", "both", "many", "shape", "rank"],
)
def test_another_architecture_is_named_with_its_difference(
    change: dict[str, torch.Tensor | None], words: list[str]
) -> None:
    state = {name: tensor for name, tensor in {**tiny(), **change}.items() if tensor is not None}
    with one_line(UsageError, "not those of tiny_vit", "mine.pth", *words):
        check(state)


@pytest.mark.refuses("checkpoint", "NaN or Inf among the weights")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_weight_names_its_parameter(value: float) -> None:
    state = tiny()
    state["head.weight"][1, 2] = value
    with one_line(UsageError, "parameter head.weight has 1 of 12 values NaN or infinite"):
        check(state)


def test_a_double_too_large_for_float32_counts_as_infinite() -> None:
    with one_line(UsageError, "head.bias has 4 of 4"):
        check({**tiny(), "head.bias": torch.full((4,), 1e300, dtype=torch.float64)})


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_integer_weights_are_refused(dtype: torch.dtype) -> None:
    with one_line(UsageError, "head.bias is torch", "unquantized"):
        check({**tiny(), "head.bias": torch.zeros(4, dtype=dtype)})


@pytest.mark.accepts("checkpoint", "buffers of integers, booleans or complex numbers")
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.complex64])
def test_integer_buffer_is_unchanged(dtype: torch.dtype) -> None:
    own = {"weight": torch.empty(2, device="meta"), "count": torch.empty(3, dtype=dtype, device="meta")}
    state = {"weight": torch.ones(2, dtype=torch.float16), "count": torch.tensor([0, 1, 1]).to(dtype)}

    found = check_state(state, own, where="mine.pth")

    assert found["weight"].dtype == torch.float32
    assert found["count"].dtype == dtype and torch.equal(found["count"], state["count"])
