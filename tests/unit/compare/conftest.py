"""Two records of one claim in two states, compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.verdict import compare, Verdict
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow


@pytest.fixture
def pair(record: Callable[..., Record], claim_row: Callable[..., ClaimRow]) -> Callable[..., Verdict]:
    """Return a helper that compares two records of the claim `label` about one cell, in these two states."""

    def make(old: dict[str, str], new: dict[str, str], **options: Any) -> Verdict:
        rows = [claim_row(**state) for state in (old, new)]
        return compare(*(record(claims=(row, claim_row("size"))) for row in rows), **options)

    return make
