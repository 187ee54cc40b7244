"""Tensors within other values, and how near two of them are."""

from __future__ import annotations

import math

import torch
from torch.utils._pytree import tree_flatten

from vitgate.judge.metrics import sqnr, SQNR_CEILING


def tensors_in(value: object) -> list[torch.Tensor]:
    """Return the tensors of a value, those of lists, tuples and dictionaries too, in their order."""
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, torch.Tensor)]


def nearness(reference: torch.Tensor, other: torch.Tensor) -> float:
    """Return the SQNR of `other` in dB: the ceiling if both are equal, zeros too; where there is none, its opposite.

    So NaN, Inf and other shapes are less than any number that is measured, and no comparison passes them over.
    """
    reference, other = reference.detach().double(), other.detach().double()
    if torch.equal(reference, other):
        return SQNR_CEILING
    value = sqnr(reference.numpy(), other.numpy())
    return -SQNR_CEILING if math.isnan(value) else value
