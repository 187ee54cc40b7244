"""The weights of a tiny model, which the tests save, spoil and compare."""

from __future__ import annotations

import torch


def tiny() -> dict[str, torch.Tensor]:
    return {"pos": torch.arange(6.0).reshape(1, 2, 3), "head.weight": torch.ones(4, 3), "head.bias": torch.zeros(4)}


SHAPES = {name: tuple(tensor.shape) for name, tensor in tiny().items()}
