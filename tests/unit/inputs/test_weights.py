"""Weights come from where the user asked: a file, a download, its cache, or the stand-in with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.weights import Checkpoint, choose_source, find_pretrained

from .server import BODY, cached, DIGEST, one_line, QUICK, Server, SRC


def test_checkpoint_is_stored_in_torch_hub_cache(server: Server, torch_home: Path) -> None:
    checkpoint = Checkpoint(server.url(f"good-{DIGEST[:8]}.pth"), DIGEST[:8])
    source = choose_source("pretrained", checkpoint, has_standin=True, patience=QUICK)
    assert (source.kind, source.path) == ("pretrained", torch_home / f"good-{DIGEST[:8]}.pth")
    assert source.path is not None
    assert source.path.read_bytes() == BODY
    assert f"published checkpoint good-{DIGEST[:8]}.pth" in source.note


@pytest.mark.parametrize("request_", ["auto", "pretrained"])
def test_a_cached_checkpoint_needs_no_network(refused: str, torch_home: Path, request_: str) -> None:
    path = cached(torch_home, "file.pth")
    source = choose_source(request_, Checkpoint(refused, DIGEST[:8]), has_standin=True)
    assert (source.kind, source.path) == ("pretrained", path)


def test_torch_hub_and_vitgate_share_cached_file(server: Server, torch_home: Path) -> None:
    name = f"good-{DIGEST[:8]}.pth"
    ours = find_pretrained(Checkpoint(server.url(name), DIGEST[:8]), download=True, patience=QUICK)
    assert ours == Path(torch.hub.get_dir()) / "checkpoints" / name


@pytest.mark.parametrize("request_", ["auto", "pretrained"])
def test_damaged_cached_checkpoint_is_refused(server: Server, torch_home: Path, request_: str) -> None:
    path = cached(torch_home, "good", BODY[:-1])
    with one_line(UsageError, "damaged", str(path), "delete it"):
        choose_source(request_, Checkpoint(server.url("good"), DIGEST[:8]), has_standin=True, patience=QUICK)
    assert server.seen == []


def test_auto_falls_back_to_standin_with_reason(refused: str, torch_home: Path) -> None:
    source = choose_source("auto", Checkpoint(refused, DIGEST[:8]), has_standin=True, patience=QUICK)
    assert (source.kind, source.path) == ("standin", None)
    assert "stand-in" in source.note
    assert "no connection to 127.0.0.1" in source.note
    assert "\n" not in source.note


def test_auto_falls_back_after_a_404(server: Server, torch_home: Path) -> None:
    source = choose_source("auto", Checkpoint(server.url("404"), DIGEST[:8]), has_standin=True, patience=QUICK)
    assert source.kind == "standin"
    assert "404" in source.note


@pytest.mark.parametrize(("request_", "has_standin"), [("pretrained", True), ("auto", False)])
def test_required_checkpoint_has_no_fallback(refused: str, torch_home: Path, request_: str, has_standin: bool) -> None:
    with one_line(MachineError, "no connection", refused, str(torch_home / "file.pth")):
        choose_source(request_, Checkpoint(refused, DIGEST[:8]), has_standin, patience=QUICK)


def test_download_false_downloads_nothing(server: Server, torch_home: Path) -> None:
    with one_line(MachineError, "not cached", str(torch_home / "good")):
        find_pretrained(Checkpoint(server.url("good"), DIGEST[:8]), download=False)
    assert server.seen == []


def test_standin_makes_no_request() -> None:
    assert choose_source("standin", None, has_standin=True).kind == "standin"


def test_case_without_checkpoint_uses_standin_or_is_refused() -> None:
    assert choose_source("auto", None, has_standin=True).kind == "standin"
    with one_line(UsageError, "no checkpoint is published"):
        choose_source("pretrained", None, has_standin=True)
    with one_line(UsageError, "no checkpoint is published"):
        choose_source("auto", None, has_standin=False)
    with one_line(UsageError, "no stand-in"):
        choose_source("standin", None, has_standin=False)


def test_user_file_is_used_as_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cached(tmp_path, "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    source = choose_source("mine.safetensors", None, has_standin=True)
    assert (source.kind, source.path) == ("file", path)
    assert str(path) in source.note


@pytest.mark.parametrize(("request_", "word"), [("pretraind", "auto, pretrained, standin"), (".", "no such file")])
def test_unknown_weights_name_or_missing_file_is_refused(request_: str, word: str) -> None:
    with one_line(UsageError, word):
        choose_source(request_, None, has_standin=True)


def test_unsupported_file_extension_is_refused(tmp_path: Path) -> None:
    with one_line(UsageError, ".safetensors"):
        choose_source(str(cached(tmp_path, "model.ptl")), None, has_standin=True)


def test_the_modules_import_without_torch() -> None:
    code = "import sys, vitgate.inputs.weights, vitgate.inputs.download; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
