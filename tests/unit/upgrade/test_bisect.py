"""The first release that changes a claim, in as few runs as halving takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from vitgate.files.errors import MachineError, UsageError
from vitgate.upgrade.bisect import bisect, Bisection, first_change, narrowed, parse_releases, releases_between
from vitgate.upgrade.runs import Request

from .world import RELEASES, UNINSTALLABLE, World

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

ROW = "build[digits-qnnpack-optimized]"


@given(st.integers(0, 60), st.data())
def test_any_change_is_found_in_as_many_runs_as_halving_takes(count: Any, data: Any) -> None:
    change = data.draw(st.integers(1, count + 1))
    asked: list[int] = []
    left: list[int] = []

    def changed(item: int, more: int) -> bool:
        asked.append(item)
        left.append(more)
        return item >= change

    found = first_change(0, count + 1, range(1, count + 1), changed)

    assert (found.before, found.after, found.skipped) == (change - 1, change, ())
    assert len(asked) + 2 <= math.ceil(math.log2(count + 2)) + 2
    assert all(more >= len(asked) - number for number, more in enumerate(left, 1))


@given(st.integers(0, 40), st.sets(st.integers(1, 40)), st.data())
def test_inconclusive_releases_are_skipped_and_named(count: Any, silent: Any, data: Any) -> None:
    change = data.draw(st.integers(1, count + 1))
    asked: list[int] = []

    def changed(item: int, more: int) -> bool | None:
        asked.append(item)
        return None if item in silent else item >= change

    found = first_change(0, count + 1, range(1, count + 1), changed)

    telling = [item for item in range(count + 2) if item not in silent or item in (0, count + 1)]
    assert found.before == max(item for item in telling if item < change)
    assert found.after == min(item for item in telling if item >= change)
    assert found.skipped == tuple(range(found.before + 1, found.after))
    assert len(asked) == len(set(asked))


@given(st.lists(st.booleans(), max_size=30))
def test_of_several_changes_one_is_found(states: Any) -> None:
    order = [False, *states, True]

    found = first_change(0, len(order) - 1, range(1, len(order) - 1), lambda item, more: order[item])

    assert (order[found.before], order[found.after]) == (False, True)
    assert found.after == found.before + 1


@pytest.fixture
def asked(world: World) -> Callable[..., Bisection]:
    def make(good: str = "2.9.1", bad: str = "2.15.0", claim: str = ROW, **options: Any) -> Bisection:
        request = narrowed(Request(weights="standin", workers="0"), claim)
        return Bisection(good, bad, claim, request, world.means, world.folder / "records", **options)

    return make


def test_releases_between_ends_come_from_index(world: World) -> None:
    found = releases_between(Version("2.9.1"), Version("2.15.0"), uv_args=world.means.uv_args)

    assert [str(each) for each in found] == list(RELEASES[1:-1])
    assert releases_between(Version("2.9.1"), Version("2.10.0"), uv_args=world.means.uv_args) == []


@pytest.mark.parametrize(
    ("options", "releases"), [((), ["2.12.1"]), (("--prerelease=allow",), ["2.12.0rc1", "2.12.1"])]
)
def test_prereleases_are_included_if_uv_allows_them(
    world: World, options: tuple[str, ...], releases: list[str]
) -> None:
    found = releases_between(Version("2.11.0"), Version("2.13.0"), uv_args=(*world.means.uv_args, *options))

    assert [str(each) for each in found] == releases


def test_unreachable_index_is_an_error(world: World, tmp_path: Path) -> None:
    with pytest.raises((MachineError, UsageError)):
        releases_between(Version("2.9.1"), Version("2.15.0"), uv_args=("--no-index", f"--find-links={tmp_path / 'no'}"))


def test_first_changed_release_is_found_in_few_runs(world: World, asked: Callable[..., Bisection]) -> None:
    lines: list[str] = []

    text = str(bisect(asked(), lines.append))

    assert text == (
        "2.13.0 is the first release on which build[digits-qnnpack-optimized] came out otherwise: "
        "passed on 2.12.1, failed at optimize_for_mobile on 2.13.0"
    )
    assert len(world.runs) <= 2 + math.ceil(math.log2(6))
    assert all(f"--claim={ROW}" in line for line in world.runs)
    assert any("at most" in line and "more to run" in line for line in lines)
    assert str(bisect(asked(), lines.append)) == text
    assert len(world.runs) <= 5  # the second time from the records


def test_claim_without_cell_names_changed_rows(world: World, asked: Callable[..., Bisection]) -> None:
    text = str(bisect(asked(claim="build"), lambda line: None))

    assert text.startswith("2.13.0 is the first release on which build[digits-")
    assert "; likewise build[digits-" in text
    assert " and 4 more" in text
    assert all("--case=digits" in line for line in world.runs)


def test_uninstallable_release_is_skipped(asked: Callable[..., Bisection]) -> None:
    releases = tuple(parse_releases(f"2.12.1,{UNINSTALLABLE},9.0.0,2.10.0"))
    lines: list[str] = []

    text = str(bisect(asked(releases=releases), lines.append))

    assert text.startswith(f"2.15.0 is the first release (or one that could not be installed: {UNINSTALLABLE}) on")
    assert any(line.startswith(f"{UNINSTALLABLE}: skipped") for line in lines)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("2.9.1", "2.12.1", "nothing to find"),
        ("2.15.0", "2.9.1", "not older"),
        ("2.9.1", "2.9.1", "not older"),
        ("torch==2.9.1", "2.15.0", "not a version"),
    ],
)
def test_unusable_ends_are_refused(asked: Callable[..., Bisection], good: str, bad: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bisect(asked(good, bad), lambda line: None)


def test_uninstallable_end_is_machine_error(asked: Callable[..., Bisection]) -> None:
    with pytest.raises(MachineError, match=r"9\.0\.0"):
        bisect(asked(bad="9.0.0"), lambda line: None)


def test_a_list_of_releases_is_ordered_and_has_each_once() -> None:
    assert [str(each) for each in parse_releases("2.10.0, 2.9.1,2.10.0")] == ["2.9.1", "2.10.0"]
    with pytest.raises(UsageError, match="not a version"):
        parse_releases("2.9.1,new")
