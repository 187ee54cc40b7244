"""An option of a run is declared once: what is asked goes through command lines and comes out the same."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.cli.check import check
from vitgate.inputs.run_options import make_run_config
from vitgate.plugin.options import add_options, request_from
from vitgate.spec.options import RUN_OPTIONS, RunOption, RunRequest
from vitgate.spec.run_config import RunConfig
from vitgate.upgrade.runs import Request

SAMPLES: dict[str, Any] = {"text": "a b=c", "texts": ("a", "b=c", "--d"), "number": 0.1 + 0.2, "flag": True}
EVERY = RunRequest(**{option.name: SAMPLES[option.kind] for option in RUN_OPTIONS})


class Config:
    """pytest's configuration, of its own parser's making."""

    def __init__(self, *arguments: str) -> None:
        parser = pytest.Parser(_ispytest=True)
        add_options(parser)
        self.found = parser.parse(arguments)

    def getoption(self, flag: str) -> Any:
        return getattr(self.found, flag.removeprefix("--").replace("-", "_"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in RUN_OPTIONS:
        monkeypatch.delenv(option.envvar or "NONE", raising=False)


def through_pytest(arguments: list[str]) -> RunRequest:
    config: Any = Config(*arguments)
    return request_from(config)


def through_click(arguments: list[str]) -> RunRequest:
    params = check.make_context("check", arguments).params
    return RunRequest.of({option.name: params[option.name] for option in RUN_OPTIONS})


@pytest.mark.parametrize("parse", [through_pytest, through_click])
@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_what_is_asked_is_understood_as_it_was_meant(option: RunOption, parse: Any) -> None:
    request = replace(RunRequest(), **{option.name: SAMPLES[option.kind]})

    assert all(text.startswith(option.flag) for text in request.arguments())
    assert parse(request.arguments()) == request != RunRequest()


@pytest.mark.parametrize("parse", [through_pytest, through_click])
@pytest.mark.parametrize("request_", [RunRequest(), EVERY], ids=["nothing", "everything"])
def test_whole_requests_are_understood(request_: RunRequest, parse: Any) -> None:
    assert parse(request_.arguments()) == request_


def test_every_field_is_an_option_of_its_name() -> None:
    assert [option.name for option in RUN_OPTIONS] == [each.name for each in fields(RunRequest)]
    assert {type(getattr(RunRequest(), option.name)) for option in RUN_OPTIONS if option.kind == "texts"} == {tuple}
    assert RunRequest().arguments() == []


def test_an_empty_text_is_no_absent_one() -> None:
    assert through_pytest(["--shard="]) == through_click(["--shard="]) == RunRequest(shard="")
    assert RunRequest(shard="").arguments() == ["--shard="]


def test_the_variable_stands_for_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITGATE_ASSETS", "pictures")

    assert through_pytest([]) == through_click([]) == RunRequest(assets="pictures")
    assert through_pytest(["--assets=mine"]) == through_click(["--assets=mine"]) == RunRequest(assets="mine")


def test_paths_of_what_is_read_become_absolute_and_words_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = {option.name for option in RUN_OPTIONS if option.is_input}

    absolute = replace(EVERY, field=("a", "a", "/b")).absolute()

    assert inputs == {"case_file", "weights", "assets", "artifact_cache", "field", "images"}
    assert (absolute.weights, absolute.field) == (str(tmp_path / "a b=c"), (str(tmp_path / "a"), "/b"))
    assert {name for name in vars(EVERY) if getattr(absolute, name) != getattr(EVERY, name)} == inputs
    assert RunRequest(weights="hub").absolute() == RunRequest(weights="hub")


def test_a_request_of_the_gate_travels_with_its_workers() -> None:
    request = Request(**vars(EVERY), workers="2")

    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301  # as dask does, of our own making
    assert request.arguments() == ["-n", "2", *EVERY.arguments()]


def test_a_plan_is_the_request_with_what_it_comes_to(tmp_path: Path) -> None:
    request = RunRequest(case=("digits",), processor="avx2", record="r.json")

    plan = make_run_config(request, tmp_path)

    assert (plan.cases, plan.record, plan.no_latency) == (("digits",), "r.json", True)
    assert RunConfig.from_json(plan.to_json()) == plan
