"""Layers that do something wrong, to be put into a network in the place of sound ones; all of them can be scripted."""

# mypy: disable-error-code="index"
# TorchScript takes no annotation of a buffer as text, and without one it is a tensor or a module to mypy.

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Nothing(nn.Module):
    """A layer that adds nothing to the residual stream."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros."""
        return x * 0.0


class NoAttention(nn.Module):
    """What stands where an attention was taken out, with its weights."""

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        """Return zeros."""
        return x * 0.0


class HalfSoftmax(nn.Module):
    """Attention whose softmax is taken in half precision."""

    def __init__(self, sound: Any) -> None:
        super().__init__()
        self.qkv, self.proj = sound.qkv, sound.proj
        self.num_heads, self.scale = sound.num_heads, sound.scale

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        """Return what timm's attention returns, about."""
        count, tokens, width = x.shape
        qkv = self.qkv(x).reshape(count, tokens, 3, self.num_heads, width // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = torch.matmul(q * self.scale, k.transpose(-2, -1)).half().softmax(dim=-1).float()
        return self.proj(torch.matmul(weights, v).transpose(1, 2).reshape(count, tokens, width))


class Rounded(nn.Module):
    """A layer that rounds its input to 8 bits once more."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input in steps of a 127th of its largest value."""
        step = x.abs().max() / 127.0
        return torch.round(x / step) * step


class WithSpare(nn.Module):
    """A head with a tensor that nobody asked for and that changes nothing."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("spare", torch.rand(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head returns."""
        return self.head(x) + 0.0 * self.spare[0]


class AndFloor(nn.Module):
    """A head that calls an operator which no runtime for this model was built with, to no effect."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head returns."""
        x = self.head(x)
        return x + torch.floor(x.abs() * 1e-9)


# Changes of a whole network


def other_epsilon(model: Any) -> Any:
    """Give every layer norm PyTorch's default epsilon, 1e-5, instead of the Vision Transformer's."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    return model


def gelu_by_tanh(model: Any) -> Any:
    """Make every GELU the approximation by tanh."""
    for module in model.modules():
        if isinstance(module, nn.GELU):
            module.approximate = "tanh"
    return model


def half_softmax(model: Any) -> Any:
    """Take every block's softmax in half precision."""
    for block in model.blocks:
        block.attn = HalfSoftmax(block.attn)
    return model
