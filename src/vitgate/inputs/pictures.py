"""The inputs of a case as arrays: reference pictures with their labels, and the held-out pictures of its accuracy.

The anchor pictures are what the float model itself is held against: its logits of them are committed for the weights
that the suite has. Every other number compares two forms of the model, and a fault that both share does not show
there. They are made of integers, so that neither a picture library nor a random generator can change them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from vitgate.files.schemas import fixtures_folder, InnerPath, read_model, Strict
from vitgate.inputs.golden_inputs import picture_file
from vitgate.inputs.preprocess import read_arrays
from vitgate.spec.cases import Case, OwnCase
from vitgate.spec.outcome import Evidence

EMBEDDED = 2
"""How many of the embedded pictures are run beside the reference; all have a part in the stand-in's head.

Few are enough, since int8's error is computed and each layer is looked at.
"""

REFERENCE_LABEL = 269  # "timber wolf, grey wolf, gray wolf, Canis lupus" in the tutorial's list of classes


class PictureRow(Strict):
    """An embedded picture: its file, its label under the stand-in weights, what it shows."""

    file: InnerPath
    label: int
    name: str
    sha256: str
    margin: float


class Sizes(Strict):
    """What `vitgate.inputs.standin.vit_shapes` needs to know of the model."""

    embed_dim: int
    depth: int
    patch: int
    image: int
    classes: int
    distilled: bool = False


class StandinFile(Strict):
    """The whole of a stand-in's TOML file: generator version, pinned digest, head file, embedded pictures."""

    model: str
    generator: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    head: InnerPath
    shapes: Sizes
    fallback_reference: InnerPath
    picture: list[PictureRow]


def read_standin(case: Case) -> StandinFile:
    """Return the case's stand-in description."""
    assert case.standin is not None
    return read_model(StandinFile, case.folder / case.standin)


def pictures_of(case: Case, reference: Evidence) -> Evidence:
    """Return `x` float32 [N, C, H, W], `labels` int64 [N], and where there are held-out pictures their `heldout_*`.

    The first picture is the reference picture that `vitgate.inputs.sources` found; its embedded stand-in stays out.
    A label that nobody gave is -1. Values: the pictures' names, their `files` as `picture_file` sees them where they
    have any, how many of the first have a label that published weights are `known` to give, and source, sha256 and note
    of the reference. Of a model that decides several labels `decisions` has for each picture those that hold, and
    whether these are all.
    """
    about = {name: reference.values[name] for name in ("source", "sha256", "note")}
    if isinstance(case, OwnCase):
        return _own(case, about)
    if case.preprocessing == "digits":
        return _digits(case, about)
    return _imagenet(case, reference, about)


def picture_of(case: Case, path: Path) -> npt.NDArray[np.float32]:
    """Return one picture of a file as float32 [C, H, W], read as the case's own are; UsageError where it cannot be."""
    if isinstance(case, OwnCase):
        from vitgate.inputs.user_model import own_picture

        return own_picture(case, path)
    from vitgate.inputs.preprocess import preprocess

    return np.asarray(preprocess(path, case.input[-1], way=case.preprocessing)[0].numpy(), np.float32)


CALIBRATION = 100
"""How many of the held-out pictures calibrate where the case names none for that."""


def calibration_pictures(case: Case, shown: Evidence) -> npt.NDArray[np.float32]:
    """Return the pictures by which static int8 chooses its scales, float32 [N, C, H, W].

    Those that a user's case names for that; otherwise the first `CALIBRATION` held-out pictures, or where there are
    none those that the case is judged by.

    Args:
        case: The case.
        shown: Its pictures, as `pictures_of` returns them.

    Raises:
        UsageError: A file is missing or no picture, or a folder has none.
    """
    if isinstance(case, OwnCase) and case.calibration:
        from vitgate.inputs.picture_folder import files_of

        paths = [path for name in case.calibration for path in files_of(case.folder / name)]
        return np.stack([picture_of(case, path) for path in paths])
    held: npt.NDArray[np.float32] = shown.arrays.get("heldout_x", shown.arrays["x"])[:CALIBRATION]
    return held


def _own(case: OwnCase, about: dict[str, str]) -> Evidence:
    from vitgate.inputs.user_model import own_pictures

    names = list(case.picture_names)
    files = [dict(picture_file(case.folder / row.file)) for row in case.picture]
    labels = np.array([-1 if row.label is None else row.label for row in case.picture], dtype=np.int64)
    every = [[[row.label] if row.labels is None else [*row.labels], row.labels is not None] for row in case.picture]
    held = {"decisions": every} if case.returns.kind == "multilabel" else {}
    return Evidence({"names": names, "files": files, **held, **about}, {"x": own_pictures(case), "labels": labels})


def picture_paths(case: Case, reference: Evidence) -> list[Path]:
    """Return the files of the pictures that `pictures_of` returns, in their order; none are there of digits."""
    if isinstance(case, OwnCase):
        return [case.folder / row.file for row in case.picture]
    further = [Path(row["path"]) for row in reference.values.get("further", [])]
    embedded = [fixtures_folder() / row.file for row in _embedded(case)]
    return [Path(reference.values["path"]), *further, *embedded]


def _embedded(case: Case) -> list[PictureRow]:
    standin = read_standin(case)
    return [row for row in standin.picture if row.file != standin.fallback_reference][:EMBEDDED]


def _imagenet(case: Case, reference: Evidence, about: dict[str, str]) -> Evidence:
    label = case.reference.label if case.reference else REFERENCE_LABEL
    known = case.reference is None or about["source"] != "embedded"
    embedded, further, paths = _embedded(case), reference.values.get("further", []), picture_paths(case, reference)
    x = np.stack([picture_of(case, path) for path in paths])
    files = [dict(picture_file(path)) for path in paths]
    labels = np.array([label, *(row["label"] for row in (*further, *map(vars, embedded)))], dtype=np.int64)
    names = ["reference", *(row["name"] for row in further), *(Path(row.file).stem for row in embedded)]
    values = {"names": names, "files": files, "known": int(known) + len(further)}
    return Evidence({**values, **about}, {"x": x, "labels": labels})


def _digits(case: Case, about: dict[str, str]) -> Evidence:
    from vitgate.inputs.preprocess import digits_tensor, read_labelled

    assert case.heldout is not None
    stored = read_labelled(case.folder / case.heldout)
    x, labels = digits_tensor(stored.images).numpy(), stored.labels.astype(np.int64)
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    arrays = {"x": x[first], "labels": labels[first], "heldout_x": x, "heldout_labels": labels}
    return Evidence({"names": [f"digit_{digit}" for digit in range(10)], **about}, arrays)


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
