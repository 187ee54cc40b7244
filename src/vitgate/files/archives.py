"""Archives and arrays from elsewhere: never unpickled, and never unfolded beyond what a run can hold.

Some kB of an archive can unfold to GB, and a header can claim any size. Here each is measured before it is believed.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

MOST_BYTES = 1 << 28  # of arrays in memory: 445 pictures of DeiT-Base
_MOST_ENTRIES = 100_000  # of a zip archive: Python takes 600 bytes for each
_ENTRY = b"PK\x01\x02"  # what each entry of the directory begins with
_AT_ONCE = 1 << 20  # bytes; a header of a tar archive that is longer is none
_CODE = 1 << 25  # bytes that the code of a model may have beyond what it takes compressed: DeiT-Base's has 0.6 MB
_OVERHEAD = 4096  # bytes of headers and padding for a member of a tar archive

# What NumPy and the modules below it raise for a file that is cut off, damaged, no array, or larger than the memory.
_NO_ARRAY = (
    OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError, ArithmeticError,
    SyntaxError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip


def read_npz(path: Path, names: Collection[str] = ()) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an `.npz` file, or those named; ValueError where they cannot be had, or are too large."""
    try:
        with path.open("rb") as file:
            if sum(entry.file_size for entry in zip_entries(file)) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES >> 20} MB of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                found = {name: stored[name] for name in names or stored.files}
        if strangers := [name for name, array in found.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{strangers[0]} is not an array")  # NumPy gives the bytes of what is none
        return found
    except _NO_ARRAY as error:
        raise ValueError(f"{error or type(error).__name__}") from None


def read_npy(path: Path) -> npt.NDArray[np.float32]:
    """Return the numbers of an `.npy` file as float32; ValueError where it is anything else, or too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MB")
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or array.size * 4 > MOST_BYTES:
            raise ValueError("it holds something else than numbers")
        with np.errstate(over="ignore"):  # infinite then, which is what the file says in float32
            return np.asarray(array, dtype=np.float32)
    except _NO_ARRAY as error:
        raise ValueError(f"{error or type(error).__name__}") from None


def zip_entries(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """Return the entries of a zip archive; ValueError for more than any of ours has, BadZipFile for no archive."""
    count, before = 0, b""
    while (piece := file.read(_AT_ONCE)) and count <= _MOST_ENTRIES:
        count += (before + piece).count(_ENTRY)
        before = piece[-len(_ENTRY) + 1 :]
    if count > _MOST_ENTRIES:
        raise ValueError(f"more than {_MOST_ENTRIES} entries")
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (OSError, NotImplementedError) as error:  # a directory before the file's beginning, a version of its own
        raise zipfile.BadZipFile(f"{error}") from None


def pytorch_entries(path: Path) -> list[zipfile.ZipInfo]:
    """Return the entries of a file of PyTorch, which compresses nothing but code; ValueError for one that unfolds."""
    with path.open("rb") as file:
        entries = zip_entries(file)
        whole = file.seek(0, io.SEEK_END)
    if sum(entry.file_size for entry in entries) > whole + _CODE:
        raise ValueError("its entries are larger than the file")
    return entries


def measured_tar(stream: io.BufferedIOBase, sizes: Collection[int]) -> tarfile.TarFile:
    """Open an archive whose members have these sizes, in bytes; reading raises TarError where it claims more."""
    return tarfile.open(fileobj=cast(BinaryIO, _Measured(stream, sizes)), mode="r:")


class _Measured(io.RawIOBase):
    """A stream for `tarfile` that gives out no more than the members can need, and no header of more than 1 MB."""

    def __init__(self, stream: io.BufferedIOBase, sizes: Collection[int]) -> None:
        """Wrap the stream of an archive whose members have these sizes, in bytes."""
        self._stream = stream
        self._left = sum(sizes) + _OVERHEAD * len(sizes) + _AT_ONCE

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; TarError for more than can be in there."""
        if not 0 <= size <= _AT_ONCE or size > self._left:
            raise tarfile.ReadError("more in it than its manifest says")
        self._left -= size
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to that place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()
