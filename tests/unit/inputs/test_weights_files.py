"""Files of weights are read whole, executing nothing; whatever else a file holds is one clear line."""

from __future__ import annotations

import io
import os
import pickle
import random
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitgate.files.errors import UsageError
from vitgate.inputs.checkpoint_files import read_state

from .server import one_line
from .tiny_state import SHAPES, tiny


class Bomb:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (str(self.target),))


def save_zip(value: object, path: Path) -> None:
    torch.save(value, path)


def save_legacy(value: object, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def save_raw(value: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=2))


def save_tar(value: object, path: Path, *first: tarfile.TarInfo) -> None:
    """Write the form of torch before 0.1.10, which torch.load still tries."""
    with tarfile.open(path, "w:", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for entry in first:
            archive.addfile(entry)
        for name in ("storages", "tensors", "pickle"):
            body, entry = pickle.dumps(value if name == "pickle" else 0, protocol=2), tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))


def save_magic_tar(value: object, path: Path) -> None:
    """Write the same, the first entry's name beginning as torch.save's later form does."""
    save_tar(value, path, tarfile.TarInfo(bytes.fromhex("80028a0a6cfc9c46f9206aa850192e").decode("latin-1")))


def save_three(state: dict[str, torch.Tensor], folder: Path) -> None:
    save_zip(state, folder / "z.pth")
    save_legacy(state, folder / "l.pth")
    save_file(state, str(folder / "s.safetensors"))


@pytest.mark.accepts(
    "checkpoint",
    "a state dict in a `.pth` or `.pt`, new or legacy format, plain or under the key `model` or `state_dict`",
)
@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s, "epoch": 3}])
def test_a_checkpoint_is_read_and_unwrapped(
    tmp_path: Path, save: Callable[..., None], wrap: Callable[..., object]
) -> None:
    save(wrap(tiny()), tmp_path / "file.pth")
    state = read_state(tmp_path / "file.pth")
    assert list(state) == list(tiny())
    assert all(torch.equal(state[name], tensor) for name, tensor in tiny().items())


@pytest.mark.accepts("checkpoint", "`.safetensors`; `nn.Parameter` as values")
def test_safetensors_and_parameters_are_read(tmp_path: Path) -> None:
    save_file(tiny(), str(tmp_path / "file.safetensors"))
    assert {name: tuple(tensor.shape) for name, tensor in read_state(tmp_path / "file.safetensors").items()} == SHAPES
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "file.pt")
    assert not read_state(tmp_path / "file.pt")["w"].requires_grad


@pytest.mark.refuses("checkpoint", "a pickle that asks for more than tensors; nothing of it is run")
@pytest.mark.parametrize(
    ("save", "word"),
    [
        (save_zip, "mkdir"),
        (save_legacy, "mkdir"),
        (save_raw, "not made by torch.save"),
        (save_tar, "not made by torch.save"),
        (save_magic_tar, "tar archive"),
    ],
)
def test_a_malicious_pickle_executes_nothing(tmp_path: Path, save: Callable[..., None], word: str) -> None:
    save({"model": {"w": Bomb(tmp_path / "harm")}}, tmp_path / "evil.pth")
    with one_line(UsageError, "cannot use this file as weights", str(tmp_path / "evil.pth"), word):
        read_state(tmp_path / "evil.pth")
    assert not (tmp_path / "harm").exists()


def test_malicious_pickle_would_execute_if_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "harm")))  # noqa: S301  # to show that it would do harm
    assert (tmp_path / "harm").exists()


@pytest.mark.refuses("checkpoint", "a TorchScript archive")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")  # newer releases; the archive is what matters here
def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "scripted.pt"))
    with one_line(UsageError, "TorchScript archive, a program rather than weights", "state_dict()"):
        read_state(tmp_path / "scripted.pt")


def test_compressed_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(tiny(), tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole:
        contents = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in contents.items():
            packed.writestr(name, data)
    with one_line(UsageError, "compressed", str(tmp_path / "packed.pth")):
        read_state(tmp_path / "packed.pth")


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_checkpoint_with_memory_bomb_is_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    class Asks:
        def __reduce__(self) -> tuple[type, tuple[int]]:
            return bytearray, (50_000_000_000,)

    save({"model": tiny(), "more": Asks()}, tmp_path / "file.pth")
    with one_line(UsageError, "asks for", "bytearray", "nothing of it was run"):
        read_state(tmp_path / "file.pth")


@pytest.mark.refuses("checkpoint", "a truncated file")
@pytest.mark.parametrize("name", ["z.pth", "l.pth", "s.safetensors"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.98])
def test_truncated_file_gives_one_line_error(tmp_path: Path, name: str, part: float) -> None:
    save_three({"w": torch.zeros(10_000)}, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with one_line(UsageError, str(tmp_path / name), "again"):
        read_state(tmp_path / name)


@pytest.mark.refuses("checkpoint", "a Git LFS pointer, a web page, an archive of another kind")
@pytest.mark.parametrize(
    ("name", "body", "word"),
    [
        ("e.pth", b"", "empty"),
        ("e.safetensors", b"", "empty"),
        ("t.pth", b"just text", "not made by torch.save"),
        ("t.safetensors", b"just text", "not a whole safetensors file"),
        ("p.pth", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("w.safetensors", b"<!DOCTYPE html><html>", "web page"),
        ("z.pt", b"PK\x03\x04 and nothing more", "damaged"),
        ("n.onnx", b"anything", ".safetensors"),
    ],
)
def test_file_that_is_no_checkpoint_gives_one_line_error(tmp_path: Path, name: str, body: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(body)
    with one_line(UsageError, word, str(tmp_path / name)):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, ["no tensors"]),
        ({"model": {}}, ["no tensors"]),
        (torch.ones(2), ["holds a Tensor"]),
        ([torch.ones(2)], ["holds a list"]),
        ({"w": torch.ones(2), "epoch": 3}, ["entry epoch", "of type int"]),
        ({"w": torch.ones(2), "lr": 0.1}, ["state_dict() alone"]),  # torch 1.13.1 reads no floats under weights_only
        ({0: torch.ones(2)}, ["entry 0"]),
        ({"w": torch.ones(2).to_sparse()}, ["entry w", "sparse"]),
        ({"w": torch.ones(2, device="meta")}, ["entry w", "meta"]),
        ({"bad\nname\x1b[31m": 1}, ["bad\\nname\\x1b[31m"]),
        ({"model": tiny(), "args": Namespace(lr=0.1)}, ["argparse.Namespace", "nothing of it was run"]),
        (torch.nn.Linear(2, 2), ["Linear", "nothing of it was run"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_checkpoint_without_tensors_gives_one_line_error(tmp_path: Path, value: object, words: list[str]) -> None:
    torch.save(value, tmp_path / "file.pth")
    with one_line(UsageError, "cannot use this file as weights", *words):
        read_state(tmp_path / "file.pth")


def test_missing_file_gives_one_line_error(tmp_path: Path) -> None:
    with one_line(UsageError, "No such file"):
        read_state(tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["z.pth", "l.pth", "s.safetensors"])
def test_randomly_damaged_file_gives_one_line_error(tmp_path: Path, name: str) -> None:
    save_three(tiny(), tmp_path)
    whole, dice = (tmp_path / name).read_bytes(), random.Random(name)
    refused = 0
    for _ in range(150):
        mutant = bytearray(whole)
        for _ in range(dice.choice([1, 3, 30])):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        (tmp_path / name).write_bytes(mutant)
        try:
            read_state(tmp_path / name)
        except UsageError as error:
            assert str(error).isprintable(), repr(str(error))
            refused += 1
    assert refused > 30
