"""Digests of bytes, files and plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def key_of(parts: Mapping[str, object]) -> str:
    """Return 32 hex digits that change with any of the parts (plain JSON values)."""
    return digest(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode())


def digest(data: bytes) -> str:
    """Return the blake2b digest of these bytes, 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """Return the blake2b digest of a file, 64 hex digits, reading it in pieces of 4 MiB."""
    return _read_into(hashlib.blake2b(digest_size=32), path)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, 64 hex digits: what others publish of theirs."""
    return _read_into(hashlib.sha256(), path)


def _read_into(total: Any, path: Path) -> str:
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            total.update(piece)
    return str(total.hexdigest())
