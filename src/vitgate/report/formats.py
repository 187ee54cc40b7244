"""How numbers are shown: one form for each unit, in every report."""

from __future__ import annotations

import math

from vitgate.judge.metrics import SQNR_CEILING

ABSENT = "-"


def shown(value: float | None, form: str, absent: str = ABSENT) -> str:
    """Return a number as text.

    Args:
        value: None or NaN for none.
        form: Of `str.format`.
        absent: What stands for no number.
    """
    return absent if value is None or math.isnan(value) else form.format(value)


def decibels(value: float | None, absent: str = ABSENT, expected: float | None = None) -> str:
    """Return a signal-to-noise ratio as text; at the ceiling nothing differs.

    Args:
        value: dB.
        absent: What stands for no number.
        expected: What it should be, dB, where that is known.
    """
    should = "" if expected is None else f" of {expected:.1f}"
    return "exact" if value is not None and value >= SQNR_CEILING else shown(value, f"{{:.1f}}{should} dB", absent)


def megabytes(size_bytes: float | None, digits: int = 2, absent: str = ABSENT) -> str:
    """Return a size in MB of 10^6 bytes, as the tutorial shows it.

    Args:
        size_bytes: Bytes.
        digits: After the point.
        absent: What stands for no number.
    """
    return shown(None if size_bytes is None else size_bytes / 1e6, f"{{:.{digits}f}} MB", absent)


def interval(low: float | None, high: float | None, absent: str = ABSENT) -> str:
    """Return the interval of a ratio as text.

    Args:
        low: Its lower end.
        high: Its upper end.
        absent: What stands for an interval without an end.
    """
    return absent if low is None or high is None else f"{low:.3f} to {high:.3f}"
