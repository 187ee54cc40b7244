"""Weights must arrive whole, from where the user asked, executing nothing; everything else is one clear line."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import sys
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.checkpoint_files import read_state
from vitgate.inputs.weights import check_state, Checkpoint, choose_source, find_pretrained

from .server import BODY, cached, DIGEST, one_line, QUICK, Server, SRC

# ---------------------------------------------------------------------------------------------------------------------
# The choice of a source


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


# ---------------------------------------------------------------------------------------------------------------------
# Reading


class Bomb:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (str(self.target),))


def tiny() -> dict[str, torch.Tensor]:
    return {"pos": torch.arange(6.0).reshape(1, 2, 3), "head.weight": torch.ones(4, 3), "head.bias": torch.zeros(4)}


SHAPES = {name: tuple(tensor.shape) for name, tensor in tiny().items()}


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


# ---------------------------------------------------------------------------------------------------------------------
# Comparing with the model


def check(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    own = {name: torch.empty(shape, device="meta") for name, shape in SHAPES.items()}
    return check_state(state, own, where="mine.pth", model="tiny_vit")


def test_matching_state_is_ordered_as_in_model() -> None:
    given = tiny()
    state = check(dict(reversed(list(given.items()))))
    assert list(state) == list(SHAPES)
    assert all(state[name].data_ptr() == given[name].data_ptr() for name in SHAPES)  # not copied


@pytest.mark.accepts("checkpoint", "weights in float16, bfloat16 or float64: judged as float32")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_dtypes_become_float32(dtype: torch.dtype) -> None:
    state = check({name: tensor.to(dtype) for name, tensor in tiny().items()})
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert torch.equal(state["pos"], tiny()["pos"])


@pytest.mark.refuses("checkpoint", "weights of another architecture; the first differences are named")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pos": None}, ["1 missing: pos", "of 3 parameters"]),
        ({"fc_norm.weight": torch.ones(3)}, ["1 extra: fc_norm.weight"]),
        ({"pos": None, "position": torch.ones(2)}, ["1 missing: pos; 1 extra: position"]),
        ({f"extra.{n}": torch.ones(1) for n in range(5)}, ["5 extra: extra.0, extra.1, extra.2, …"]),
        ({"pos": torch.ones(1, 2, 5)}, ["1 of 3 shapes", "pos is [1, 2, 5] instead of [1, 2, 3]"]),
        ({"pos": torch.ones(6)}, ["pos is [6] instead of [1, 2, 3]"]),
    ],
    ids=["missing", "extra", "both", "many", "shape", "rank"],
)
def test_another_architecture_is_named_with_its_difference(
    change: dict[str, torch.Tensor | None], words: list[str]
) -> None:
    state = {name: tensor for name, tensor in {**tiny(), **change}.items() if tensor is not None}
    with one_line(UsageError, "not those of tiny_vit", "mine.pth", *words):
        check(state)


@pytest.mark.refuses("checkpoint", "NaN or Inf among the weights")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_weight_names_its_parameter(value: float) -> None:
    state = tiny()
    state["head.weight"][1, 2] = value
    with one_line(UsageError, "parameter head.weight has 1 of 12 values NaN or infinite"):
        check(state)


def test_a_double_too_large_for_float32_counts_as_infinite() -> None:
    with one_line(UsageError, "head.bias has 4 of 4"):
        check({**tiny(), "head.bias": torch.full((4,), 1e300, dtype=torch.float64)})


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_integer_weights_are_refused(dtype: torch.dtype) -> None:
    with one_line(UsageError, "head.bias is torch", "unquantized"):
        check({**tiny(), "head.bias": torch.zeros(4, dtype=dtype)})


# ---------------------------------------------------------------------------------------------------------------------
# Layering


def test_the_modules_import_without_torch() -> None:
    code = "import sys, vitgate.inputs.weights, vitgate.inputs.download; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@pytest.mark.accepts("checkpoint", "buffers of integers, booleans or complex numbers")
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.complex64])
def test_integer_buffer_is_unchanged(dtype: torch.dtype) -> None:
    own = {"weight": torch.empty(2, device="meta"), "count": torch.empty(3, dtype=dtype, device="meta")}
    state = {"weight": torch.ones(2, dtype=torch.float16), "count": torch.tensor([0, 1, 1]).to(dtype)}

    found = check_state(state, own, where="mine.pth")

    assert found["weight"].dtype == torch.float32
    assert found["count"].dtype == dtype and torch.equal(found["count"], state["count"])
