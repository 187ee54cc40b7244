"""Odd and bad pictures: each mode becomes RGB, and what is no picture is refused in one line."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitgate.files.errors import UsageError
from vitgate.inputs.picture_files import load_picture

from .made_pictures import png, save
from .server import one_line


def pixel(path: Path, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    """Load, check the promise of the mode, return one pixel."""
    image = load_picture(path)
    assert image.mode == "RGB"
    found = image.getpixel(at)
    assert isinstance(found, tuple)
    return found


def refused(path: Path, *words: str) -> None:
    with one_line(UsageError, path.name, *words):
        load_picture(path)


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((20, 20), value, dtype=np.uint16))


def palette() -> Image.Image:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    return image


@pytest.mark.parametrize(
    ("image", "name", "options", "expected"),
    [
        pytest.param(Image.new("RGB", (20, 20), (1, 2, 3)), "a.png", {}, (1, 2, 3), id="rgb"),
        pytest.param(Image.new("L", (20, 20), 77), "a.png", {}, (77, 77, 77), id="grey"),
        pytest.param(Image.new("1", (20, 20), 1), "a.png", {}, (255, 255, 255), id="black-and-white"),
        pytest.param(Image.new("LA", (20, 20), (77, 0)), "a.png", {}, (77, 77, 77), id="grey-alpha-dropped"),
        pytest.param(Image.new("RGBA", (20, 20), (1, 2, 3, 0)), "a.png", {}, (1, 2, 3), id="alpha-dropped"),
        pytest.param(Image.new("CMYK", (20, 20), (255, 0, 0, 0)), "a.tif", {}, (0, 255, 255), id="cmyk"),
        pytest.param(palette(), "a.png", {}, (10, 20, 30), id="palette"),
        pytest.param(palette(), "a.png", {"transparency": b"\x00\x80"}, (10, 20, 30), id="palette-transparency"),
        pytest.param(palette(), "a.gif", {}, (10, 20, 30), id="gif"),
        pytest.param(grey16(0), "a.png", {}, (0, 0, 0), id="16-bit-black"),
        pytest.param(grey16(0x8080), "a.png", {}, (128, 128, 128), id="16-bit-grey"),
        pytest.param(grey16(0xFFFF), "a.png", {}, (255, 255, 255), id="16-bit-white"),
        pytest.param(grey16(0x8080), "a.tif", {}, (128, 128, 128), id="16-bit-tiff"),
    ],
)
def test_modes_become_rgb(
    image: Image.Image, name: str, options: dict[str, object], expected: tuple[int, ...], tmp_path: Path
) -> None:
    assert pixel(save(image, tmp_path / name, **options)) == expected


def test_16_bit_colour_keeps_its_scale(tmp_path: Path) -> None:
    rows = b"".join(b"\x00" + struct.pack(">HHH", 0xFFFF, 0x8080, 0) * 20 for _ in range(20))
    path = tmp_path / "deep.png"
    path.write_bytes(png(20, 20, depth=16, colour=2, rows=rows))
    assert pixel(path) == (255, 128, 0)


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    red, green, blue = pixel(save(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), tmp_path / "a.jpg"))
    assert red > 240
    assert green < 15
    assert blue < 15


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned, show it 90 degrees clockwise
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 20, 20))  # the left half is the top once upright
    path = save(image, tmp_path / "a.png", exif=exif)
    assert load_picture(path).size == (20, 40)
    assert pixel(path, (10, 5)) == (255, 255, 255)
    assert pixel(path, (10, 35)) == (0, 0, 0)


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    path = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixel(path) == (200, 0, 0)


@pytest.mark.parametrize(
    ("width", "height"), [(8001, 8000), (10_000, 10_000), (60_000, 60_000)], ids=["64MP", "100MP", "3600MP"]
)
def test_decompression_bomb_is_refused_before_decoding(width: int, height: int, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png(width, height))
    refused(tmp_path / "bomb.png", "too large", "64 megapixels")


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)], ids=["one-pixel", "narrow", "flat"])
def test_too_small_picture_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    refused(save(Image.new("RGB", size), tmp_path / "a.png"), "too small", f"{size[0]} × {size[1]}", "16 pixels")


def test_smallest_side_is_accepted(tmp_path: Path) -> None:
    assert load_picture(save(Image.new("RGB", (16, 16)), tmp_path / "a.png")).size == (16, 16)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.bmp", "a.webp"])
@pytest.mark.parametrize("part", [0.3, 0.6])
def test_truncated_picture_is_refused(name: str, part: float, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8))
    path = save(noise, tmp_path / name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    refused(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_file_that_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_picture_is_refused(dtype: type, tmp_path: Path) -> None:
    image = Image.fromarray(np.full((20, 20), 70_000, dtype=dtype))
    refused(save(image, tmp_path / "a.tif"), "32 bits")


def test_missing_picture_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.png", "no such picture")


def test_directory_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "directory")


def test_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")


def test_unreadable_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.new("RGB", (20, 20)), tmp_path / "a.png")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # chmod does not stop root, under whom containers run
    refused(path, "Permission denied")


def test_pictures_of_any_size_decode_whole(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (123, 45), (9, 8, 7)).save(buffer, "PNG")
    (tmp_path / "a.bin").write_bytes(buffer.getvalue())  # the content decides, not the name
    image = load_picture(tmp_path / "a.bin")
    assert image.size == (123, 45)
    assert image.getcolors() == [(123 * 45, (9, 8, 7))]
