"""Weights of a user's own model reach the pipeline as they are, whatever the model does with them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from vitgate.inputs.weights import WeightsSource
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.pipeline.weights_file import load_state, weights_of
from vitgate.spec.cases import read_own

CASE = """
[[case]]
id = "mine"
title = "mine"
build = "weights_file_model:{build}"
input = [3, 8, 8]
files = "mine"
picture = [{{ file = "a.png", label = 0 }}]
"""
MODELS = """
from torch import nn


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


def counting():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
"""


@pytest.mark.accepts(
    "checkpoint",
    "several states in one file (`state_dict_ema`): the first is taken, which is said, and how to take another",
)
def test_used_and_alternative_state_dicts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights_file_model.py").write_text(MODELS, encoding="utf-8")
    (tmp_path / "cases.toml").write_text(CASE.format(build="tied"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weights_file_model", raising=False)
    state = importlib.import_module("weights_file_model").tied().state_dict()
    torch.save({"state_dict": state, "state_dict_ema": state, "optimizer": {"lr": 0.1}}, tmp_path / "weights.pth")
    source = WeightsSource("own", tmp_path / "weights.pth", "own weights")

    for _ in range(2):  # the second time from the cache
        found = weights_of(read_own(tmp_path / "cases.toml").case[0], source, ArtifactCache(tmp_path / "cache"))

        note = found.values["note"]
        assert note.startswith("own weights; it holds 'state_dict_ema' beside 'state_dict', which was taken")
        assert "torch.save(torch.load(file)['state_dict_ema'], new)" in note


@pytest.mark.accepts("checkpoint", "tied weights, and modules that keep the weights they were built with")
@pytest.mark.parametrize("build", ["tied", "counting"])
@pytest.mark.parametrize("stored", [True, False], ids=["from a file", "as built"])
def test_state_is_stored_unchanged(build: str, stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights_file_model.py").write_text(MODELS, encoding="utf-8")
    (tmp_path / "cases.toml").write_text(CASE.format(build=build), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weights_file_model", raising=False)
    torch.manual_seed(0)
    state = getattr(importlib.import_module("weights_file_model"), build)().state_dict()
    torch.save(state, tmp_path / "weights.pth")
    torch.manual_seed(0)
    source = WeightsSource("own", tmp_path / "weights.pth" if stored else None, "own weights")

    found = load_state(weights_of(read_own(tmp_path / "cases.toml").case[0], source, ArtifactCache(tmp_path / "cache")))

    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in state.items())
