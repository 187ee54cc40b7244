"""The reference of bfloat16: what is read and what is given has 8 bits, and sums are those of float32."""

from __future__ import annotations

import torch
from torch import nn

from vitgate.expected.bfloat16 import Bfloat16, rounded_operators, to_bfloat16
from vitgate.expected.logits import expected_logits
from vitgate.judge.metrics import sqnr


def test_numbers_are_rounded_to_eight_bits_and_stay_float32() -> None:
    found = to_bfloat16(torch.tensor([1.0, 1.003, 257.0]))
    assert (found.dtype, found.tolist()) == (torch.float32, [1.0, 1.0, 256.0])
    assert to_bfloat16("text") == "text"


def test_operator_reads_and_gives_rounded_numbers_and_sums_in_float32() -> None:
    ones = torch.ones(1, 304)
    with rounded_operators():
        total, product = (ones @ ones.T).item(), (torch.tensor([1.003]) * 3).item()
    assert (total, product) == (304.0, 3.0)  # added one by one in bfloat16, 256 + 1 stays 256


def test_views_keep_their_memory_and_writes_are_rounded() -> None:
    kept = torch.zeros(2)
    with rounded_operators():
        kept[:1].add_(1.003)
    assert kept.tolist() == [1.0, 0.0]


def test_error_is_that_of_the_model_in_bfloat16() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 50)).eval()
    x = torch.randn(200, 64)
    with torch.no_grad():
        original = model(x).numpy()
        expected = expected_logits(model, Bfloat16(), x, batch=200).numpy()
        own = model.to(torch.bfloat16)(x.to(torch.bfloat16)).float().numpy()

    assert abs(sqnr(original, own) - sqnr(original, expected)) < 0.2
