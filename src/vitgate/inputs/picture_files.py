"""The pictures that models are shown: read whatever a user hands over, and get hold of the tutorial's own picture.

A bad picture must end in one clear line rather than in a decoder's traceback, and a picture of another mode must not
silently turn into another picture. The reference picture is not the project's own, so it is not shipped: it is taken
from an asset folder, the cache or the network, and where all fail an embedded picture stands in, which the report says.
Never imports torch.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TYPE_CHECKING

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.paths import default_cache
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.download import fetch, fetch_unpinned, Patience

if TYPE_CHECKING:
    from PIL.Image import Image

MINIMUM_SIDE = 16
"""Pixels: one patch of the smallest model of the suite at ImageNet resolution; below it nothing can be recognized."""

MAXIMUM_PIXELS = 64_000_000
"""Pixels: 192 MB decoded; below Pillow's own warning (89 million), above what cameras of this day give (about 50).

Of WebP and of 16-bit grey half as many are read, of 32-bit grey a quarter.
"""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Pillow's names of what is read. Of the others some run programs: EPS is handed to Ghostscript."""

REFERENCE_URL = (
    "https://raw.githubusercontent.com/pytorch/ios-demo-app/master/HelloWorld/HelloWorld/HelloWorld/image.png"
)
"""The picture of the tutorial: a running grey wolf, ImageNet class 269, 400 × 400 pixels."""

REFERENCE_SHA256 = "7acc08d4569cf8a03fd37a0acca6634c133c8b88185d9dafb2249a052dbe8762"
"""Of the 142,559 bytes at `REFERENCE_URL`."""

_MOST_BYTES = 1 << 28  # of a file: `MAXIMUM_PIXELS` of four bytes, not compressed
_SCAN, _MOST_SCANS = b"\xff\xda", 30  # encoders write about ten, and a preview or two may stand in the file as well
_BODY_LIMIT = 4_000_000  # bytes; a captive portal may answer with anything

PATIENCE = Patience(connect=3.0, read=3.0, attempts=3, pause=0.5, total=9.0)
"""For a picture of 143 kB, in whose place another can stand."""

_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)  # Pillow's ways


@dataclass(frozen=True)
class ReferencePicture:
    """Where the picture came from, the sha256 of the file, and one sentence for the report."""

    path: Path
    source: Literal["assets", "cache", "download", "embedded"]
    sha256: str
    note: str


def load_picture(path: Path) -> Image:
    """Read a picture as RGB, 8 bits a channel, upright.

    Grey, black-and-white, palette and CMYK pictures are converted as Pillow's `convert("RGB")` does; alpha is dropped
    the same way, not composited, for that is what the tutorial's users get. 16-bit grey is scaled to 8 bits (Pillow
    would clip it to white). The rotation in EXIF is applied. Of an animation the first frame counts.

    Raises UsageError for a path that is missing, not a file or unreadable; for a file that is no picture, truncated,
    smaller than `MINIMUM_SIDE` or larger than `MAXIMUM_PIXELS` (checked before decoding), or of 32 bits a channel.
    """
    from PIL import Image, UnidentifiedImageError

    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decompression bombs are refused below, bytes of palette alpha are dropped
        try:
            with Image.open(path, formats=FORMATS) as image:
                _check_size(image, path)
                _check_scans(image, path)
                return _upright_rgb(image, path)
        except UnidentifiedImageError:
            what = f"not a picture of a known format ({', '.join(FORMATS)})"
            raise UsageError(what, where=path, do="give a PNG or JPEG file") from None
        except Image.DecompressionBombError:
            raise _too_large("more than twice Pillow's limit", path) from None
        except _DAMAGE as error:
            raise UsageError(f"damaged or truncated picture: {error}", where=path, do="fetch it again") from None


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if status.st_size > _MOST_BYTES:
            raise _too_large(f"a file of {status.st_size >> 20} MB", path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise UsageError("not a regular file", where=path, do="give the path of a picture")
        with path.open("rb"):
            return
    except FileNotFoundError:
        raise UsageError("no such picture", where=path, do="check the path") from None
    except IsADirectoryError:
        raise UsageError("a directory, not a picture", where=path, do="name one file in it") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"unreadable picture: {reason}", where=path, do="check the path and its permissions") from None


