"""What the tests of records share: evidence in a store, and which claims a whole run has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.inputs.run_options import expected_claims
from vitgate.observe.store import Store
from vitgate.spec.cells import RowName
from vitgate.spec.outcome import Evidence

from ..releases import release


@pytest.fixture
def claims_of_committed_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect no claim that is newer than the committed records, which are whole runs of the claims of their time."""
    recorded = {row.claim for row in release("2.15.0").claims}

    def expected(*args: Any, **kwargs: Any) -> list[str]:
        return [name for name in expected_claims(*args, **kwargs) if RowName.parse(name).claim in recorded]

    monkeypatch.setattr("vitgate.records.merge.expected_claims", expected)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store of evidence."""
    return Store(tmp_path / "evidence")


@pytest.fixture
def put(store: Store) -> Callable[..., None]:
    """Return a helper that puts evidence into the store."""

    def put(kind: str, name: str, evidence: Evidence) -> None:
        store.get(kind, name, lambda: evidence)

    return put
