"""A bound that admits more needs other words; one that admits less, or the words alone, may change freely."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.judge import tolerances
from vitgate.judge.tolerances import lock_of, Locked, loosened, read_lock, Tolerance, write_lock

ROW = Locked(lower=1.0, upper=2.0, selects="{}", words="why")


@pytest.mark.parametrize("changes", [{"lower": 0.9}, {"upper": 2.1}, {"lower": None}, {"upper": None}], ids=str)
def test_wider_bound_needs_new_reason(changes: dict[str, Any]) -> None:
    assert loosened({"row": replace(ROW, **changes)}, {"row": ROW}) == ["row"]
    assert loosened({"row": replace(ROW, **changes, words="why now")}, {"row": ROW}) == []


@pytest.mark.parametrize("changes", [{}, {"lower": 1.1}, {"upper": 1.9}, {"words": "better said"}], ids=str)
def test_tighter_bound_needs_no_new_reason(changes: dict[str, Any]) -> None:
    assert loosened({"row": replace(ROW, **changes)}, {"row": ROW}) == []


def test_changed_selectors_need_new_reason() -> None:
    assert loosened({"row": replace(ROW, selects='{"cases": ["digits"]}')}, {"row": ROW}) == ["row"]


def test_new_row_is_not_loosened() -> None:
    assert loosened({"new": ROW}, {"row": ROW}) == []


def test_lock_round_trips_through_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerances, "fixtures_folder", lambda: tmp_path)
    write_lock({"row": ROW, "open": replace(ROW, upper=None)})
    assert read_lock() == {"row": ROW, "open": replace(ROW, upper=None)}
    assert (tmp_path / "tolerances.lock.json").read_text().startswith('{\n "row": {\n  "lower": 1.0,')


def test_lock_has_bounds_selectors_and_reason_digest() -> None:
    about = {"id": "a", "claim": "size", "statistic": "size", "unit": "bytes", "variants": ("lite",)}
    row = Tolerance(**about, lower=1.0, reason="It is so", measured="here")

    selects = (
        '{"against": "", "claim": ["size"], "id": "a", "statistic": ["size"], "unit": "bytes", "variants": ["lite"]}'
    )
    words = hashlib.sha256(b"It is sohere").hexdigest()[:16]
    assert lock_of([row]) == {"a": Locked(1.0, None, selects, words)}
    assert lock_of([row.model_copy(update={"upper": 2.0})]) == {"a": Locked(1.0, 2.0, selects, words)}
