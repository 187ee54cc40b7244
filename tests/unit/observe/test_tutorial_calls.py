from __future__ import annotations

import warnings

import pytest
import torch
import torch.backends.xnnpack
from packaging.version import Version

from vitgate.files.errors import UsageError
from vitgate.judge.torch_warnings import read_warnings, stale, unexpected
from vitgate.observe import tutorial_calls
from vitgate.observe.tutorial_calls import ApiWarning, normalised, probe
from vitgate.spec.claims import read_calls

RELEASE = Version(Version(torch.__version__).base_version)
WITHOUT = {
    *([] if torch.backends.xnnpack.enabled else ["optimize_for_mobile"]),  # type: ignore[attr-defined]
    *(["profile"] if Version("2.14") <= RELEASE else []),
}


@pytest.fixture(scope="module")
def probes() -> dict[str, tutorial_calls.ApiProbe]:
    return {name: probe(name) for name in read_calls()}


def test_every_available_call_works(probes: dict[str, tutorial_calls.ApiProbe]) -> None:
    assert {name for name, found in probes.items() if not found.works} == WITHOUT


def test_removed_argument_is_type_error(probes: dict[str, tutorial_calls.ApiProbe]) -> None:
    assert probes["profile"].error == ("TypeError" if "profile" in WITHOUT else "")


def test_declared_warnings_match_raised_ones(probes: dict[str, tutorial_calls.ApiProbe]) -> None:
    observed = {name: [(one.category, one.text) for one in found.warnings] for name, found in probes.items()}
    assert unexpected(observed, read_warnings(), torch.__version__) == []
    assert stale(observed, read_warnings(), torch.__version__) == []


@pytest.mark.parametrize("name", ["script", "quantize_dynamic", "load", "save_for_lite_interpreter"])
def test_second_probe_gives_same_result(name: str, probes: dict[str, tutorial_calls.ApiProbe]) -> None:
    assert probe(name) == probes[name]


def test_every_declared_warning_is_about_a_call() -> None:
    assert {row.call for row in read_warnings()} <= set(read_calls())


def test_engine_and_warning_filters_are_restored() -> None:
    before = (torch.backends.quantized.engine, torch.is_warn_always_enabled())
    probe("engine")
    assert (torch.backends.quantized.engine, torch.is_warn_always_enabled()) == before


def test_an_unknown_call_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown call"):
        probe("no_such_call")


def test_warnings_and_errors_of_a_call_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(_: object) -> None:
        warnings.warn("going at /a/b/c.py:12", FutureWarning, stacklevel=1)
        raise RuntimeError("gone\nfor good")

    monkeypatch.setattr(torch.jit, "script", removed)
    found = probe("script")
    assert (found.works, found.error, found.message) == (False, "RuntimeError", "gone")
    assert found.warnings == (ApiWarning("FutureWarning", "going at <path>/c.py"),)


def test_a_missing_function_is_an_error_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "argmax")
    assert probe("argmax").error == "AttributeError"


def test_texts_are_the_same_on_every_machine() -> None:
    text = "Bad  thing 0x7f3a in /usr/lib/x.py:33\n(Triggered internally at ../aten/src/A.cpp:88.)"
    assert normalised(text) == "Bad thing <address> in <path>/x.py"
    assert (
        normalised("see https://github.com/pytorch/ao/issues/2259") == "see https://github.com/pytorch/ao/issues/2259"
    )
