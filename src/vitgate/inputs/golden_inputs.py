"""The golden inputs of a user's case: the tensors that its pictures became, kept beside the file of the case.

Held against them, a changed resize, colour order, decoder or normalization is caught by itself, whatever the model
makes of it. With the tensors stands what was seen on the way: the sha256 of each file, and the pixels that Pillow read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from vitgate.files.archives import MOST_BYTES
from vitgate.files.atomic import check_place, replacing
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import digest, sha256_of
from vitgate.files.schemas import Strict
from vitgate.inputs.picture_files import load_picture
from vitgate.inputs.preprocess import read_arrays
from vitgate.spec.cases import cases_named, OwnCase, read_cases
from vitgate.spec.versions import packages

LIBRARIES = ("torch", "torchvision", "pillow", "timm", "transformers", "numpy")
"""Whose versions stand in a golden file: what pictures are read and resized with."""


class PictureFile(Strict):
    """The file of a picture, and what Pillow reads of it.

    `decoded` is the digest of its pixels as RGB, `mean` their mean for each channel, 0 to 255. Both are empty where
    Pillow cannot read the file, which a transform of the user's may.
    """

    sha256: str = ""
    decoded: str = ""
    mean: tuple[float, ...] = ()


class GoldenPicture(PictureFile):
    """A picture of a golden file, by its name."""

    name: str


class GoldenAbout(Strict):
    """What a golden file says of its tensors: pictures in their order, and the libraries that made them."""

    pictures: tuple[GoldenPicture, ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class GoldenInputs:
    """A golden file: what it says, and its tensors `x`, float32 [N, C, H, W]."""

    about: GoldenAbout
    x: npt.NDArray[np.float32]


def picture_file(path: Path) -> PictureFile:
    """Return digest and mean of the pixels that Pillow reads of a file, with the file's sha256."""
    try:
        rgb = np.asarray(load_picture(path))
    except UsageError:
        return PictureFile(sha256=sha256_of(path) if path.is_file() else "")
    return pixels_seen(rgb, sha256_of(path))


def pixels_seen(rgb: npt.NDArray[np.uint8], sha256: str = "") -> PictureFile:
    """Return digest and mean of pixels, uint8 [H, W, 3], that were read of a file with that sha256."""
    mean = tuple(round(float(value), 3) for value in rgb.reshape(-1, 3).mean(0))
    return PictureFile(sha256=sha256, decoded=digest(rgb.tobytes()), mean=mean)


def golden_path(case: OwnCase) -> Path:
    """Return where the case's golden inputs are; UsageError where the case names none."""
    if case.inputs is None:
        do = 'name a file for them in the file of cases: inputs = "golden.npz"'
        raise UsageError("it has no golden inputs", where=f"case {case.id}", do=do)
    return case.folder / case.inputs


def with_golden(names: Iterable[str]) -> list[OwnCase]:
    """Return the user's cases of these ids, or all that name golden inputs; UsageError where there are none."""
    cases = [read_cases()[name] for name in (cases_named(names) or read_cases())]
    own = [case for case in cases if isinstance(case, OwnCase)]
    found = [case for case in own if case.inputs is not None or names]
    if found:
        return found
    if own:
        golden_path(own[0])
    what = "golden inputs are for cases of yours, and none is named"
    raise UsageError(what, where="vitgate golden", do="name your file of cases with --case-file")


def golden_of(case: OwnCase) -> GoldenInputs:
    """Return what the installed libraries make of the case's pictures.

    UsageError for a picture or a transform that cannot be used, and for tensors that are no numbers or too large.
    """
    from vitgate.inputs.user_model import own_pictures

    if len(case.picture) * int(np.prod(case.input)) * 4 > MOST_BYTES:
        what = f"its {len(case.picture)} tensors take more than {MOST_BYTES >> 20} MB"
        raise UsageError(what, where=f"case {case.id}", do="give it fewer pictures")
    x = own_pictures(case)
    if strange := [name for name, each in zip(case.picture_names, x, strict=True) if not np.isfinite(each).all()]:
        what = f"the tensor of {strange[0]} holds NaN or infinity"
        raise UsageError(what, where=f"case {case.id}", do="mend the transform")
    files = [picture_file(case.folder / row.file) for row in case.picture]
    rows = [GoldenPicture(name=name, **dict(file)) for name, file in zip(case.picture_names, files, strict=True)]
    versions = {name: version for name, version in packages().items() if name in LIBRARIES}
    return GoldenInputs(GoldenAbout(pictures=tuple(rows), versions=versions), x)


def write_golden(case: OwnCase, *, force: bool = False) -> GoldenInputs:
    """Write the case's golden inputs, whole or not at all, and return them.

    Raises:
        UsageError: As of `golden_path` and `golden_of`, and for a file that is there unless `force`.
        MachineError: The file cannot be written.
    """
    path = golden_path(case)
    if path.exists() and not force:
        do = "see what changed with `vitgate check`, and accept it with --force"
        raise UsageError("golden inputs are there already", where=path, do=do)
    golden = golden_of(case)
    about = np.frombuffer(golden.about.model_dump_json().encode(), np.uint8)
    try:
        check_place(path)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, x=golden.x, about=about)
    except OSError as error:
        do = "make its folder writable, or name another file in the file of cases"
        raise MachineError(f"cannot write golden inputs: {error.strerror}", where=path, do=do) from None
    return golden


def read_golden(case: OwnCase) -> GoldenInputs:
    """Return the case's golden inputs; UsageError for a file that is missing, damaged, or of another form or case."""
    path = golden_path(case)
    if not path.is_file():
        raise _unusable(case, "there are no golden inputs", "write them with `vitgate golden`")
    arrays = read_arrays(path, {"x": "float32", "about": "uint8"})
    try:
        data: Any = json.loads(arrays["about"].tobytes())
        about = GoldenAbout.model_validate(data)
    except (ValueError, RecursionError, ValidationError):
        raise _unusable(case, "not golden inputs: what it says of its pictures cannot be read") from None
    x, wanted = arrays["x"], (len(case.picture), *case.input)
    if (names := [row.name for row in about.pictures]) != list(case.picture_names) or len(x.shape) != 4:
        raise _unusable(case, f"golden inputs of other pictures: {', '.join(names[:5]) or 'none'}")
    if x.shape != wanted:
        raise _unusable(case, f"golden inputs of shape {list(x.shape)}, and the case's are {list(wanted)}")
    return GoldenInputs(about, x)


def check_files(case: OwnCase, golden: GoldenAbout, now: list[PictureFile]) -> None:
    """UsageError where a picture's file is another one than when the golden inputs were written.

    Args:
        case: Whose pictures.
        golden: What its golden file says.
        now: The pictures' files as they are, in the same order.
    """
    for row, file in zip(golden.pictures, now, strict=True):
        if row.sha256 != file.sha256:
            raise _unusable(case, f"golden inputs of other pictures: the file of {row.name} has changed")


def _unusable(case: OwnCase, what: str, do: str = "") -> UsageError:
    again = "restore it, or write it again with `vitgate golden --force`"
    return UsageError(what, where=golden_path(case), do=do or again)
