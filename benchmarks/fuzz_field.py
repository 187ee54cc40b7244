"""Field folders: their manifest, arrays and archive, and a user's own with its `field.toml`."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from random import Random
from typing import Any

import fuzz_mutations as spoil
import numpy as np
from fuzz_form import json_reader, Reader, tree_of, tree_reader

from vitgate.files.hashing import sha256_of
from vitgate.inputs.field_files import FieldFile, FieldManifest, located, read_field, seen


def own_folder(folder: Path) -> Reader:
    """A user's `field.toml`, in a folder with two files."""
    for name in ("a.pt", "b.ptl"):
        (folder / name).write_bytes(b"content")
    np.save(folder / "x.npy", np.ones((2, 1, 2, 2), np.float32))
    text = """file = [{file = "a.pt", input = [1, 3, 8, 8], engine = "qnnpack", least_sqnr_db = 25.0},
      {file = "b.ptl", x = "x.npy", logits = "x.npy", runtime = "torchscript"}]"""
    reader = tree_reader(folder, tree_of(text), lambda path: _items(path.parent))
    return Reader(folder / "field.toml", reader.sound, reader.case, reader.read)


def _items(folder: Path) -> None:
    try:
        for item in read_field(folder):
            seen(item)
            located(item, folder / "session")
    finally:
        shutil.rmtree(folder / "session", ignore_errors=True)


def _manifest(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a sound manifest and its files, which are not there yet."""
    names = ("digits-qnnpack-lite.ptl", "own-b.pt")
    files = {name: Random(name).randbytes(300) for name in names}  # noqa: S311  # the same each time
    rows = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        cell = {"case": "digits", "engine": "qnnpack", "variant": "lite"} if "digits" in name else {}
        runtime = "lite_interpreter" if name.endswith(".ptl") else "torchscript"
        rows.append(
            FieldFile(id=name, file=name, runtime=runtime, bytes=len(data), sha256=sha256_of(folder / name), **cell)  # type: ignore[arg-type]  # of the right names
        )
    whole = FieldManifest(schema_version=1, maker="2.12.1", machine="x86_64", files=tuple(rows))
    return json.loads(whole.model_dump_json()), files


def _seen(names: list[str]) -> bytes:
    x, logits = np.ones((2, 1, 2, 2), np.float32), np.ones((2, 3), np.float32)
    arrays = {"x/digits": x, "original/digits": logits, **{f"x/{name}": x for name in names[1:]}}
    target = io.BytesIO()
    np.savez_compressed(target, **arrays, **{f"logits/{name}": logits for name in names})  # type: ignore[arg-type]  # NumPy's stub
    return target.getvalue()


def manifest(folder: Path) -> Reader:
    """A `field.json`, with its files and arrays beside it."""
    tree, files = _manifest(folder)
    (folder / "seen.npz").write_bytes(_seen(list(files)))
    return json_reader(folder, "field.json", tree, lambda path: _items(path.parent))


def arrays(folder: Path) -> Reader:
    """A `seen.npz`."""
    tree, files = _manifest(folder)
    (folder / "field.json").write_text(json.dumps(tree), encoding="utf-8")
    sound = _seen(list(files))
    entries = spoil.zip_entries(sound)
    return Reader(
        folder / "seen.npz",
        [sound],
        lambda rng: spoil.in_bytes(rng, sound) if rng.random() < 0.2 else spoil.zip_file(rng, entries, spoil.npy_file),
        lambda path: [seen(item) for item in read_field(path.parent)],
    )


def array(folder: Path) -> Reader:
    """A user's own `.npy`."""
    target = io.BytesIO()
    np.save(target, np.ones((2, 1, 2, 2), np.float32))
    sound = target.getvalue()
    (folder / "a.pt").write_bytes(b"content")
    (folder / "field.toml").write_text('[[file]]\nfile = "a.pt"\nx = "x.npy"\n', encoding="utf-8")
    read = lambda path: [seen(item) for item in read_field(path.parent)]  # noqa: E731  # as short as the others
    return Reader(folder / "x.npy", [sound], lambda rng: spoil.npy_file(rng, sound), read)


def archive(folder: Path) -> Reader:
    """A `files.tar.xz`."""
    tree, files = _manifest(folder)
    for name in files:
        (folder / name).unlink()
    (folder / "field.json").write_text(json.dumps({**tree, "archive": "files.tar.xz"}), encoding="utf-8")
    members = list(files.items())
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as made:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))

    def read(path: Path) -> None:
        try:
            for item in read_field(path.parent):
                located(item, path.parent / "session")
        finally:
            shutil.rmtree(path.parent / "session", ignore_errors=True)

    return Reader(folder / "files.tar.xz", [target.getvalue()], lambda rng: spoil.tar_file(rng, members), read)
