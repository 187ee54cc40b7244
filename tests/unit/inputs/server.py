"""A web server on this machine that plays what servers, proxies and networks do to a download."""

from __future__ import annotations

import gzip
import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import vitgate
from vitgate.files.errors import VitgateError
from vitgate.inputs.download import Patience

BODY = random.Random(0).randbytes(3_000_000)  # three reads, so that it can be cut off between them
DIGEST = hashlib.sha256(BODY).hexdigest()
OTHER = random.Random(1).randbytes(3_000_000)
SRC = Path(vitgate.__file__).parents[1]
QUICK = Patience(connect=2.0, read=0.6, attempts=3, pause=0.01)


@contextmanager
def one_line(kind: type[VitgateError], *words: str) -> Iterator[None]:
    """Expect an error of exactly this kind (or its subclass) whose only line holds all these words."""
    with pytest.raises(kind) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text and text.isprintable(), repr(text)
    assert "Traceback" not in text and len(text) < 700, text
    assert [word for word in words if word not in text] == [], text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no second traceback above the line


class Handler(BaseHTTPRequestHandler):
    """Plays the behaviours by path; the server keeps (path, Range header) of every request."""

    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range")))
        getattr(self, "play_" + self.path.rpartition("/")[2].split("-")[0])()

    def log_message(self, *args: object) -> None:
        """Keep the test output clean."""

    def answer(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def first_time(self) -> bool:
        return len([path for path, _ in self.server.seen if path == self.path]) == 1

    def start(self) -> int:
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def rest(self) -> None:
        if self.start() >= len(BODY):
            return self.answer(416, b"")
        span = f"bytes {self.start()}-{len(BODY) - 1}/{len(BODY)}"
        self.answer(206 if self.start() else 200, BODY[self.start() :], Content_Range=span)
        return None

    play_good = rest

    def play_unhurried(self) -> None:
        time.sleep(0.2)
        self.rest()

    def play_cut(self) -> None:  # breaks off once, then continues where asked
        if self.first_time():
            self.answer(200, BODY[:1_500_000], length=len(BODY))
        else:
            self.rest()

    def play_norange(self) -> None:  # breaks off once, then sends the whole file whatever was asked
        self.answer(200, BODY[:1_500_000] if self.first_time() else BODY, length=len(BODY))

    def play_otherrange(self) -> None:  # breaks off, then sends another part than was asked for
        if self.first_time():
            self.answer(200, BODY[:1_500_000], length=len(BODY))
        else:
            self.answer(206, BODY[7:], Content_Range=f"bytes 7-{len(BODY) - 1}/{len(BODY)}")

    def play_short(self) -> None:  # breaks off every time
        self.answer(200, BODY[:1000], length=len(BODY))

    def play_toolong(self) -> None:  # announces fewer bytes than it has
        self.answer(200, BODY, length=len(BODY) - 10)

    def play_chunked(self) -> None:  # no length at all
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def play_wrong(self) -> None:
        self.answer(200, b"another file, of another digest and length")

    def play_portal(self) -> None:  # a network that wants a login answers in every server's place
        self.answer(200, b"<!DOCTYPE html>\n<title>Welcome</title>", Content_Type="text/html")

    def play_changed(self) -> None:  # breaks off once; meanwhile there is another file at the address
        if self.first_time():
            self.answer(200, OTHER[:1_500_000], length=len(BODY))
        else:
            self.rest()

    def play_never416(self) -> None:  # breaks off once, and cannot continue anywhere
        if self.first_time():
            self.answer(200, BODY[:1_500_000], length=len(BODY))
        else:
            self.answer(416 if self.start() else 200, b"" if self.start() else BODY)

    def play_416(self) -> None:
        self.answer(416, b"")

    def play_407(self) -> None:
        self.answer(407, b"")

    def play_gzip(self) -> None:  # compresses although it was asked not to
        self.answer(200, gzip.compress(BODY), Content_Encoding="gzip")

    def play_gzipcut(self) -> None:  # breaks off once, compresses from then on: its ranges are of other bytes than ours
        if self.first_time():
            self.answer(200, BODY[:1_500_000], length=len(BODY))
        elif self.start():
            span = f"bytes {self.start()}-{len(BODY) - 1}/{len(BODY)}"
            self.answer(206, gzip.compress(BODY), Content_Encoding="gzip", Content_Range=span)
        else:
            self.play_gzip()

    def play_notgzip(self) -> None:
        self.answer(200, BODY, Content_Encoding="gzip")

    def play_tofile(self) -> None:
        self.answer(302, b"", Location="file:///etc/hostname")

    def play_stalls(self) -> None:  # sends some, and then nothing until the client has gone
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1_500_000])
        self.wfile.flush()
        self.connection.recv(1)

    def play_drips(self) -> None:  # never silent for long, and never done
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.02)

    def play_slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:10])
        self.wfile.flush()
        time.sleep(2 * QUICK.read)

    def play_silent(self) -> None:
        time.sleep(2 * QUICK.read)

    def play_busy(self) -> None:
        if self.first_time():
            self.answer(503, b"")
        else:
            self.rest()

    def play_loop(self) -> None:
        self.answer(302, b"", Location=self.path)

    def play_moved(self) -> None:
        self.answer(302, b"", Location="/good-after")

    def play_404(self) -> None:
        self.answer(404, b"no such object")

    def play_403(self) -> None:
        self.answer(403, b"denied")

    def play_500(self) -> None:
        self.answer(500, b"")


class Server(ThreadingHTTPServer):
    """A server on a free port of this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is part of the play."""


def cached(folder: Path, name: str, body: bytes = BODY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    return folder / name


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))
