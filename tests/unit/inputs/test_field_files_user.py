"""A user's own folder of files, with or without `field.toml`: what is read, assumed, passed over and refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.inputs.field_files import located, OWN, passed_over, read_field, seen

from ..conftest import Refuses
from .field_folders import LOGITS, X

# ---- what field.toml says, and what is assumed without it


@pytest.mark.accepts("saved file (`--field`)", "a file about which nothing is recorded: it loads, runs and repeats")
def test_user_files_without_field_toml_get_defaults(folder: Path) -> None:
    for name in ("phone.ptl", "a b(1).pt", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "folder.pt").mkdir()
    (folder / "gone.pt").symlink_to(folder / "nowhere")

    found = read_field(folder)

    assert [(item.row.id, item.row.file, item.row.runtime, item.maker, item.cell) for item in found] == [
        ("own-a_b_1_.pt", "a b(1).pt", "torchscript", "", None),
        ("own-phone.ptl", "phone.ptl", "lite_interpreter", "", None),
    ]
    default = seen(found[1])
    assert default.x.shape == (1, 3, 224, 224)
    assert default.x.dtype == np.float32
    assert default.logits is None
    assert np.array_equal(default.x, seen(found[0]).x)  # the same numbers everywhere, for two PyTorch to compare
    assert located(found[1], folder) == folder / "phone.ptl"


TOLD = """
[[file]]
file = "phone.ptl"
x = "x.npy"
logits = "logits.npy"
engine = "qnnpack"
runtime = "torchscript"
least_sqnr_db = 31.5

