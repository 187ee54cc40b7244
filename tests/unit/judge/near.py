"""Findings as a test expects them, whose values are computed and so are right up to rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vitgate.spec.outcome import Finding


def near(*expected: Finding, within: float = 1e-4) -> tuple[Finding, ...]:
    """Return findings that equal those of the same fields and about the same values; NaN equals NaN."""
    return tuple(replace(each, value=_about(each.value, within)) for each in expected)


def _about(value: float, within: float) -> Any:
    return pytest.approx(value, abs=within, nan_ok=True)