def _check_size(image: Image, path: Path) -> None:
    width, height = image.size
    if min(image.size) < MINIMUM_SIDE:
        do = f"give one of at least {MINIMUM_SIDE} pixels a side"
        raise UsageError(f"picture of {width} × {height} pixels is too small", where=path, do=do)
    if width * height > _most_pixels(image):
        raise _too_large(f"{width} × {height} pixels", path, _most_pixels(image))


def _most_pixels(image: Image) -> int:
    """Return how many pixels may be decoded: some forms take several times the memory of others on the way."""
    if image.mode in ("I", "F"):
        return MAXIMUM_PIXELS // 4
    return MAXIMUM_PIXELS // 2 if image.format == "WEBP" or image.mode.startswith("I") else MAXIMUM_PIXELS


def _check_scans(image: Image, path: Path) -> None:
    """Refuse a JPEG of many scans: each costs the work of the whole picture, and takes a hundred bytes of the file."""
    if image.format in ("JPEG", "MPO") and path.read_bytes().count(_SCAN) > _MOST_SCANS:
        raise UsageError("picture with too many scans, perhaps made to cost time", where=path, do="save it as PNG")


def _too_large(what: str, path: Path, most: int = MAXIMUM_PIXELS) -> UsageError:
    do = f"scale it below {most // 1_000_000} megapixels"
    return UsageError(f"picture too large, perhaps a decompression bomb: {what}", where=path, do=do)


def _upright_rgb(image: Image, path: Path) -> Image:
    from PIL import ImageOps

    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        upright = _eight_bits(upright, path)
    return upright.convert("RGB")