[[file]]
file = "small.pt"
input = [3, 1, 8, 8]
"""


@pytest.mark.accepts("saved file (`--field`)", "inputs, logits, engine and bound in `field.toml`")
def test_user_files_with_field_toml_get_its_values(folder: Path) -> None:
    for name in ("phone.ptl", "small.pt"):
        (folder / name).write_bytes(b"x")
    (folder / OWN).write_text(TOLD, encoding="utf-8")
    np.save(folder / "x.npy", X.astype(np.float64))
    np.save(folder / "logits.npy", LOGITS)

    phone, small = read_field(folder)

    found = seen(phone)
    assert (phone.row.engine, phone.row.runtime, phone.row.least_sqnr_db) == ("qnnpack", "torchscript", 31.5)
    assert np.array_equal(found.x, X)
    assert found.x.dtype == np.float32
    assert found.logits is not None
    assert np.array_equal(found.logits, LOGITS)
    assert (found.least_sqnr_db, found.bound) == (31.5, "field.toml: least_sqnr_db")
    assert seen(small).x.shape == (3, 1, 8, 8)
    assert small.row.engine is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ('[[file]]\nfile = "phon.ptl"', ("no file 'phon.ptl' here", "mend its name")),
        ('[[file]]\nfile = "phone.ptl"\n[[file]]\nfile = "phone.ptl"', ("duplicate name 'phone.ptl'",)),
        ('[[file]]\nfile = "phone.ptl"\ninptu = [1]', ("inptu",)),
        ('[[file]]\nfile = "phone.ptl"\nengine = "cuda"', ("engine",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = []', ("must be an image shape",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = [1, -3, 224, 224]', ("must be an image shape",)),
        (f'[[file]]\nfile = "phone.ptl"\ninput = {[1] * 33}', ("must be an image shape",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = [1000, 1000, 1000]', ("must be an image shape",)),
        ("[[file]", ("cannot read this file",)),
        ("file = 3", ("file",)),
    ],
)
def test_invalid_field_toml_is_refused(folder: Path, refuses: Refuses, told: str, words: tuple[str, ...]) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(told, encoding="utf-8")

    refuses(lambda: read_field(folder), folder / OWN, *words)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (lambda path: None, ("not a readable array",)),
        (lambda path: path.write_bytes(b""), ("not a readable array",)),
        (lambda path: path.write_bytes(b"text"), ("not a readable array",)),
        (lambda path: np.savez(path.open("wb"), x=X), ("not a readable array",)),
        (lambda path: np.save(path, np.array([{}], dtype=object)), ("not a readable array",)),
        (lambda path: np.save(path, np.array(["a"])), ("not a readable array",)),
        (lambda path: np.save(path, np.float32(1.0)), ("an array of shape ()",)),
        (lambda path: np.save(path, X[:0]), ("an array of shape (0, 1, 2, 2)",)),
    ],
)
@pytest.mark.parametrize("key", ["x", "logits"])
def test_unreadable_user_arrays_are_refused(
    folder: Path, refuses: Refuses, save: Callable[..., Any], words: tuple[str], key: str
) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(f'[[file]]\nfile = "phone.ptl"\n{key} = "array.npy"', encoding="utf-8")
    save(folder / "array.npy")
    (item,) = read_field(folder)

    refuses(lambda: seen(item), folder / "array.npy", *words)


@pytest.mark.parametrize("name", ["../x.npy", "/x.npy", "sub/x.npy"])
def test_user_arrays_outside_folder_are_refused(folder: Path, refuses: Refuses, name: str) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(f'[[file]]\nfile = "phone.ptl"\nx = "{name}"', encoding="utf-8")

    refuses(lambda: seen(read_field(folder)[0]), "is not a plain file name")


@pytest.mark.refuses("saved file (`--field`)", "a folder without such files")
def test_folders_without_model_files_are_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_field(folder), folder, "no .pt, .ptl, .pt2, .pte, .onnx file here")
    (folder / "model.tflite").touch()
    refuses(lambda: read_field(folder), "no .pt, .ptl, .pt2, .pte, .onnx file here")
    refuses(lambda: read_field(tmp_path / "missing"), "no such folder of artifacts", "--field")
    refuses(lambda: read_field(folder / "model.tflite"), "no such folder of artifacts")


def test_file_names_with_equal_ids_are_refused(folder: Path, refuses: Refuses) -> None:
    for name in ("a b.pt", "a_b.pt"):
        (folder / name).write_bytes(b"x")

    refuses(lambda: read_field(folder), "duplicate name 'own-a_b.pt'")


def test_unreadable_folder_is_refused(folder: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("vitgate.inputs.field_files.sha256_of", denied)
    (folder / "a.pt").write_bytes(b"x")

    refuses(lambda: read_field(folder), "cannot read this folder: Permission denied", folder / "a.pt")


# ---- what a user's folder may hold


def _archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"{path.stem}/{name}", b"")


@pytest.mark.accepts(
    "saved file (`--field`)", "`.pt`, `.pth`, `.ptl`, in capitals too, and any file that `field.toml` names"
)
def test_suffix_is_case_insensitive_and_named_files_are_read(tmp_path: Path) -> None:
    for name in ("UPPER.PT", "phone.PTL", "plain.torchscript", "notes.md"):
        (tmp_path / name).write_bytes(b"anything")
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "plain.torchscript"\n', encoding="utf-8")

    found = {item.row.file: item.row.runtime for item in read_field(tmp_path)}

    assert found == {"UPPER.PT": "torchscript", "phone.PTL": "lite_interpreter", "plain.torchscript": "torchscript"}
    assert passed_over(tmp_path) == ["notes.md"]


def test_arrays_named_in_field_toml_are_not_reported_as_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"anything")
    np.save(tmp_path / "x.npy", np.zeros((1, 3), np.float32))
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "a.pt"\nx = "x.npy"\n', encoding="utf-8")

    assert passed_over(tmp_path) == []


@pytest.mark.refuses(
    "saved file (`--field`)", "a full TorchScript module named `.ptl`, a state dict, an archive of another kind"
)
@pytest.mark.parametrize(
    ("name", "entries", "words"),
    [
        (
            "full.ptl",
            ("data.pkl", "constants.pkl", "code/__torch__.py"),
            ("no bytecode for the lite interpreter", ".pt"),
        ),
        ("state.pt", ("data.pkl", "data/0"), ("a checkpoint of torch.save", "torch.jit.script")),
    ],
)
def test_file_of_unsupported_format_is_named(
    name: str, entries: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, refuses: Refuses
) -> None:
    _archive(tmp_path / name, *entries)

    refuses(lambda: read_field(tmp_path), *words)


@pytest.mark.refuses("saved file (`--field`)", "a Git LFS pointer")
def test_git_lfs_pointer_is_named(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "phone.ptl").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")

    refuses(lambda: read_field(tmp_path), "a Git LFS pointer", "git lfs pull")


@pytest.mark.accepts(
    "saved file (`--field`)", "no `input`: [1, 3, 224, 224] is assumed, which is said where the file fails"
)
@pytest.mark.parametrize(("line", "assumed"), [("", True), ("input = [1, 3, 8, 8]\n", False)])
def test_assumed_input_shape_is_marked(line: str, assumed: bool, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"anything")
    (tmp_path / "field.toml").write_text(f'[[file]]\nfile = "a.pt"\n{line}', encoding="utf-8")

    assert seen(read_field(tmp_path)[0]).assumed is assumed
