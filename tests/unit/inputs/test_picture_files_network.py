"""Every way in which the download of the reference picture can go wrong: the embedded one takes its place."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from vitgate.inputs import picture_files
from vitgate.inputs.download import Patience

from .picture_site import BODY, fell_back, get, QUICK, send, Site


@pytest.mark.parametrize("status", [403, 404])
def test_http_refusal_falls_back_without_retry(status: int, site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: send(handler, status, b"no")]
    fell_back(get(site, tmp_path, embedded), tmp_path, f"answered {status}")
    assert site.requests == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_retried(status: int, site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: send(handler, status, b"later")] * 2 + site.answers
    assert get(site, tmp_path, embedded).source == "download"
    assert site.requests == 3


def test_broken_server_is_tried_three_times(site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: send(handler, 500, b"later")]
    fell_back(get(site, tmp_path, embedded), tmp_path, "answered 500", "after 3 attempts")
    assert site.requests == 3


def test_truncated_transfer_is_retried(site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers.insert(0, lambda handler: send(handler, 200, BODY[:100], length=len(BODY)))
    assert get(site, tmp_path, embedded).source == "download"
    assert site.requests == 2


def test_truncated_transfer_is_never_cached(site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: send(handler, 200, BODY[:100], length=len(BODY))]
    fell_back(get(site, tmp_path, embedded), tmp_path, "after 3 attempts")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>log in</html>", "a web page came instead"),
        (BODY[:-1], "has a sha256 beginning with"),
        (b"", "has a sha256 beginning with"),
    ],
    ids=["portal", "short", "empty"],
)
def test_wrong_content_is_never_cached(content: bytes, says: str, site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: send(handler, 200, content)]
    fell_back(get(site, tmp_path, embedded), tmp_path, says)
    assert site.requests == 1


def test_endless_response_is_aborted(
    site: Site, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "_BODY_LIMIT", 1000)
    site.answers = [lambda handler: send(handler, 200, bytes(100_000))]
    fell_back(get(site, tmp_path, embedded), tmp_path, "more than 1000 bytes")


def test_silent_server_times_out(site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [lambda handler: time.sleep(1)]
    patience = replace(QUICK, read=0.05)
    fell_back(get(site, tmp_path, embedded, patience=patience), tmp_path, "after 3 attempts")
    assert site.requests == 3


def drip(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b"", length=len(BODY))
    for byte in BODY:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def test_slow_server_is_bounded_by_total_timeout(site: Site, tmp_path: Path, embedded: Path) -> None:
    site.answers = [drip]
    start = time.monotonic()
    fell_back(get(site, tmp_path, embedded, patience=replace(QUICK, total=0.5)), tmp_path, "took longer than")
    assert time.monotonic() - start < 2


def test_refused_connection_falls_back_at_once(site: Site, tmp_path: Path, embedded: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: refused, and nobody else can take it meanwhile
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/image.png"
        patience = Patience(pause=60)
        fell_back(get(None, tmp_path, embedded, url=url, patience=patience), tmp_path, "Connection refused")


def test_unknown_host_falls_back_at_once(
    site: Site, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    url = "http://vitgate.invalid/image.png"
    fell_back(get(None, tmp_path, embedded, url=url, patience=Patience(pause=60)), tmp_path, "name resolution")


def test_hanging_name_lookup_is_bounded_by_total_timeout(
    site: Site, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> None:
        time.sleep(1)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    start = time.monotonic()
    found = get(None, tmp_path, embedded, url="http://vitgate.invalid/", patience=replace(QUICK, connect=5, total=0.3))
    fell_back(found, tmp_path, "took longer than")
    assert time.monotonic() - start < 2
