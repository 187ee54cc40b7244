"""Weights as a repository's own code loads them: a small repository served on this machine, sound and with faults."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.inputs import hub, sources
from vitgate.inputs.sources import source_from, weights_source
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.pipeline.weights_file import weights_of
from vitgate.spec.cases import Case, CheckpointRow, HubRow, read_cases
from vitgate.spec.outcome import Evidence

from .server import one_line, QUICK

COMMIT = "0123456789" * 4
SIZES: dict[str, Any] = {
    "img_size": 8,
    "patch_size": 4,
    "in_chans": 1,
    "num_classes": 3,
    "embed_dim": 8,
    "depth": 1,
    "num_heads": 2,
}
ROW = HubRow(repository="somebody/deit", commit=COMMIT, entry="small")
HUBCONF = f"""
import sys
import torch
from timm.models import vision_transformer
dependencies = ["torch", "timm"]


def small(pretrained=False):
    assert pretrained
    print("progress of a download", file=sys.stderr)
    vision_transformer.VisionTransformer.spoilt_by_the_hub = True
    model = vision_transformer.VisionTransformer(**{SIZES!r})
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_()
    CHANGE
    return model
"""


def archive(change: str = "pass", comment: str = COMMIT, root: str = "deit-01234") -> bytes:
    """Return what GitHub would give for the commit."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{root}/hubconf.py", HUBCONF.replace("CHANGE", change))
        file.comment = comment.encode()
    return data.getvalue()


