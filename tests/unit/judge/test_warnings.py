from __future__ import annotations

import pytest

from vitgate.data import validate
from vitgate.errors import UsageError
from vitgate.judge.warnings import DeclaredWarning, read_warnings, stale, unexpected, WarningFile

DECLARED = (
    DeclaredWarning(call="script", category="DeprecationWarning", text="script is deprecated", torch=">=2.10,<2.15"),
    DeclaredWarning(call="load", category="UserWarning", text="slow", torch=">=2.10", optional=True),
)
SHOWN = {"script": [("DeprecationWarning", "torch.jit.script is deprecated.")], "load": []}


def test_declared_warnings_are_no_news():
    assert unexpected(SHOWN, DECLARED, "2.12.1+cpu") == []
    assert stale(SHOWN, DECLARED, "2.12.1+cpu") == []


def test_a_new_warning_is_news():
    lines = unexpected({"script": [("UserWarning", "something else")]}, DECLARED, "2.12.1")
    assert lines == ["script: new UserWarning: something else"]


@pytest.mark.parametrize(
    ("category", "word"), [("FutureWarning", "escalated"), ("PendingDeprecationWarning", "changed")]
)
def test_another_severity_is_news(category: str, word: str):
    lines = unexpected({"script": [(category, "torch.jit.script is deprecated.")]}, DECLARED, "2.12.1")
    assert lines == [f"script: {word} from DeprecationWarning to {category}: torch.jit.script is deprecated."]


def test_a_declaration_ends_with_its_versions():
    assert unexpected(SHOWN, DECLARED, "2.15.0") == ["script: new DeprecationWarning: torch.jit.script is deprecated."]
    assert stale({"script": []}, DECLARED, "2.15.0") == []


def test_a_declared_warning_that_does_not_show_is_stale():
    assert stale({"script": []}, DECLARED, "2.12.1") == [
        "script: declared DeprecationWarning did not show: script is deprecated"
    ]


def test_only_calls_that_were_made_can_be_stale():
    assert stale({}, DECLARED, "2.12.1") == []


def test_a_development_release_counts_as_its_release():
    assert DECLARED[0].holds("2.14.0.dev20260101+cpu")


def test_a_bad_version_range_is_a_usage_error():
    row = {"call": "script", "category": "UserWarning", "text": "x", "torch": "2.10 or so"}
    with pytest.raises(UsageError, match="not a version specifier"):
        validate(WarningFile, {"warning": [row]}, where="warnings.toml")


def test_the_data_file_reads():
    assert {row.call for row in read_warnings()} >= {"script", "quantize_dynamic", "load"}
