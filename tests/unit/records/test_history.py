"""What the committed records say of one claim, release by release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.records.history import history
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow


@pytest.fixture
def releases(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., None]:
    """Return a helper that writes the records of these releases, each with the outcome of one claim."""

    def write(**outcomes: Any) -> None:
        for version, outcome in outcomes.items():
            torch = f"{version.removeprefix('v').replace('_', '.')}+cpu"
            rows = (claim_row(status="failed", outcome=outcome),) if outcome else ()
            own = environment.model_copy(update={"torch": torch})
            record(environment=own, claims=rows).write(tmp_path / "records" / f"{torch}.json")
        monkeypatch.setenv("VITGATE_FIXTURES", str(tmp_path))

    return write


def test_releases_are_grouped_by_outcome_oldest_first(releases: Callable[..., None]) -> None:
    releases(v2_10_0="failed", v2_9_1="passed", v2_2_0="passed", v2_12_1="failed", v2_15_0="passed", v2_13_0="")

    said = history("label[digits-qnnpack-lite]")

    assert said == "passed on 2.2.0, 2.9.1; failed on 2.10.0, 2.12.1; passed on 2.15.0"


def test_claim_without_releases_is_stated(releases: Callable[..., None]) -> None:
    releases(v2_9_1="passed")

    assert history("label[digits-qnnpack-optimized]") == "in none of the recorded releases"
