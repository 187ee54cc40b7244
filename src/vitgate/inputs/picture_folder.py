"""A folder of the user's own labelled pictures, as ImageNet is laid out: DIR/<class>/<picture>.

Only names are read here; `vitgate.inputs.picture_files` reads the pictures. Symbolic links are followed: a part of
ImageNet is often a folder of them, and all that ever leaves a picture is its label. Never imports torch.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vitgate.files.errors import UsageError
from vitgate.files.hashing import digest_of
from vitgate.inputs.picture_files import load_picture
from vitgate.spec.outcome import Evidence

SUFFIXES = frozenset(
    [
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".gif",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    ]
)
"""Of the formats that `vitgate.inputs.picture_files` reads, as Pillow registers them."""

_INDEX = re.compile(r"[0-9]{1,9}", re.ASCII)
_LAYOUT = "give DIR/<class>/<picture>, each class with a folder of its own"


@dataclass(frozen=True)
class LabelledFolder:
    """What is in such a folder.

    `names` are the pictures' paths below it, sorted, with `/`; `labels` int64 [N]. `classes` are the names of the
    classes' folders, sorted as torchvision's `ImageFolder` sorts them; where `numbered`, they are the labels
    themselves. `ignored` counts what else lies there.
    """

    folder: Path
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    numbered: bool
    ignored: int

    @property
    def note(self) -> str:
        """One sentence for the report."""
        ignored = f"; {self.ignored} other files ignored" if self.ignored else ""
        return f"{len(self.names)} pictures of {len(self.classes)} classes in {self.folder}{ignored}"

    def to_evidence(self, content: str) -> Evidence:
        """Return it as evidence, with the digest of its contents."""
        values = {
            "folder": str(self.folder),
            "names": self.names,
            "classes": self.classes,
            "numbered": self.numbered,
            "ignored": self.ignored,
            "digest": content,
            "note": self.note,
        }
        return Evidence(values, {"labels": self.labels})


def folder_from(evidence: Evidence) -> LabelledFolder:
    """Rebuild the folder that `to_evidence` gave."""
    values = evidence.values
    names, classes = tuple(values["names"]), tuple(values["classes"])
    labels = evidence.arrays["labels"]
    return LabelledFolder(Path(values["folder"]), names, labels, classes, values["numbered"], values["ignored"])


def read_folder(folder: Path) -> LabelledFolder:
    """List the pictures and their labels, in an order that is the same everywhere.

    Raises UsageError for a folder that is missing or cannot be listed, and one without classes or pictures.
    """
    try:
        rooms, loose = _rooms(folder)
        found = [(name, *_pictures(folder / name)) for name in rooms]
    except OSError as error:
        what = f"cannot read this folder of pictures: {error.strerror}"
        raise UsageError(what, where=error.filename or folder, do="name a folder with --images") from None
    ignored = loose + sum(others for _, _, others in found)
    rows = sorted((f"{name}/{picture}", name) for name, pictures, _ in found for picture in pictures)
    if not rows:
        what = f"no pictures in {len(rooms)} folders of classes ({ignored} other files)"
        raise UsageError(what, where=folder, do=_LAYOUT)
    numbered = all(map(_INDEX.fullmatch, rooms))
    index = _by_number(rooms, folder) if numbered else {name: place for place, name in enumerate(rooms)}
    labels = np.array([index[name] for _, name in rows], dtype=np.int64)
    return LabelledFolder(folder, tuple(path for path, _ in rows), labels, tuple(rooms), numbered, ignored)


def _rooms(folder: Path) -> tuple[list[str], int]:
    """Return the names of the classes' folders, and how much lies beside them."""
    with os.scandir(folder) as entries:
        names = {entry.name: entry.is_dir() for entry in entries}
    rooms = sorted(name for name, is_folder in names.items() if is_folder and not name.startswith("."))
    if not rooms:
        raise UsageError("no folders of classes here", where=folder, do=_LAYOUT)
    return rooms, len(names) - len(rooms)


def _pictures(room: Path) -> tuple[list[str], int]:
    """Return the names of the pictures, and how much else there is. Systems hide notes of theirs behind a dot."""
    with os.scandir(room) as entries:
        names = {entry.name: _is_picture(entry) for entry in entries}
    pictures = [name for name, is_picture in names.items() if is_picture]
    return pictures, len(names) - len(pictures)


def files_of(path: Path) -> list[Path]:
    """Return the file itself, or of a folder the pictures in it by name; UsageError where it has none."""
    if not path.is_dir():
        return [path]
    names = sorted(_pictures(path)[0])
    if not names:
        raise UsageError("no pictures here", where=path, do="name a picture, or a folder that has some")
    return [path / name for name in names]


def _is_picture(entry: os.DirEntry[str]) -> bool:
    named = Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".")
    return named and not entry.is_dir()


def _by_number(rooms: list[str], folder: Path) -> dict[str, int]:
    first: dict[int, str] = {}
    for name in rooms:
        if first.setdefault(int(name), name) != name:
            what = f"the folders {first[int(name)]} and {name} are of one class"
            raise UsageError(what, where=folder, do="put their pictures into one of them")
    return {name: int(name) for name in rooms}


def check_classes(found: LabelledFolder, classes: int, case: str) -> None:
    """Check that the labels can be those of a model with so many classes.

    Args:
        found: The folder.
        classes: The model's logits; a single one tells two classes apart.
        case: The case's id, for the error.

    Raises:
        UsageError: A label has no logit, or the folders by name are not as many as the classes.
    """
    if classes == 1 and len(set(found.labels.tolist())) == 1:
        what = f"pictures of one class alone, and the single logit of {case} tells two apart"
        raise UsageError(what, where=found.folder, do="have pictures of both: folders 0 (negative) and 1 (positive)")
    classes = max(classes, 2)
    ways = f"name the {classes} folders by class index (0 to {classes - 1}), or have one for each class, sorted by name"
    if found.numbered and found.labels.max() >= classes:
        what = f"a class {found.labels.max()}, but {case} has {classes}"
        raise UsageError(f"the folder of pictures has {what}", where=found.folder, do=ways)
    if not found.numbered and len(found.classes) != classes:
        what = f"{len(found.classes)} classes by name, but {case} has {classes}"
        raise UsageError(f"the folder of pictures has {what}", where=found.folder, do=ways)


def contents(found: LabelledFolder, each: Callable[[int], None], *, decode: bool) -> str:
    """Read every picture once and return the blake2b digest of names and contents.

    Args:
        found: The folder.
        each: Called with the number of pictures that are done.
        decode: Decode each: a damaged one is better known before hours of work than in the midst of them.

    Raises:
        UsageError: A picture cannot be read; it is named.
    """
    whole = hashlib.blake2b(digest_size=16)
    for done, name in enumerate(found.names, start=1):
        path = found.folder / name
        if decode:
            load_picture(path)
        whole.update(f"{name!r} {_content(path)}\n".encode())
        each(done)
    return whole.hexdigest()


def _content(path: Path) -> str:
    if not path.is_file():
        raise UsageError("no such picture, or no regular file", where=path, do="remove it from the folder")
    try:
        return digest_of(path)
    except OSError as error:
        what = f"unreadable picture: {error.strerror}"
        raise UsageError(what, where=path, do="check its permissions") from None
