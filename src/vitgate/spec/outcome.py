"""What was observed and what became of a claim, as values.

The half that imports torch writes `Evidence`, the half that judges reads it and makes an `Outcome`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy.typing as npt

INPUTS = "inputs"
"""Where an environment error is that is about one case alone: what the user gave for it cannot be used."""

Kind = Literal["passed", "failed", "failed at", "blocked by", "environment error", "unsupported"]

NO_TOOLS = "ToolsMissing"
"""The error of an `unsupported` outcome that says nothing of PyTorch: what the check itself needs is not installed."""

FIXED_BATCH = "FixedBatch"
"""The error of a variant that runs one picture, and not a batch."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Finding:
    """One number against its bounds. The value itself is the tightest bound that it needed, so `line` shows it always.

    `value` is in `unit`; a bound that is None does not exist. NaN and infinity are never within bounds, and a number
    that is judged without any bound never passes.
    """

    statistic: str
    value: float
    unit: str
    lower: float | None = None
    upper: float | None = None
    against: str = ""
    tolerance: str = ""
    judged: bool = True
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value lies within its bounds; a value that is only shown is always fine."""
        if not self.judged:
            return True
        if not math.isfinite(self.value) or (self.lower is None and self.upper is None):
            return False
        return (self.lower is None or self.value >= self.lower) and (self.upper is None or self.value <= self.upper)

    def line(self) -> str:
        """Say it in one line: what was got, what was expected, the tolerance needed."""
        of = f" against {self.against}" if self.against else ""
        text = f"{self.statistic}{of}: {self.value + 0.0:.6g} {self.unit}".rstrip()  # no -0
        if self.judged:
            text += f", expected {self.bounds()}"
        if self.judged and not self.ok:
            text += f" [{self.tolerance}: would need {self.needed()}]"
        return text + (f" ({self.note})" if self.note else "")

    def bounds(self) -> str:
        """Say between what the value must lie."""
        return bounds(self.lower, self.upper)

    def needed(self) -> str:
        """Say which bound would have admitted a value that is out of them."""
        if not math.isfinite(self.value):
            return "a finite number"
        if self.lower is None and self.upper is None:
            return "a bound"
        low = self.lower is not None and self.value < self.lower
        return f"{'lower' if low else 'upper'} = {_admitting(self.value, low=low)}"


def bounds(lower: float | None, upper: float | None) -> str:
    """Return both bounds as an interval; None means that there is none."""
    return f"[{'-inf' if lower is None else f'{lower:.6g}'}, {'inf' if upper is None else f'{upper:.6g}'}]"


def _admitting(value: float, *, low: bool) -> str:
    """Write a bound in six digits, or in all of them where rounding would leave the value outside."""
    short = f"{value:.6g}"
    return short if (float(short) <= value if low else float(short) >= value) else repr(value)


@dataclass(frozen=True)
class Outcome:
    """How one claim about one cell went.

    `at` names the stage of "failed at" and the variant of "blocked by", or is `INPUTS`; `error` is the exception's type
    name there.
    """

    kind: Kind
    at: str = ""
    error: str = ""
    message: str = ""
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        """Return the words that a deviation must state exactly: `failed at optimize_for_mobile`."""
        return f"{self.kind} {self.at}".strip()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Outcome:
        """Rebuild what `to_json` gave."""
        findings = tuple(Finding(**row) for row in data.get("findings", ()))
        return Outcome(**{**data, "findings": findings})


class ClaimFailed(Exception):
    """Raised by a check whose claim does not hold; carries the outcome, and is shown without a traceback."""

    def __init__(self, outcome: Outcome) -> None:
        """Keep the outcome; the message is what a reader of the red test sees."""
        super().__init__(outcome.message or str(outcome))
        self.outcome = outcome


@dataclass(frozen=True)
class Evidence:
    """Plain values and arrays; or, where `outcome` is set, why there are none."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    outcome: Outcome | None = None

    def demand(self) -> Evidence:
        """Return itself; raise ClaimFailed with `outcome` if it is set."""
        if self.outcome is not None:
            raise ClaimFailed(self.outcome)
        return self
