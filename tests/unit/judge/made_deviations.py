"""Deviations, outcomes and places that the tests of declared deviations make up."""

from __future__ import annotations

import datetime as dt
from typing import Any

from vitgate.judge.deviations import Deviation, Place
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Outcome

TODAY = dt.date(2026, 7, 1)
OPTIMIZED = CellId("deit_base", "qnnpack", "optimized")
XNNPACK = "Mobile optimization only available with XNNPACK"
STOPPED = Outcome("failed at", "optimize_for_mobile", "RuntimeError", f"{XNNPACK} at this point")
PASSED = Outcome("passed")

# the file in which the deviations stand, for the lines that messages name
FILE = """# Known differences.

[[deviation]]
id = "another"

[[deviation]]
  id = 'gone'  # a comment
"""


def deviation(id: str = "gone", **fields: Any) -> Deviation:
    """Return one about the build of the optimized variant, unless told otherwise."""
    row = {
        "claims": ("build",),
        "variants": ("optimized",),
        "torch": ">=2.13",
        "outcome": "failed at optimize_for_mobile",
        "error": "RuntimeError",
        "message": XNNPACK,
        "reason": "Built without XNNPACK.",
        "link": "https://example.org/1",
        "advice": "Freeze instead.",
        "review": TODAY,
    }
    return Deviation(id=id, **{**row, **fields})


def place(
    claim: str = "build", cell: CellId | None = OPTIMIZED, torch: str = "2.13.0", machine: str = "x86_64"
) -> Place:
    """Return the place of a claim about a cell, or about none."""
    return Place(claim, str(cell) if cell else "test_something", cell, torch, machine)
