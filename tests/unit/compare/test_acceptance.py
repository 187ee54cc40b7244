"""Acceptances: whole entries only, found by line, with an end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances, read_acceptances
from vitgate.files.errors import UsageError

from ..conftest import Refuses

TODAY = dt.date(2026, 12, 1)
ENTRY = """
# id = "xnnpack-gone" is explained below
[[accept]]
reason = "we ship the frozen lite file"
id = "xnnpack-gone"
owner = "ml-platform"
expires = 2027-01-31
"""


def test_file_and_command_line_acceptances_are_combined(data_file: Callable[[str, str], Path]) -> None:
    path = data_file("accepted.toml", ENTRY)

    found = read_acceptances(("label[digits-x86-lite]", "label[digits-x86-lite]"), path, TODAY)

    assert found.entries == (
        Acceptance("label[digits-x86-lite]", "--accept"),
        Acceptance("xnnpack-gone", f"{path}:5", "we ship the frozen lite file", "ml-platform", dt.date(2027, 1, 31)),
    )
    assert found.problems({"label[digits-x86-lite]", "xnnpack-gone"}) == ()


@pytest.mark.parametrize("key", ["id", "reason", "owner", "expires"])
def test_entry_without_required_key_is_refused(
    data_file: Callable[[str, str], Path], refuses: Refuses, key: str
) -> None:
    lines = [line for line in ENTRY.splitlines() if not line.startswith(f"{key} =")]
    path = data_file("accepted.toml", "\n".join(lines))

    refuses(lambda: read_acceptances((), path, TODAY), path, f"accept.0.{key}")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("owner =", "team =", "accept.0"),
        ('"ml-platform"', '" "', "accept.0.owner"),
        ("2027-01-31", '"soon"', "accept.0.expires"),
        ("[[accept]]", "[[accepted]]", "accept"),
        ("[[accept]]", "[[accept", "cannot read this file"),
    ],
)
def test_invalid_entry_is_refused(
    data_file: Callable[[str, str], Path], refuses: Refuses, old: str, new: str, word: str
) -> None:
    path = data_file("accepted.toml", ENTRY.replace(old, new))

    refuses(lambda: read_acceptances((), path, TODAY), path, word)


def test_two_entries_of_one_id_are_refused(data_file: Callable[[str, str], Path], refuses: Refuses) -> None:
    path = data_file("accepted.toml", ENTRY * 2)

    refuses(lambda: read_acceptances((), path, TODAY), path, "duplicate name 'xnnpack-gone'")


def test_a_missing_file_and_an_empty_name_are_refused(tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_acceptances((), tmp_path / "no.toml", TODAY), "no.toml")
    refuses(lambda: read_acceptances((" ",), None, TODAY), "--accept")


@pytest.mark.parametrize(("days", "holds"), [(-1, False), (0, True), (1, True)])
def test_an_acceptance_holds_until_the_end_of_its_last_day(days: int, holds: bool) -> None:
    entry = Acceptance("a", "f:1", "why", "me", TODAY + dt.timedelta(days=days))

    found = Acceptances((entry,), TODAY)

    assert (found.covering("b", "a") == entry) is holds
    assert bool(found.problems({"a"})) is not holds


def test_ids_are_compared_exactly() -> None:
    found = Acceptances((Acceptance("label[digits-x86-lite]", "--accept"),), TODAY)

    assert found.covering("label[digits-x86-lite_frozen]", "label") is None


def test_an_empty_name_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        read_acceptances(["  "])

    assert str(caught.value) == "an empty name cannot be accepted (--accept): name a deviation or a row"


def test_expiry_is_checked_against_today_by_default() -> None:
    assert read_acceptances((), None, TODAY).today == TODAY
    assert abs(read_acceptances().today - dt.date.today()) <= dt.timedelta(days=1)  # it may be midnight


def test_id_in_other_notation_is_located_at_line_1(
    data_file: Callable[[str, str], Path],
) -> None:
    path = data_file("accepted.toml", ENTRY.replace('id = "xnnpack-gone"\nowner', 'id = "xnnpack\\u002dgone"\nowner'))

    assert read_acceptances((), path, TODAY).entries[0].where == f"{path}:1"
