"""Pictures: single files, a user's labelled folder, arrays that were committed."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import fuzz_mutations as spoil
import numpy as np
from fuzz_form import Reader

from vitgate.inputs import preprocess
from vitgate.inputs.picture_files import load_picture
from vitgate.inputs.picture_folder import check_classes, contents, read_folder


def picture(folder: Path) -> Reader:
    """A picture, of all formats that are read."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    image, sound = Image.fromarray(noise), {}
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        target = io.BytesIO()
        image.save(target, form)
        sound[form] = target.getvalue()
    for name, mode in (("grey", "I;16"), ("palette", "P"), ("alpha", "RGBA")):
        target = io.BytesIO()
        (image.convert("L").convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)).save(target, "PNG")
        sound[name] = target.getvalue()
    files = list(sound.values())

    def case(rng: Random) -> bytes:
        data = rng.choice(files)
        return spoil.png_file(rng, data) if data[1:4] == b"PNG" and rng.random() < 0.6 else spoil.in_bytes(rng, data)

    return Reader(folder / "picture.png", files, case, load_picture)


def labelled_folder(folder: Path) -> Reader:
    """A folder of a user's pictures, listed, read and hashed; the bytes are a picture's."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(target, "PNG")
    sound = target.getvalue()
    (folder / "7").mkdir()
    (folder / "8").mkdir()
    (folder / "8" / "a.png").write_bytes(sound)

    def read(path: Path) -> None:
        found = read_folder(path.parents[1])
        check_classes(found, 10, "fuzz")
        contents(found, lambda done: None, decode=True)

    return Reader(folder / "7" / "b.jpg", [sound], lambda rng: spoil.in_bytes(rng, sound), read)


def golden(folder: Path) -> Reader:
    """Arrays that were committed: labelled pictures."""
    target = io.BytesIO()
    np.savez(target, images=np.ones((3, 4, 4), np.uint8), labels=np.ones(3, np.uint8))
    sound = target.getvalue()
    entries = spoil.zip_entries(sound)
    case = lambda rng: spoil.zip_file(rng, entries, spoil.npy_file)  # noqa: E731  # as short as the others
    return Reader(folder / "labelled.npz", [sound], case, preprocess.read_labelled)
