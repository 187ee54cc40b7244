"""The logits that a model should give if it computes by a scheme: the size of the error that its numbers should cost.

Rounding amplifies differences of 1e-6 to the size of a step, so that the error's size is predicted, not its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from vitgate.expected.bfloat16 import Bfloat16, rounded_operators, to_bfloat16
from vitgate.expected.names import Scheme
from vitgate.expected.schemes import LinearScheme
from vitgate.expected.static import calibrated, joined_by, static_linear, StaticInt8


def expected_logits(
    model: nn.Module,
    scheme: Scheme,
    x: torch.Tensor,
    taken: Callable[[Any], torch.Tensor] = lambda returned: returned,
    *,
    batch: int = 1,
    calibration: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the pictures with every plain Linear, or of bfloat16 every operator, computed by the scheme.

    Args:
        model: The eager float model, in evaluation mode; it is as before afterwards.
        scheme: How weights and activations are rounded.
        x: float32 [N, C, H, W].
        taken: Takes the logits from what the model returns.
        batch: How many pictures go into one call, and so share a scale where the scheme has one a call.
        calibration: Pictures by which a static scheme chooses its scales, float32 [M, C, H, W]; by default `x`.

    Returns:
        Logits, float32 [N, classes].
    """
    with torch.no_grad(), plain_attention():
        if isinstance(scheme, Bfloat16):
            with rounded_operators():
                return _in_batches(model, to_bfloat16(x), taken, batch)
        with _computed_by(model, scheme, x if calibration is None else calibration) as call:
            return _in_batches(call, x, taken, batch)


def _in_batches(
    call: Callable[[Any], Any], x: torch.Tensor, taken: Callable[[Any], torch.Tensor], batch: int
) -> torch.Tensor:
    return torch.cat([taken(call(x[at : at + batch])).detach().float() for at in range(0, len(x), batch)])


@contextmanager
def plain_attention() -> Iterator[None]:
    """Keep PyTorch's fused encoder layers out, which read the weights of their Linears without calling them."""
    mha = getattr(torch.backends, "mha", None)  # from 2.0 on
    before = mha.get_fastpath_enabled() if mha else True
    if mha:
        mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        if mha:
            mha.set_fastpath_enabled(before)


@contextmanager
def _computed_by(
    model: nn.Module, scheme: LinearScheme | StaticInt8, calibration: torch.Tensor
) -> Iterator[Callable[[Any], Any]]:
    """Replace the forward of every plain Linear, each of which rounds its weights once, and yield what calls the model.

    Args:
        model: The eager float model.
        scheme: How it computes.
        calibration: Pictures for a static scheme, float32 [M, C, H, W].
    """
    linears = [module for module in model.modules() if type(module) is nn.Linear]  # what quantize_dynamic converts
    static = scheme if isinstance(scheme, StaticInt8) else None
    fixed = calibrated(model, static, linears, calibration) if static else None
    before = [vars(module).get("forward") for module in linears]  # what others have put in its place
    for module in linears:
        rounded = static_linear(module, static, fixed) if static and fixed else _Rounded(module, scheme)  # type: ignore[arg-type]  # no static one
        module.forward = rounded  # type: ignore[method-assign, assignment]  # while the block lasts

    def call(x: Any) -> Any:
        with joined_by(scheme, fixed):
            return model(x)

    try:
        yield call
    finally:
        for module, forward in zip(linears, before, strict=True):
            vars(module).pop("forward")
            vars(module).update({} if forward is None else {"forward": forward})


class _Rounded:
    """A Linear whose weights are rounded, and whose activations are at each call."""

    def __init__(self, module: nn.Linear, scheme: LinearScheme) -> None:
        """Round the weights."""
        self._weight, self._bias, self._scheme = scheme.weight(module.weight), module.bias, scheme

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return float32 [..., out] of activations float32 [..., in]."""
        return nn.functional.linear(self._scheme.activation(x), self._weight, self._bias)