class Repository(BaseHTTPRequestHandler):
    """Gives one archive at every address."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.body else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        """Keep the test output clean."""


Serve = Callable[[bytes], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Return a function that puts an archive where the repository is looked for; torch's cache is empty."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as running:
        address = f"http://127.0.0.1:{running.server_port}/{{repository}}/{{commit}}.zip"
        monkeypatch.setattr(sources, "hub_weights", lambda row: hub.hub_weights(row, url=address, patience=QUICK))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield lambda body: monkeypatch.setattr(Repository, "body", body)
        running.shutdown()
        thread.join()


def case(**more: object) -> Case:
    fields = {"id": "small", "arguments": SIZES, "input": (1, 8, 8), "hub": ROW, "checkpoint": None, "trained": None}
    return read_cases()["digits"].model_copy(update={**fields, **more})


def loaded(of: Case, folder: Path) -> Evidence:
    """Return the weights as a run gets them."""
    return weights_of(of, source_from(weights_source(of, "hub")), ArtifactCache(folder / "cache"))


def expected() -> dict[str, torch.Tensor]:
    model = VisionTransformer(**SIZES)
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_()
    return dict(model.state_dict())


def published(folder: Path, state: dict[str, torch.Tensor]) -> CheckpointRow:
    """Put a published checkpoint into torch's cache."""
    path = folder / "home" / "hub" / "checkpoints" / "small.pth"
    path.parent.mkdir(parents=True)
    torch.save({"model": state}, path)
    return CheckpointRow(url="https://x.org/small.pth", sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_hub_weights_are_pretrained_and_loaded_out_of_process(serve: Serve, tmp_path: Path) -> None:
    serve(archive())
    found = loaded(case(), tmp_path)
    state, wanted = load_file(found.values["path"]), expected()
    assert list(state) != []
    assert set(state) == set(wanted)
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)
    assert found.values["kind"] == "pretrained"
    assert "somebody/deit at commit 0123456" in found.values["note"]

    assert not hasattr(VisionTransformer, "spoilt_by_the_hub"), "its code has run in this process"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load in this process, without the seconds that another takes to import torch."""

    def load(root: Path, row: HubRow, target: Path) -> None:
        scope: dict[str, Any] = {}
        exec((root / "hubconf.py").read_text(), scope)  # noqa: S102  # the tests' own text
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(scope["small"](pretrained=True).state_dict()), target)
        delattr(VisionTransformer, "spoilt_by_the_hub")

    monkeypatch.setattr(hub, "_load", load)


@pytest.mark.usefixtures("quick")
def test_archive_is_downloaded_once_and_model_reloaded(serve: Serve) -> None:
    serve(archive())
    first = weights_source(case(), "hub").values["path"]
    Path(first).unlink()
    serve(b"")
    assert weights_source(case(), "hub").values["path"] == first
    assert Path(first).is_file()


@pytest.mark.usefixtures("quick")
def test_hub_weights_equal_to_cached_published_checkpoint_are_noted(serve: Serve, tmp_path: Path) -> None:
    serve(archive())
    found = loaded(case(checkpoint=published(tmp_path, expected())), tmp_path)
    assert "equal to the published checkpoint" in found.values["note"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("raise RuntimeError('the registry is gone')", ("somebody/deit", "RuntimeError: the registry is gone")),
        ("import os; os._exit(3)", ("ended with 3",)),
    ],
    ids=["raises", "ends its process"],
)
def test_failing_hub_code_is_environment_error(serve: Serve, change: str, words: tuple[str, ...]) -> None:
    serve(archive(change))
    with one_line(MachineError, *words):
        weights_source(case(), "hub")


FAULTS: list[tuple[str, type[VitgateError], tuple[str, ...]]] = [
    ("model.half()", MachineError, ("not float32",)),
    ("del model.norm", UsageError, ("2 missing", "norm.weight")),
    ("model.more = torch.nn.Linear(2, 2)", UsageError, ("2 extra", "more.weight")),
    ("model.head = torch.nn.Linear(8, 4)", UsageError, ("head.weight is [4, 8] instead of [3, 8]",)),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("change", "kind", "words"), FAULTS, ids=[change for change, *_ in FAULTS])
def test_other_hub_model_gives_one_line_error(
    serve: Serve, tmp_path: Path, change: str, kind: type[VitgateError], words: tuple[str, ...]
) -> None:
    serve(archive(change))
    with one_line(kind, *words):
        loaded(case(), tmp_path)


@pytest.mark.usefixtures("quick")
def test_hub_weight_unlike_published_checkpoint_gives_one_line_error(serve: Serve, tmp_path: Path) -> None:
    serve(archive("model.norm.bias.data[0] += 1e-6"))
    row = published(tmp_path, expected())
    with one_line(UsageError, "1 of", "norm.bias", "not those of the published checkpoint"):
        loaded(case(checkpoint=row), tmp_path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ("404",)),
        (b"<!doctype html><title>log in</title>", ("a web page came instead of the file",)),
        (b"PK", ("not an archive",)),
        (archive(comment="f" * 40), ("the archive of ffff", COMMIT)),
        (archive(comment=""), ("no commit",)),
        (archive(root=".."), ("not one folder",)),
        (archive(root="/etc"), ("not one folder",)),
    ],
    ids=["missing", "page", "no archive", "another commit", "no commit", "folder above", "absolute"],
)
def test_invalid_hub_archive_is_environment_error(
    serve: Serve, tmp_path: Path, body: bytes, words: tuple[str, ...]
) -> None:
    serve(body)
    with one_line(MachineError, *words):
        weights_source(case(), "hub")
    assert [path.name for path in (tmp_path / "home").rglob("*.safetensors")] == []


def test_decompression_bomb_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(archive())
    monkeypatch.setattr(hub, "_LIMIT", 500)  # it has 480 packed, and 700 unpacked
    with one_line(MachineError, "500 bytes"):
        weights_source(case(), "hub")


def test_unreachable_repository_is_environment_error(
    refused: str, torch_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "hub_weights", lambda row: hub.hub_weights(row, url=refused, patience=QUICK))
    with one_line(MachineError, "no connection to"):
        weights_source(case(), "hub")


def test_case_without_repository_gives_one_line_error() -> None:
    with one_line(UsageError, "no repository of torch.hub is known for small", "--weights hub"):
        weights_source(case(hub=None), "hub")


def test_committed_hub_entries_name_model_of_case() -> None:
    rows = [row for row in read_cases().values() if row.hub]
    assert rows
    assert all(row.hub and row.hub.entry == row.model and row.checkpoint for row in rows)
