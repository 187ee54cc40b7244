"""Digests of bytes, files and plain values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitgate.files.errors import MachineError, UsageError


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


def verified(path: Path, sha256: str) -> bool:
    """Whether the file exists; its sha256 must then begin with these 8 to 64 lower-case hexadecimal digits.

    Raises:
        UsageError: The file has another digest, or the digits are not such.
        MachineError: The file cannot be read.
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", sha256):
        raise UsageError(
            f"{sha256!r} is not a sha256 or its beginning", where=path, do="give 8 to 64 lower-case hex digits"
        )
    try:
        found = sha256_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise MachineError(
            f"cannot read the cached file: {error.strerror}", where=path, do="make it readable"
        ) from None
    if not found.startswith(sha256):
        what = f"the cached file is damaged: its sha256 begins with {found[: len(sha256)]}, not {sha256}"
        raise UsageError(what, where=path, do="delete it, so that it is fetched anew")
    return True
