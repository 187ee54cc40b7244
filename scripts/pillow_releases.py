"""Measure how far releases of Pillow are from one another: what they decode and resize of the same files.

    python scripts/pillow_releases.py 9.5.0 12.0.0 13.0.0

Each release runs in an environment that uv makes for it. The files are the embedded pictures as PNG, JPEG and WebP; the
distances are in 8-bit levels, from the release that is named last: the largest, and the share of values that differ.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = sorted((Path(__file__).parents[1] / "fixtures" / "images").glob("*.png"))
FORMATS = {"png": {}, "jpg": {"quality": 90}, "webp": {"quality": 90}}
SIDES = (256, 96)  # pixels after the resize: the tutorial's, and one that antialias matters more to
_RELEASE = """
import sys
import numpy as np
from pathlib import Path
from PIL import Image
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    image = Image.open(path).convert("RGB")
    found[f"decode-{path.name}"] = np.asarray(image)
    source = Image.fromarray(np.load(sys.argv[2])[path.stem])
    for side in map(int, sys.argv[4:]):
        for name in ("BICUBIC", "BILINEAR"):
            resized = source.resize((side, side), getattr(Image.Resampling, name))
            found[f"{name.lower()}-{path.stem}-{side}"] = np.asarray(resized)
np.savez(sys.argv[3], **found)
"""


def main(releases: list[str]) -> None:
    """Print a line for each release and step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        for path in PICTURES:
            for suffix, options in FORMATS.items():
                Image.open(path).convert("RGB").save(folder / "files" / f"{path.stem}.{suffix}", **options)
        pixels = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in PICTURES}
        np.savez(folder / "pixels.npz", **pixels)
        found = {release: _of_release(release, folder) for release in releases}
    for release in releases:
        for step in ("decode-.png", "decode-.jpg", "decode-.webp", "bicubic-", "bilinear-"):
            print(f"pillow {release}: {step:12} {_distance(found[release], found[releases[-1]], *step.split('-'))}")


def _of_release(release: str, folder: Path) -> dict[str, np.ndarray]:
    made = folder / f"{release}.npz"
    command = ["uv", "run", "--no-project", "--with", f"pillow=={release}", "--with", "numpy", "python", "-c", _RELEASE]
    arguments = [str(folder / "files"), str(folder / "pixels.npz"), str(made), *map(str, SIDES)]
    subprocess.run([*command, *arguments], check=True)  # noqa: S603  # our own program, releases named by the user
    with np.load(made) as stored:
        return {name: stored[name] for name in stored.files}


def _distance(own: dict[str, np.ndarray], last: dict[str, np.ndarray], step: str, suffix: str) -> str:
    names = [name for name in own if name.startswith(f"{step}-") and name.endswith(suffix)]
    levels = [np.abs(own[name].astype(int) - last[name]) for name in names]
    share = sum((each > 0).sum() for each in levels) / sum(each.size for each in levels)
    return f"largest {max(each.max() for each in levels)}, {100 * share:.4f}% of the values"


if __name__ == "__main__":
    main(sys.argv[1:])
