"""A site on this machine that answers what a test tells it to, and the reference picture asked of it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vitgate.inputs.download import Patience
from vitgate.inputs.picture_files import reference_picture, ReferencePicture

from .made_pictures import png

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
class Site:
    """What the site answers, in order, the last answer for ever; and how often it was asked."""

    answers: list[Answer]
    url: str = ""
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self) -> Answer:
        with self.lock:
            self.requests += 1
            return self.answers[min(self.requests, len(self.answers)) - 1]


@contextmanager
def running_site() -> Iterator[Site]:
    """Let a site run that gives the reference picture until it is told otherwise."""
    state = Site([lambda handler: send(handler, 200, BODY)])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client hung up, which some tests are about
                state.next_answer()(self)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=lambda: http.serve_forever(poll_interval=0.01))
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_port}/image.png"
        yield state
        http.shutdown()
        thread.join()


def get(site: Site | None, tmp_path: Path, embedded: Path, **changes: object) -> ReferencePicture:
    """Ask for the reference picture in the way of these tests."""
    arguments: dict[str, object] = {
        "assets": None,
        "cache": tmp_path / "cache",
        "url": site.url if site else "http://127.0.0.1:9/",
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
