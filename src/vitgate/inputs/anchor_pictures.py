"""What the float model itself is held against: its logits of made-up pictures, committed for the weights that we have.

Every other number compares two forms of the model, and a fault that both have in common does not show there. The
pictures are made of integers, so that neither a picture library nor a random generator can change them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from vitgate.inputs.preprocess import read_arrays
from vitgate.spec.cases import Case

PICTURES = 2
_PRIME = 2_654_435_761  # Knuth's multiplicative hash: neighbouring numbers fall far apart


def made_up_pictures(case: Case) -> npt.NDArray[np.float32]:
    """Return `PICTURES` pictures of noise, the same everywhere: float32 [N, C, H, W], -1 to 1 in steps of 1/128."""
    shape = (PICTURES, *case.input)
    numbers = np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(_PRIME) >> np.uint64(16) & np.uint64(0xFF)
    return (numbers.astype(np.float32) / np.float32(128) - np.float32(1)).reshape(shape)


def committed_logits(case: Case) -> npt.NDArray[np.float32]:
    """Return the committed logits, float32 [N, classes]; UsageError where the file cannot be read."""
    return read_arrays(_path(case), {"logits": "float32"})["logits"]


def _path(case: Case) -> Path:
    assert case.anchor is not None
    return case.folder / case.anchor


def commit_logits(case: Case, logits: npt.NDArray[np.float32]) -> None:
    """Write what `committed_logits` reads."""
    _path(case).parent.mkdir(exist_ok=True)
    np.savez_compressed(_path(case), logits=logits)
