from __future__ import annotations

import pytest

from vitgate.files.schemas import validate
from vitgate.judge.torch_warnings import DeclaredWarning, read_warnings, stale, unexpected, WarningFile

from ..conftest import Refuses

DECLARED = (
    DeclaredWarning(call="script", category="DeprecationWarning", text="script is deprecated", torch=">=2.10,<2.15"),
    DeclaredWarning(call="load", category="UserWarning", text="slow", torch=">=2.10", optional=True),
)
SHOWN = {"script": [("DeprecationWarning", "torch.jit.script is deprecated.")], "load": []}


def test_declared_warnings_are_expected() -> None:
    assert unexpected(SHOWN, DECLARED, "2.12.1+cpu") == []
    assert stale(SHOWN, DECLARED, "2.12.1+cpu") == []


def test_new_warning_is_unexpected() -> None:
    lines = unexpected({"script": [("UserWarning", "something else")]}, DECLARED, "2.12.1")
    assert lines == ["script: new UserWarning: something else"]


@pytest.mark.parametrize(
    ("category", "word"), [("FutureWarning", "escalated"), ("PendingDeprecationWarning", "changed")]
)
def test_changed_warning_category_is_unexpected(category: str, word: str) -> None:
    lines = unexpected({"script": [(category, "torch.jit.script is deprecated.")]}, DECLARED, "2.12.1")
    assert lines == [f"script: {word} from DeprecationWarning to {category}: torch.jit.script is deprecated."]


def test_declaration_outside_its_versions_does_not_apply() -> None:
    assert unexpected(SHOWN, DECLARED, "2.15.0") == ["script: new DeprecationWarning: torch.jit.script is deprecated."]
    assert stale({"script": []}, DECLARED, "2.15.0") == []


def test_declared_warning_that_is_not_raised_is_stale() -> None:
    assert stale({"script": []}, DECLARED, "2.12.1") == [
        "script: declared DeprecationWarning did not show: script is deprecated"
    ]


def test_only_calls_that_were_made_can_be_stale() -> None:
    assert stale({}, DECLARED, "2.12.1") == []


def test_a_development_release_counts_as_its_release() -> None:
    assert DECLARED[0].holds("2.14.0.dev20260101+cpu")


@pytest.mark.parametrize(("machines", "holds"), [(None, True), (("aarch64", "x86_64"), True), (("x86_64",), False)])
def test_declaration_about_other_machines_does_not_apply(
    machines: tuple[str, ...] | None, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitgate.judge.torch_warnings.machine", lambda: "aarch64")
    declared = DECLARED[0].model_copy(update={"machines": machines})

    assert declared.holds("2.12.1") is holds
    assert not declared.holds("2.15.0")


@pytest.mark.parametrize(
    ("torch", "problem"),
    [
        ("2.10 or so", "'2.10 or so' is not a version specifier such as '>=2.13'"),
        ("===second", "'===second' is not a version specifier such as '>=2.13'"),
        ("", "Value error, it is empty: '>=0' means every release"),
        (">=2.13,<2.10", "'>=2.13,<2.10' matches no release"),
        (">2.12.0,<2.12.1", "'>2.12.0,<2.12.1' matches no release"),
        ("==2.13.0rc1", "'==2.13.0rc1' matches no release"),  # it counts as 2.13.0
    ],
)
def test_invalid_or_empty_version_range_is_usage_error(torch: str, problem: str, refuses: Refuses) -> None:
    row = {"call": "script", "category": "UserWarning", "text": "x", "torch": torch}

    refuses(lambda: validate(WarningFile, {"warning": [row]}, where="warnings.toml"), "warning.0.torch", problem)


@pytest.mark.parametrize(
    "torch",
    [
        "<1.5",
        "==2.*",
        "!=2.13.*",
        ">=2.12,!=2.12.*",
        ">2.12.0,<2.12.2",
        ">2.12.0,<2.13.1,!=2.12.*",
        ">=2,<3.1,!=2.*",
    ],
)
def test_version_range_with_a_release_is_accepted(torch: str) -> None:
    row = {"call": "script", "category": "UserWarning", "text": "x", "torch": torch}

    assert validate(WarningFile, {"warning": [row]}, where="warnings.toml").warning[0].torch == torch


def test_committed_warnings_file_is_valid() -> None:
    assert {row.call for row in read_warnings()} >= {"script", "quantize_dynamic", "load"}


@pytest.mark.parametrize(
    ("known", "category", "change"),
    [
        (("DeprecationWarning", "C++"), "FutureWarning", "escalated from DeprecationWarning and C++ to FutureWarning"),
        (("FutureWarning", "C++"), "UserWarning", "changed from FutureWarning and C++ to UserWarning"),
        (("C++", "C++"), "UserWarning", "escalated from C++ to UserWarning"),
        (("FutureWarning",), "OwnWarning", "escalated from FutureWarning to OwnWarning"),  # unknown: the worst
        (("OwnWarning",), "OtherWarning", "changed from OwnWarning to OtherWarning"),
    ],
)
def test_changed_warning_category_names_declared_one(known: tuple[str, ...], category: str, change: str) -> None:
    declared = [DeclaredWarning(call="load", category=name, text="slow", torch=">=0") for name in known]

    assert unexpected({"load": [(category, "slow")] * 2}, declared, "2.15.0") == [f"load: {change}: slow"]


def test_declared_warning_in_another_category_is_stale() -> None:
    assert len(stale({"script": [("UserWarning", "script is deprecated")]}, DECLARED, "2.12.1")) == 1
    assert len(stale({"script": [("DeprecationWarning", "else")]}, DECLARED, "2.12.1")) == 1
