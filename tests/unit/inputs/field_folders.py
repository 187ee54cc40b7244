"""Field folders that the tests write: files, their rows, a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vitgate.files.hashing import sha256_of
from vitgate.inputs.field_files import FieldFile, FieldManifest, MANIFEST

X = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
LOGITS = np.array([[1.0, 2.0], [4.0, 3.0]], dtype=np.float32)


def row(folder: Path, name: str = "a.pt", **fields: Any) -> FieldFile:
    """Write a file and return its row."""
    path = folder / name
    path.write_bytes(b"content of " + name.encode())
    whole = {"id": name, "file": name, "runtime": "torchscript", "bytes": path.stat().st_size}
    return FieldFile(**{**whole, "sha256": sha256_of(path), **fields})


def write(folder: Path, *rows: object, **fields: Any) -> None:
    """Write a manifest of these rows."""
    whole = {"schema_version": 1, "maker": "2.12.1", "machine": "x86_64", "files": rows}
    text = FieldManifest(**{**whole, **fields}).model_dump_json()
    (folder / MANIFEST).write_text(text, encoding="utf-8")
