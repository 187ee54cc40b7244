"""What a lite file requires of the runtime that loads it: the version of its bytecode and the operators it calls.

A phone's runtime is often built with the operators of one model alone, so that one more operator means a new build.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitgate.files.archives import pytorch_entries
from vitgate.inputs.checkpoint_files import check_pickle


@dataclass(frozen=True)
class LiteInfo:
    """`operators` are sorted names with overloads, `aten::add.Tensor`."""

    bytecode_version: int
    operators: tuple[str, ...]


def lite_info(path: Path) -> LiteInfo:
    """Read both from a `.ptl` file under the engine that is set; nothing of the model runs.

    ValueError or BadZipFile for a damaged file: PyTorch's own reader would allocate whatever size a pickle names.
    RuntimeError where the lite loader of this PyTorch cannot read the file, as 2.13 and later with XNNPACK's objects or
    any with an Enum attribute of the model.
    """
    import torch.jit.mobile

    _check(path)
    mobile: Any = torch.jit.mobile
    version = int(mobile._get_model_bytecode_version(str(path)))
    return LiteInfo(version, tuple(sorted(mobile._get_model_ops_and_info(str(path)))))


def _check(path: Path) -> None:
    pickles = [entry for entry in pytorch_entries(path) if entry.filename.endswith(".pkl")]
    with zipfile.ZipFile(path) as archive:
        for entry in pickles:
            check_pickle(archive.read(entry))
