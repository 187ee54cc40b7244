"""Give back to the system what this process has freed.

Exporting and quantizing a model copies it several times. glibc keeps freed pieces of a model's size for later, and one
process a worker keeps as much as the largest step took, as long as it lives.
"""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

_LARGE = 16 << 20
"""Bytes of a file from which on freeing counts: looking at all objects of a process takes up to half a second."""


def release_free_memory(file: Path) -> None:
    """Collect garbage, and let the C library return free memory to the system where it can (glibc's `malloc_trim`).

    Args:
        file: What was worked on; after a small one nothing is done.
    """
    if file.stat().st_size < _LARGE:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
