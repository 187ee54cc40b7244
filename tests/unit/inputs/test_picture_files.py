"""Odd and bad pictures, and every way in which a download can go wrong; the network is a server on this machine."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.locks import locked
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs import picture_files, sources
from vitgate.inputs.download import Patience
from vitgate.inputs.picture_files import (
    further_picture,
    load_picture,
    own_reference,
    reference_picture,
    ReferencePicture,
)
from vitgate.inputs.pictures import pictures_of
from vitgate.spec.cases import read_cases

# --- reading pictures ------------------------------------------------------------------------------------------------


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def pixel(path: Path, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    """Load, check the promise of the mode, return one pixel."""
    image = load_picture(path)
    assert image.mode == "RGB"
    found = image.getpixel(at)
    assert isinstance(found, tuple)
    return found


def one_line(error: pytest.ExceptionInfo[Exception], *words: str) -> None:
    """Check that the message is one line that carries these words."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def refused(path: Path, *words: str) -> None:
    with pytest.raises(UsageError) as error:
        load_picture(path)
    one_line(error, path.name, *words)


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


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, rows: bytes = b"") -> bytes:
    """Write a PNG by hand; its header may promise more than `rows` hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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


# --- the reference picture -------------------------------------------------------------------------------------------

BODY = png(20, 20, rows=b"".join(b"\x00" + os.urandom(60) for _ in range(20)))
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(attempts=3, connect=0.3, read=0.3, pause=0.01, total=2.0)
Answer = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, length: int | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class Server:
    """What the server answers, in order, the last answer for ever; and how often it was asked."""

    answers: list[Answer]
    url: str = ""
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self) -> Answer:
        with self.lock:
            self.requests += 1
            return self.answers[min(self.requests, len(self.answers)) - 1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server([lambda handler: send(handler, 200, BODY)])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client hung up, which some tests are about
                state.next_answer()(self)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.01))
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/image.png"
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    return save(Image.new("RGB", (20, 20)), tmp_path / "own.png")


def get(server: Server | None, tmp_path: Path, embedded: Path, **changes: object) -> ReferencePicture:
    """Ask for the reference picture in the way of these tests."""
    arguments: dict[str, object] = {
        "assets": None,
        "cache": tmp_path / "cache",
        "url": server.url if server else "http://127.0.0.1:9/",
        "embedded": embedded,
        "patience": QUICK,
        "sha256": DIGEST,
    }
    return reference_picture(**{**arguments, **changes})  # type: ignore[arg-type]  # checked by the tests' own failing


def files(cache: Path) -> list[str]:
    """Names in the cache apart from the lock, and from what a broken transfer left to go on from."""
    return sorted(path.name for path in cache.iterdir() if path.suffix not in (".lock", ".part"))


def fell_back(found: ReferencePicture, tmp_path: Path, *words: str) -> None:
    """Check that the embedded picture was taken, the note says why, and that the cache is clean."""
    assert found.source == "embedded"
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert "own.png" in found.note
    assert "because" in found.note
    assert "\n" not in found.note
    for word in words:
        assert word in found.note
    if (tmp_path / "cache").is_dir():
        assert files(tmp_path / "cache") == []


def test_download_then_cache(server: Server, tmp_path: Path, embedded: Path) -> None:
    first, second = get(server, tmp_path, embedded), get(server, tmp_path, embedded)
    assert (first.source, second.source, server.requests) == ("download", "cache", 1)
    assert first.path == second.path
    assert first.path.read_bytes() == BODY
    assert first.sha256 == second.sha256 == DIGEST
    assert server.url in first.note
    assert "cache" in second.note
    assert files(tmp_path / "cache") == ["image.png"]


def test_damaged_cache_is_replaced(server: Server, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "image.png").write_bytes(BODY[:-1])
    assert get(server, tmp_path, embedded).source == "download"
    assert (tmp_path / "cache" / "image.png").read_bytes() == BODY


def test_assets_folder_takes_precedence(server: Server, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").write_bytes(BODY)
    found = get(server, tmp_path, embedded, assets=tmp_path)
    assert (found.source, found.path, found.sha256) == ("assets", tmp_path / "image.png", DIGEST)
    assert "asset folder" in found.note
    assert server.requests == 0


def test_assets_folder_without_picture_falls_back_to_download(server: Server, tmp_path: Path, embedded: Path) -> None:
    assert get(server, tmp_path, embedded, assets=tmp_path).source == "download"


def test_wrong_asset_is_a_usage_error(tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"another")
    with pytest.raises(UsageError) as error:
        get(None, tmp_path, embedded, assets=tmp_path)
    one_line(error, "image.png", "sha256", DIGEST)


@pytest.mark.parametrize("name", ["nowhere", "own.png"])
def test_missing_asset_folder_is_a_usage_error(name: str, tmp_path: Path, embedded: Path) -> None:
    with pytest.raises(UsageError) as error:
        get(None, tmp_path, embedded, assets=tmp_path / name)
    one_line(error, "no such asset folder", name)


def test_asset_that_is_a_folder_is_a_usage_error(tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").mkdir()
    with pytest.raises(UsageError) as error:
        get(None, tmp_path, embedded, assets=tmp_path)
    one_line(error, "image.png")


@pytest.mark.parametrize("status", [403, 404])
def test_http_refusal_falls_back_without_retry(status: int, server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [lambda handler: send(handler, status, b"no")]
    fell_back(get(server, tmp_path, embedded), tmp_path, f"answered {status}")
    assert server.requests == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_retried(status: int, server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [lambda handler: send(handler, status, b"later")] * 2 + server.answers
    assert get(server, tmp_path, embedded).source == "download"
    assert server.requests == 3


def test_broken_server_is_tried_three_times(server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [lambda handler: send(handler, 500, b"later")]
    fell_back(get(server, tmp_path, embedded), tmp_path, "answered 500", "after 3 attempts")
    assert server.requests == 3


def test_truncated_transfer_is_retried(server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers.insert(0, lambda handler: send(handler, 200, BODY[:100], length=len(BODY)))
    assert get(server, tmp_path, embedded).source == "download"
    assert server.requests == 2


def test_truncated_transfer_is_never_cached(server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [lambda handler: send(handler, 200, BODY[:100], length=len(BODY))]
    fell_back(get(server, tmp_path, embedded), tmp_path, "after 3 attempts")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>log in</html>", "a web page came instead"),
        (BODY[:-1], "has a sha256 beginning with"),
        (b"", "has a sha256 beginning with"),
    ],
    ids=["portal", "short", "empty"],
)
def test_wrong_content_is_never_cached(
    content: bytes, says: str, server: Server, tmp_path: Path, embedded: Path
) -> None:
    server.answers = [lambda handler: send(handler, 200, content)]
    fell_back(get(server, tmp_path, embedded), tmp_path, says)
    assert server.requests == 1


def test_endless_response_is_aborted(
    server: Server, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "_BODY_LIMIT", 1000)
    server.answers = [lambda handler: send(handler, 200, bytes(100_000))]
    fell_back(get(server, tmp_path, embedded), tmp_path, "more than 1000 bytes")


def test_silent_server_times_out(server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [lambda handler: time.sleep(1)]
    patience = replace(QUICK, read=0.05)
    fell_back(get(server, tmp_path, embedded, patience=patience), tmp_path, "after 3 attempts")
    assert server.requests == 3


def drip(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b"", length=len(BODY))
    for byte in BODY:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def test_slow_server_is_bounded_by_total_timeout(server: Server, tmp_path: Path, embedded: Path) -> None:
    server.answers = [drip]
    start = time.monotonic()
    fell_back(get(server, tmp_path, embedded, patience=replace(QUICK, total=0.5)), tmp_path, "took longer than")
    assert time.monotonic() - start < 2


def test_refused_connection_falls_back_at_once(server: Server, tmp_path: Path, embedded: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: refused, and nobody else can take it meanwhile
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/image.png"
        patience = Patience(pause=60)
        fell_back(get(None, tmp_path, embedded, url=url, patience=patience), tmp_path, "Connection refused")


def test_unknown_host_falls_back_at_once(
    server: Server, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    url = "http://vitgate.invalid/image.png"
    fell_back(get(None, tmp_path, embedded, url=url, patience=Patience(pause=60)), tmp_path, "name resolution")


def test_hanging_name_lookup_is_bounded_by_total_timeout(
    server: Server, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        time.sleep(1)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    start = time.monotonic()
    found = get(None, tmp_path, embedded, url="http://vitgate.invalid/", patience=replace(QUICK, connect=5, total=0.3))
    fell_back(found, tmp_path, "took longer than")
    assert time.monotonic() - start < 2


def test_concurrent_first_downloads_fetch_once(server: Server, tmp_path: Path, embedded: Path) -> None:
    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.1)
        send(handler, 200, BODY)

    server.answers = [slowly]
    patience = replace(QUICK, read=5, total=10)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(get, server, tmp_path, embedded, patience=patience) for _ in range(8)]
    assert {job.result().path.read_bytes() for job in jobs} == {BODY}
    assert server.requests == 1


def test_lock_held_by_another_times_out(server: Server, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "cache").mkdir()
    with locked(tmp_path / "cache" / ".image.png"):
        found = get(server, tmp_path, embedded, patience=replace(QUICK, total=0.2))
    fell_back(found, tmp_path, "took longer than")
    assert server.requests == 0


def test_unwritable_cache_falls_back(server: Server, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = get(server, tmp_path, embedded, cache=tmp_path / "file" / "cache")
    fell_back(found, tmp_path, "cannot write", "Not a directory")


def test_full_disk_falls_back_and_leaves_nothing(
    server: Server, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    fell_back(get(server, tmp_path, embedded), tmp_path, "No space left on device")


def test_picture_without_any_source_is_machine_error(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: send(handler, 404, b"")]
    with pytest.raises(MachineError) as error:
        get(server, tmp_path, tmp_path / "own.png")
    one_line(error, "answered 404", "own.png", "asset folder")


def test_default_cache_is_user_cache(
    server: Server, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitgate.files.paths.user_cache_path", lambda name: tmp_path / f"user-{name}")
    assert get(server, tmp_path, embedded, cache=None).path == tmp_path / "user-vitgate" / "image.png"


def test_progress_bar_stays_off_outside_a_terminal(
    server: Server, tmp_path: Path, embedded: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    get(server, tmp_path, embedded)
    assert capfd.readouterr() == ("", "")


def test_default_embedded_picture_is_readable(tmp_path: Path) -> None:
    found = reference_picture(None, tmp_path / "cache", "http://127.0.0.1:9/", patience=replace(QUICK, attempts=0))
    assert found.source == "embedded"
    assert load_picture(found.path).size == (300, 360)


def test_reference_url_is_pinned() -> None:
    assert picture_files.REFERENCE_URL.startswith("https://")
    assert len(picture_files.REFERENCE_SHA256) == 64


def test_pictures_of_any_size_decode_whole(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (123, 45), (9, 8, 7)).save(buffer, "PNG")
    (tmp_path / "a.bin").write_bytes(buffer.getvalue())  # the content decides, not the name
    image = load_picture(tmp_path / "a.bin")
    assert image.size == (123, 45)
    assert image.getcolors() == [(123 * 45, (9, 8, 7))]


# --- a reference whose address nobody gives ---------------------------------------------------------------------------


def test_user_picture_with_documented_name_is_the_reference(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (64, 48), (1, 2, 3)), tmp_path / "ball.png")
    found = own_reference(tmp_path, "ball.png", embedded=fixtures_folder() / "images" / "soccer_ball.png")
    assert (found.path, found.source, found.sha256) == (path, "assets", hashlib.sha256(path.read_bytes()).hexdigest())
    assert "ball.png" in found.note


@pytest.mark.parametrize("folder", [True, False])
def test_missing_reference_is_replaced_by_embedded_picture_with_note(tmp_path: Path, folder: bool) -> None:
    embedded = fixtures_folder() / "images" / "soccer_ball.png"
    found = own_reference(tmp_path if folder else None, "ball.png", embedded=embedded)
    assert (found.path, found.source) == (embedded, "embedded")
    assert "since no --assets folder holds ball.png" in found.note
    assert "not known" in found.note


def test_user_reference_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ball.png").write_text("a ball")
    with pytest.raises(UsageError) as error:
        own_reference(tmp_path, "ball.png", embedded=fixtures_folder() / "images" / "soccer_ball.png")
    one_line(error, "ball.png", "not a picture")


# --- further pictures, which published weights alone are known to name right ------------------------------------------

CASE = read_cases()["deit_base"]
FILE = CASE.further[0].file
SKETCH = fixtures_folder() / "images" / "daisy.png"


def further(server: Server, folder: Path, assets: Path | None = None) -> ReferencePicture | str:
    return further_picture(assets, FILE, server.url, cache=folder / "cache", patience=QUICK)


def test_further_picture_is_downloaded_once_and_cached(server: Server, tmp_path: Path) -> None:
    server.answers = [lambda handler: send(handler, 200, SKETCH.read_bytes())]

    first, second = further(server, tmp_path), further(server, tmp_path)

    assert isinstance(first, ReferencePicture)
    assert isinstance(second, ReferencePicture)
    assert (first.source, second.source, server.requests) == ("download", "cache", 1)
    assert first.path.read_bytes() == SKETCH.read_bytes()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [(404, b"no", "answered 404"), (200, b"<html>log in</html>", ""), (200, SKETCH.read_bytes()[:900], "no picture")],
    ids=["gone", "portal", "cut"],
)
def test_invalid_further_picture_is_left_out_and_not_cached(
    status: int, body: bytes, says: str, server: Server, tmp_path: Path
) -> None:
    server.answers = [lambda handler: send(handler, status, body)]

    found = further(server, tmp_path)

    assert isinstance(found, str)
    assert found
    assert says in found
    assert not (tmp_path / "cache" / FILE).exists()


def test_user_copy_of_further_picture_takes_precedence(server: Server, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / FILE)

    found = further(server, tmp_path, assets=tmp_path)

    assert isinstance(found, ReferencePicture)
    assert (found.source, found.path, server.requests) == ("assets", tmp_path / FILE, 0)


def test_invalid_user_copy_of_further_picture_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no picture")

    with pytest.raises(UsageError, match="not a picture"):
        further(server, tmp_path, assets=tmp_path)


def test_further_picture_is_judged_with_pretrained_weights_alone(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "red").save(tmp_path / FILE)

    published, standin = (sources.picture_source(CASE, str(tmp_path), kind) for kind in ("pretrained", "standin"))
    seen, unseen = (pictures_of(CASE, each) for each in (published, standin))

    assert "must be called 285, Egyptian cat" in published.values["note"]
    assert (seen.values["names"][:2], list(seen.arrays["labels"][:2])) == (["reference", "Egyptian cat"], [269, 285])
    assert (seen.values["known"], unseen.values["known"]) == (2, 1)
    assert len(seen.arrays["x"]) == len(unseen.arrays["x"]) + 1
    assert list(unseen.arrays["labels"]) == [269, *seen.arrays["labels"][2:]]


def test_unavailable_further_picture_is_left_out_with_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "further_picture", lambda *_: "there is no network")

    found = sources.picture_source(CASE, str(tmp_path), "pretrained")

    assert found.values["further"] == []
    assert "Egyptian cat was left out, because there is no network" in found.values["note"]
