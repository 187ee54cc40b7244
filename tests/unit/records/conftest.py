"""Which claims a whole run has, for tests that merge committed records."""

from __future__ import annotations

from typing import Any

import pytest

from vitgate.inputs.run_options import expected_claims
from vitgate.spec.cells import RowName

from ..releases import release


@pytest.fixture
def claims_of_committed_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect no claim that is newer than the committed records, which are whole runs of the claims of their time."""
    recorded = {row.claim for row in release("2.15.0").claims}

    def expected(*args: Any, **kwargs: Any) -> list[str]:
        return [name for name in expected_claims(*args, **kwargs) if RowName.parse(name).claim in recorded]

    monkeypatch.setattr("vitgate.records.merge.expected_claims", expected)
