"""Make the golden picture and its preprocessed form, `fixtures/golden/input.png` and `preprocess.npz`.

    python scripts/make_golden.py           writes both
    python scripts/make_golden.py --check   compares this machine's preprocessing with the stored one, writes nothing

Running it again accepts whatever the installed Pillow and torchvision do now: only after the change was understood.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL
import torchvision
from PIL import Image

from vitgate.inputs.preprocess import golden_arrays, golden_difference

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden"
HEIGHT, WIDTH = 360, 300


def picture() -> np.ndarray:
    """Return uint8 [360, 300, 3]: gradients, hard edges, rings that grow finer than a pixel after the resize, noise.

    Integers only, so that it is the same everywhere.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    red = 255 * x // (WIDTH - 1)
    green = 255 * ((x // 25 + y // 30) % 2)
    blue = ((x - 150) ** 2 + (y - 180) ** 2) // 48 % 256
    image = np.stack([red, green, blue], axis=-1)
    image[240:300, 60:240] = np.random.RandomState(1).randint(0, 256, (60, 180, 3))  # its stream is frozen by numpy
    image[60:120, 90:210] = 255 * (y[60:120, 90:210, None] % 3 == 0)
    return image.astype(np.uint8)


def main() -> None:
    """Write, or only compare."""
    parser = argparse.ArgumentParser(description="make or check the golden picture")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture()).save(FOLDER / "input.png", optimize=True)
        crop, normalised = golden_arrays(FOLDER / "input.png")
        np.savez_compressed(FOLDER / "preprocess.npz", crop=crop, normalised=normalised)
    same = bool((np.asarray(Image.open(FOLDER / "input.png")) == picture()).all())
    print(f"pillow {PIL.__version__}, torchvision {torchvision.__version__}: {golden_difference()}, {same=}")


if __name__ == "__main__":
    main()
