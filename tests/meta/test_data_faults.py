"""Faults of the data that judges: a tolerance loosened without a reason, a deviation whose range is too wide.

No run of the suite can show them on the release at hand. The reader of the file or a rule of `test_claims.py` must.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.judge.deviations import Deviation, ExpectedNumber, read_deviations
from vitgate.judge.tolerances import lock_of, loosened, read_lock, read_tolerances, Tolerance

from .declared import holds_where_declared, too_wide

TOLERANCES = read_tolerances().rows()
DEVIATIONS = {row.id: row for row in read_deviations().rows}


# Tolerances


def _edited(path: Path, name: str, edit: Callable[[str], str]) -> Path:
    """Write a copy of a data file with one line of one entry changed."""
    folder = fixtures_folder() if path.parent.name != "tolerances" else fixtures_folder() / "tolerances"
    text = (folder / path.name).read_text(encoding="utf-8")
    start = text.index(f'id = "{name}"')
    end = text.find("[[", start)
    path.write_text(text[:start] + edit(text[start:end]) + text[end:], encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ('reason = "The scale follows from the largest weight."', 'reason = " "', "has no reason"),
        ('reason = "The scale follows from the largest weight."', "", "reason"),
        ("lower = 0.9999\nupper = 1.0001", "", "bounds nothing"),
        ("upper = 1.0001", "upper = 0.5", "lower above upper"),
        ("upper = 1.0001", "uper = 1.0001", "uper"),
    ],
    ids=["reason emptied", "reason deleted", "bound deleted", "bounds crossed", "key misspelt"],
)
def test_incomplete_tolerance_stops_run(line: str, instead: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "tolerances").mkdir()
    path = _edited(
        tmp_path / "tolerances" / "weights.toml", "weights.scale", lambda entry: entry.replace(line, instead)
    )
    with pytest.raises(UsageError, match=says):
        read_tolerances(path)


def _with(row: Tolerance, **changes: Any) -> list[Tolerance]:
    return [each.model_copy(update=changes) if each is row else each for each in TOLERANCES]


@pytest.mark.parametrize("row", TOLERANCES, ids=lambda row: row.id)
def test_tolerance_loosened_without_a_reason_is_found(row: Tolerance) -> None:
    edges = [name for name in ("lower", "upper") if getattr(row, name) is not None]
    for name in edges:
        step = (1 if name == "upper" else -1) * max(0.05 * abs(getattr(row, name)), 0.01)
        wider = {name: getattr(row, name) + step}
        assert loosened(lock_of(_with(row, **wider)), read_lock()) == [row.id]
        assert loosened(lock_of(_with(row, **wider, reason="Measured anew.")), read_lock()) == []
        assert loosened(lock_of(_with(row, **{name: getattr(row, name) - step})), read_lock()) == []


def test_removed_bound_counts_as_loosened() -> None:
    row = next(row for row in TOLERANCES if row.id == "shared.int8")
    assert loosened(lock_of(_with(row, upper=None)), read_lock()) == [row.id]


# Deviations


@pytest.mark.parametrize(
    ("name", "changes", "claim"),
    [
        ("xnnpack-gone", {"torch": ">=1.13,<3"}, "build"),
        ("xnnpack-gone", {"torch": ">=2.12,<3"}, "build"),
        ("xnnpack-gone", {"variants": None}, "build"),
        ("xnnpack-gone-files", {"torch": ">=2.9,<3"}, "field"),
        ("profiler-use-cuda", {"torch": ">=1.13,<3"}, "calls"),
        ("attention-unknown", {"makers": None}, "field"),
        ("lite-stored-twice", {"engines": None}, "size"),
        ("lite-stored-twice", {"variants": None}, "size"),
    ],
    ids=lambda part: part if isinstance(part, str) else "-".join(part),
)
def test_deviation_that_covers_what_holds_is_found(name: str, changes: dict[str, Any], claim: str) -> None:
    found = holds_where_declared(DEVIATIONS[name].model_copy(update=changes))
    assert found
    assert {row.partition("[")[0] for row in found} == {claim}


@pytest.mark.parametrize("window", [(1.0, 4.0), (1.95, 2.2)], ids=str)
def test_deviation_that_expects_almost_any_number_is_found(window: tuple[float, float]) -> None:
    number = ExpectedNumber(statistic="copies", lower=window[0], upper=window[1])
    assert too_wide(_numbered(number))


def _numbered(number: ExpectedNumber) -> Deviation:
    return DEVIATIONS["lite-stored-twice"].model_copy(update={"number": number})
