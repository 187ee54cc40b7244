"""Scales that calibration pictures fix, by numbers that can be checked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vitgate.expected.logits import expected_logits
from vitgate.expected.static import calibrated, Ends, StaticInt8

SCHEME = StaticInt8(127.0)


def one_linear(weight: float, bias: float) -> tuple[nn.Sequential, nn.Linear]:
    linear = nn.Linear(1, 1)
    nn.init.constant_(linear.weight, weight)
    nn.init.constant_(linear.bias, bias)
    return nn.Sequential(linear).eval(), linear


@pytest.mark.parametrize(
    ("ends", "given", "rounded"),
    [
        (Ends(0.0, 255.0), [0.4, 0.6, 255.0], [0.0, 1.0, 255.0]),
        (Ends(-51.0, 204.0), [-51.2, 0.0, 100.3], [-51.0, 0.0, 100.0]),
        (Ends(0.0, 255.0), [-7.0, 300.0], [0.0, 255.0]),  # beyond the calibration
        (Ends(), [0.0], [0.0]),
    ],
)
def test_numbers_go_to_the_grid_between_the_ends(ends: Ends, given: list[float], rounded: list[float]) -> None:
    assert SCHEME.rounded(torch.tensor(given), ends).tolist() == rounded


def test_no_scale_is_smaller_than_the_least() -> None:
    assert StaticInt8(127.0, least=1.0).rounded(torch.tensor([0.4, 0.6]), Ends(0.0, 1.0)).tolist() == [0.0, 1.0]


def test_ends_include_zero_and_grow_with_each_picture() -> None:
    assert Ends().of(torch.tensor([2.0, 3.0])).of(torch.tensor([-1.0, 1.0])) == Ends(-1.0, 3.0)


@pytest.mark.parametrize(("scheme", "high"), [(SCHEME, 8.0), (StaticInt8(127.0, bias_after=True), 6.0)])
def test_bias_counts_among_what_is_rounded_unless_it_comes_after(scheme: StaticInt8, high: float) -> None:
    model, linear = one_linear(2.0, 2.0)

    found = calibrated(model, scheme, [linear], torch.tensor([[[1.0]], [[3.0]]]))

    assert found.linears[linear] == (Ends(0.0, 3.0), Ends(0.0, high))


class Joined(nn.Module):
    """Puts a 1 before what it gets."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.ones(1, 1), x], dim=1)


def test_concatenated_numbers_are_rounded_where_the_scheme_says_so() -> None:
    model, x = Joined(), torch.tensor([[0.3, 255.0]])

    apart, joined = (expected_logits(model, StaticInt8(127.0, joins=joins), x) for joins in (False, True))

    assert apart.tolist() == torch.tensor([[1.0, 0.3, 255.0]]).tolist()
    assert joined.tolist() == [[1.0, 0.0, 255.0]]


def test_calibration_fixes_the_range_of_later_pictures() -> None:
    model, _ = one_linear(1.0, 0.0)
    wide, narrow = (torch.full((1, 1), value) for value in (255.0, 2.55))
    found = [float(expected_logits(model, SCHEME, torch.full((1, 1), 100.4), calibration=x)) for x in (wide, narrow)]
    assert found == pytest.approx([100.0, 2.55])


def test_model_is_as_before_afterwards() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), Joined(), nn.Linear(5, 2)).eval(), torch.randn(1, 4)
    before = model(x)

    assert not torch.equal(expected_logits(model, StaticInt8(127.0, joins=True), x), before)
    assert torch.equal(model(x), before)
