"""What was observed, as a value: the half that imports torch writes it, the half that judges reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from vitgate.spec.outcome import ClaimFailed, Outcome

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Evidence:
    """Plain values and arrays; or, where `outcome` is set, why there are none."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    outcome: Outcome | None = None

    def demand(self) -> Evidence:
        """Return itself, or raise ClaimFailed with the outcome that stands in the way."""
        if self.outcome is not None:
            raise ClaimFailed(self.outcome)
        return self