def _eight_bits(image: Image, path: Path) -> Image:
    """Scale 16-bit grey to 8 bits; older Pillows open it in mode I, newer ones in I;16."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        do = "save it with 8 or 16 bits a channel"
        raise UsageError("picture of 32 bits a channel has no fixed white", where=path, do=do)
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))  # 65535 / 255 = 257


def reference_picture(
    assets: Path | None,
    cache: Path | None = None,
    url: str = REFERENCE_URL,
    embedded: Path | None = None,
    patience: Patience = PATIENCE,
    sha256: str = REFERENCE_SHA256,
) -> ReferencePicture:
    """Return the tutorial's picture: from `assets`, else the cache, else downloaded once, else the embedded one.

    Without a network the answer comes within `patience.total` seconds.

    Args:
        assets: A folder that may hold `image.png`.
        cache: A folder; by default the user's cache of vitgate.
        url: Where to download from.
        embedded: A picture of the project's own; by default `fixtures/golden/input.png`.
        patience: How long to try.
        sha256: Of the only file that is taken from assets, cache or network.

    Raises:
        UsageError: The asset folder does not exist, or its `image.png` is another file or unreadable.
        MachineError: Not even the embedded picture can be read.
    """
    if assets is not None and (found := _from_assets(assets, sha256)) is not None:
        return found
    try:
        return _from_cache_or_network(cache or default_cache(), url, sha256, patience)
    except _NotToBeHad as why:
        return embedded_picture(embedded or fixtures_folder() / "golden" / "input.png", f"because {why}")


def own_reference(assets: Path | None, name: str, *, embedded: Path) -> ReferencePicture:
    """Return a case's own reference picture, of which nobody has published address or sha256.

    Args:
        assets: A folder that may hold it; None for none.
        name: The file's name in `assets`.
        embedded: The project's own picture, taken where there is no such file.

    Raises:
        UsageError: The file of that name is no picture.
        MachineError: The embedded picture is needed, and cannot be read.
    """
    path = assets / name if assets is not None else None
    if path is None or not path.exists():
        why = f"since no --assets folder holds {name}: what its label is under these weights is not known"
        return embedded_picture(embedded, why)
    load_picture(path)
    note = f"The picture {name} of the asset folder was used as the reference; its sha256 is in the record."
    return ReferencePicture(path, "assets", _digest(path), note)


def further_picture(
    assets: Path | None, file: str, url: str, *, cache: Path | None = None, patience: Patience = PATIENCE
) -> ReferencePicture | str:
    """Return a picture from `assets`, else the cache, else downloaded once; else why it cannot be had.

    Nobody has published its sha256, so that any picture which `load_picture` reads is taken.

    Args:
        assets: A folder that may hold it; None for none.
        file: The picture's name there and in the cache.
        url: Where to download from.
        cache: A folder; by default the user's cache of vitgate.
        patience: How long to try.

    Raises:
        UsageError: The file of that name in `assets` is no picture.
    """
    own = assets / file if assets is not None else None
    if own is not None and own.exists():
        load_picture(own)
        return ReferencePicture(own, "assets", _digest(own), f"{file} of the asset folder")
    path = (cache or default_cache()) / file
    source: Literal["cache", "download"] = "cache" if path.exists() else "download"
    try:
        fetch_unpinned(url, path, check=_no_picture, limit=_BODY_LIMIT, patience=patience)
    except MachineError as error:
        return str(getattr(error, "reason", error))
    where = "the cache" if source == "cache" else url
    return ReferencePicture(path, source, _digest(path), f"{file} from {where}")


def _no_picture(path: Path) -> str:
    try:
        load_picture(path)
    except UsageError:
        return "no picture"
    return ""


class _NotToBeHad(Exception):
    """The reference picture is neither cached nor to be downloaded; the message says why."""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _from_assets(assets: Path, sha256: str) -> ReferencePicture | None:
    path = assets / "image.png"
    if not assets.is_dir():
        raise UsageError("no such asset folder", where=assets, do="create it or drop the option")
    if not path.exists():
        return None
    try:
        digest = _digest(path)
    except OSError as error:
        raise UsageError(f"unreadable asset: {error.strerror}", where=path, do="check its permissions") from None
    if digest != sha256:
        do = f"replace it with the file of sha256 {sha256} from {REFERENCE_URL}"
        raise UsageError(f"not the reference picture: its sha256 is {digest}", where=path, do=do)
    return ReferencePicture(path, "assets", digest, "The reference picture of the asset folder was used.")


def _cached(path: Path, sha256: str) -> bool:
    try:
        return _digest(path) == sha256
    except OSError:
        return False


def _from_cache_or_network(cache: Path, url: str, sha256: str, patience: Patience) -> ReferencePicture:
    path = cache / "image.png"
    if _cached(path, sha256):
        return ReferencePicture(path, "cache", sha256, "The reference picture of the cache was used.")
    try:
        fetch(url, path, sha256=sha256, limit=_BODY_LIMIT, replace=True, patience=patience)
    except MachineError as error:
        raise _NotToBeHad(getattr(error, "reason", str(error))) from None
    return ReferencePicture(path, "download", sha256, f"The reference picture was downloaded from {url}.")


def embedded_picture(path: Path, why: str) -> ReferencePicture:
    """Return a picture of the project's own, with the reason as the note says it; MachineError where it is missing."""
    why = " ".join(why.split())
    try:
        digest = _digest(path)
    except OSError as error:
        what = f"no reference picture ({why.removeprefix('because ')}) and no embedded one ({error.strerror})"
        raise MachineError(what, where=path, do="install vitgate anew or name an asset folder") from None
    note = f"The embedded picture {path.name} was used instead of the reference picture, {why}."
    return ReferencePicture(path, "embedded", digest, note)
