"""Which files a run checks: those of its cases and engines, a user's always, and no test at all where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vitgate import plugin
from vitgate.inputs.field_files import committed, FieldItem
from vitgate.inputs.run_options import expected_claims
from vitgate.plugin import fixtures
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.run_config import RunConfig

CLAIMS = {name: read_claims()[name] for name in ("field", "artifacts")}


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Return a user's folder: one file of no known engine, one for x86."""
    for name in ("any.ptl", "server.pt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "server.pt"\nengine = "x86"\n', encoding="utf-8")
    return str(tmp_path)


@pytest.fixture
def chosen(plan: Callable[..., RunConfig]) -> Callable[..., Any]:
    """Return a helper that gives the ids of the files that a plan checks for a claim, as pytest is handed them."""

    def call(claim: str, **fields: Any) -> Any:
        handed: list[Any] = []
        metafunc: Any = SimpleNamespace(
            definition=SimpleNamespace(get_closest_marker=lambda name: SimpleNamespace(args=(claim,))),
            fixturenames=["field_check", "item"],
            config=SimpleNamespace(stash={fixtures.PLAN: plan(**fields)}),
            parametrize=lambda name, values, ids, indirect: handed.extend(zip(ids, values, strict=True)),
        )
        plugin.pytest_generate_tests(metafunc)
        assert all(isinstance(item, FieldItem) and item.row.id == name for name, item in handed)
        return [name for name, _ in handed]

    return call


def test_committed_files_are_narrowed_to_cases_and_engines(chosen: Callable[..., Any]) -> None:
    every = [item.row for item in committed()]

    found = chosen("field", engines=("qnnpack", "x86"))

    assert found == [row.id for row in every if row.engine in ("qnnpack", "x86")] != []
    assert chosen("field", cases=("deit_base",)) == []


def test_user_files_are_narrowed_only_by_known_engine(chosen: Callable[..., Any], own: str) -> None:
    assert chosen("artifacts", field=(own,)) == ["own-any.ptl"]
    assert chosen("artifacts", field=(own,), engines=("x86",)) == ["own-any.ptl", "own-server.pt"]
    assert chosen("artifacts", field=(own,), cases=("deit_base",)) == ["own-any.ptl"]


def test_pictures_are_collected_if_folder_is_given(plan: Callable[..., RunConfig]) -> None:
    def subjects(**fields: Any) -> Any:
        handed: list[Any] = []
        metafunc: Any = SimpleNamespace(
            definition=SimpleNamespace(get_closest_marker=lambda name: SimpleNamespace(args=("images",))),
            fixturenames=["check", "cell"],
            config=SimpleNamespace(stash={fixtures.PLAN: plan(cases=("deit_tiny",), **fields)}),
            parametrize=lambda name, values, ids: handed.extend(ids),
        )
        plugin.pytest_generate_tests(metafunc)
        return handed

    assert subjects() == []
    assert {name.partition("-")[0] for name in subjects(images="/pictures")} == {"deit_tiny"}


def test_no_field_folder_gives_no_user_files(chosen: Callable[..., Any]) -> None:
    assert chosen("artifacts") == []


@pytest.mark.parametrize("claim", ["field", "artifacts"])
def test_selected_rows_are_expected_in_record(chosen: Callable[..., Any], own: str, claim: str) -> None:
    names = [f"{claim}[{name}]" for name in chosen(claim, field=(own,))]

    expected = expected_claims(("digits",), ("qnnpack",), (own,))
    assert [name for name in expected if name.startswith(f"{claim}[")] == names


def test_placeholder_test_of_empty_parameters_is_dropped(plan: Callable[..., RunConfig]) -> None:
    def item(claimed: Any = True, **callspec: Any) -> Any:
        return SimpleNamespace(get_closest_marker=lambda name: claimed or None, **callspec)

    def about(**params: Any) -> Any:
        return {"callspec": SimpleNamespace(params=params)}

    assert plugin._is_about_nothing(item(**about(item=object())))
    assert not plugin._is_about_nothing(item(**about(item=committed()[0])))
    assert plugin._is_about_nothing(item(**about(cell=object())))
    assert not plugin._is_about_nothing(item(**about(cell=CellId("digits", "x86", "lite"))))
    assert not plugin._is_about_nothing(item(**about(call="script")))
    assert not plugin._is_about_nothing(item())
    assert not plugin._is_about_nothing(item(claimed=False, **about(item=object())))  # a parameter of somebody else's
