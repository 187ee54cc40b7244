"""Downloads end in the right file or in one clear line, whatever servers, networks, disks and other processes do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import sha256_of, verified
from vitgate.inputs.download import DownloadError, fetch, Patience

from ..disk import SmallDisk
from ..processes import waited
from .server import BODY, cached, DIGEST, left_behind, one_line, QUICK, Server, SRC


@pytest.mark.parametrize(
    ("play", "ranges"),
    [
        ("good", [None]),
        ("unhurried", [None]),
        ("chunked", [None]),
        ("busy", [None, None]),
        ("cut", [None, "bytes=1500000-"]),
        ("norange", [None, "bytes=1500000-"]),
        ("changed", [None, "bytes=1500000-", None]),
        ("never416", [None, "bytes=1500000-", None]),
        ("gzip", [None]),
        ("gzipcut", [None, "bytes=1500000-", None]),
    ],
)
def test_fetch_downloads_exactly_the_file(server: Server, tmp_path: Path, play: str, ranges: list[str | None]) -> None:
    path = fetch(server.url(play), tmp_path / "new" / "file.pth", sha256=DIGEST[:8], patience=QUICK)
    assert path.read_bytes() == BODY
    assert server.seen == [(f"/{play}", asked) for asked in ranges]
    assert left_behind(path.parent) == ["file.pth"]


def test_fetch_follows_a_redirect(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("moved"), tmp_path / "file", sha256=DIGEST, patience=QUICK).read_bytes() == BODY


def test_fetch_makes_no_request_for_cached_file(server: Server, tmp_path: Path) -> None:
    path = cached(tmp_path, "file.pth")
    assert fetch(server.url("good"), path, sha256=DIGEST, patience=QUICK) == path
    assert server.seen == []


@pytest.mark.parametrize(
    ("play", "requests", "words"),
    [
        ("404", 1, ["404"]),
        ("403", 1, ["403"]),
        ("wrong", 1, [f"not {DIGEST[:8]}", "42 bytes"]),
        ("toolong", 1, [f"not {DIGEST[:8]}"]),
        ("loop", 31, ["redirects without end"]),
        ("500", 3, ["500", "after 3 attempts"]),
        ("slow", 3, ["stopped answering", "after 3 attempts"]),
        ("silent", 3, ["stopped answering"]),
        ("short", 3, [f"cut off after 1000 of {len(BODY)} bytes"]),
        ("otherrange", 3, ["another part"]),
        ("portal", 1, ["a web page came", "log in to the network"]),
        ("416", 1, ["416"]),
        ("407", 1, ["407 Proxy Authentication Required"]),
        ("notgzip", 3, ["ContentDecodingError", "after 3 attempts"]),
        ("tofile", 1, ["InvalidSchema"]),
    ],
)
def test_server_failure_gives_one_line_error(
    server: Server, tmp_path: Path, play: str, requests: int, words: list[str]
) -> None:
    with one_line(DownloadError, server.url(play), str(tmp_path / "file.pth"), *words):
        fetch(server.url(play), tmp_path / "file.pth", sha256=DIGEST[:8], patience=QUICK)
    assert len(server.seen) == requests
    assert not (tmp_path / "file.pth").exists()


def test_an_interrupted_download_is_resumed_by_the_next_call(server: Server, tmp_path: Path) -> None:
    with one_line(DownloadError, "cut off"):
        fetch(server.url("short"), tmp_path / "file", sha256=DIGEST, patience=Patience(2.0, 0.3, 1, 0.0))
    fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert server.seen[-1] == ("/good", "bytes=1000-")


@pytest.mark.parametrize(
    ("part", "ranges"),
    [
        (BODY, [f"bytes={len(BODY)}-"]),  # killed between the last byte and the renaming
        (b"another file", ["bytes=12-", None]),
        (BODY + b"more", [f"bytes={len(BODY) + 4}-", None]),
    ],
)
def test_partial_download_is_resumed_only_if_valid(
    server: Server, tmp_path: Path, part: bytes, ranges: list[str | None]
) -> None:
    (tmp_path / ".file.part").write_bytes(part)
    assert fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK).read_bytes() == BODY
    assert [asked for _, asked in server.seen] == ranges


def test_wrong_content_is_neither_cached_nor_resumed(server: Server, tmp_path: Path) -> None:
    with one_line(DownloadError, "sha256"):
        fetch(server.url("wrong"), tmp_path / "file.pth", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []


def test_concurrent_threads_fetch_once(server: Server, tmp_path: Path) -> None:
    def get(_: int) -> Path:
        return fetch(server.url("unhurried"), tmp_path / "file.pth", sha256=DIGEST[:8], patience=QUICK)

    with ThreadPoolExecutor(4) as pool:
        assert {path.read_bytes() == BODY for path in pool.map(get, range(4))} == {True}
    assert len(server.seen) == 1


def test_concurrent_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    started = [_fetching(server.url("unhurried"), tmp_path / "file.pth") for _ in "ab"]
    assert [process.wait(30) for process in started] == [0, 0]
    assert sha256_of(tmp_path / "file.pth") == DIGEST
    assert len(server.seen) == 1


def _fetching(url: str, path: Path) -> subprocess.Popen[bytes]:
    """Start a process that fetches."""
    code = (
        "import sys; from pathlib import Path; from vitgate.inputs.download import fetch;"
        f"fetch({url!r}, Path({str(path)!r}), sha256={DIGEST[:8]!r})"
    )
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)})


def test_killed_download_is_resumed_without_waiting(server: Server, tmp_path: Path) -> None:
    part = tmp_path / ".file.part"
    with _fetching(server.url("stalls"), tmp_path / "file") as process:
        assert waited(lambda: part.exists() and part.stat().st_size > 0)
        process.kill()
    had = part.stat().st_size
    fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert server.seen[-1] == ("/good", f"bytes={had}-")
    assert left_behind(tmp_path) == ["file"]


def test_slow_response_times_out(server: Server, tmp_path: Path) -> None:
    patience = Patience(connect=2.0, read=5.0, attempts=3, pause=0.01, total=0.5)
    with one_line(DownloadError, "it took longer than 0.5 s"):
        fetch(server.url("drips"), tmp_path / "file", sha256=DIGEST, patience=patience)
    assert not (tmp_path / "file").exists()


def test_refused_connection_fails_fast(refused: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with one_line(DownloadError, "no connection to 127.0.0.1", "refused"):
        fetch(refused, tmp_path / "file", sha256=DIGEST)  # with the default patience
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("host", ["vitgate.invalid", "a" * 70 + ".invalid"])  # the second is too long for DNS
def test_unknown_host_fails_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    def unknown(name: str, *args: object, **options: object) -> None:
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    start = time.monotonic()
    with one_line(DownloadError, f"no connection to {host}:443"):
        fetch(f"https://{host}/file.pth", tmp_path / "file", sha256=DIGEST)
    assert time.monotonic() - start < 5


def test_hanging_name_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")

    def slow(*_: object, **options: object) -> Namespace:
        time.sleep(1)
        return Namespace(close=int)

    monkeypatch.setattr(socket, "create_connection", slow)
    start = time.monotonic()
    with one_line(DownloadError, "no answer within 0.1 s"):
        fetch("https://vitgate.invalid/x", tmp_path / "file", sha256=DIGEST, patience=Patience(connect=0.1))
    assert time.monotonic() - start < 1


def test_unreachable_proxy_fails_download(refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = refused.removesuffix("/file.pth")
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    with one_line(DownloadError, f"no connection to {proxy.removeprefix('http://')}"):
        fetch("https://vitgate.invalid/file.pth", tmp_path / "file", sha256=DIGEST, patience=QUICK)


def test_proxy_from_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    path = fetch("http://vitgate.invalid/good", tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert path.read_bytes() == BODY
    assert server.seen == [("http://vitgate.invalid/good", None)]


def test_no_proxy_host_is_contacted_directly(
    server: Server, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", refused.removesuffix("/file.pth"))
    assert fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK).read_bytes() == BODY


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/file", "no address", "https:///nohost"])
def test_only_web_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with one_line(DownloadError, "not an http or https address"):
        fetch(url, tmp_path / "file", sha256=DIGEST)


@pytest.mark.parametrize("folder", ["/dev/null/cache", "/proc/vitgate"])
def test_unwritable_cache_is_machine_error(server: Server, folder: str) -> None:
    with one_line(DownloadError, f"cannot write to {folder}", "move the cache"):
        fetch(server.url("good"), Path(folder) / "file.pth", sha256=DIGEST, patience=QUICK)
    assert server.seen == []


def test_full_disk_is_machine_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".file.part").symlink_to("/dev/full")  # every write to it fails with ENOSPC
    with one_line(DownloadError, "No space left on device", "free disk space"):
        fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []
    assert len(server.seen) == 1


def test_file_larger_than_free_space_is_not_started(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Namespace(free=1_000_000))
    with one_line(DownloadError, "3.0 MB do not fit on the disk, 1.0 MB are free"):
        fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []


def test_download_succeeds_after_space_is_freed(server: Server, small_disk: SmallDisk) -> None:
    path = small_disk.folder / "file.pth"
    small_disk.fill(leave=1 << 20)
    for play, words in (
        ("good", "do not fit on the disk"),
        ("chunked", f"cannot write to {path.parent}: No space left"),
    ):
        with one_line(DownloadError, words):
            fetch(server.url(play), path, sha256=DIGEST, patience=QUICK)
    assert not path.exists()

    small_disk.clear()

    assert fetch(server.url("good"), path, sha256=DIGEST, patience=QUICK).read_bytes() == BODY


def test_write_protected_cache_makes_no_request(server: Server, small_disk: SmallDisk) -> None:
    small_disk.protect()
    path = small_disk.folder / "file.pth"

    with one_line(DownloadError, "Read-only file system", "move the cache"):
        fetch(server.url("good"), path, sha256=DIGEST, patience=QUICK)
    assert server.seen == []


@pytest.mark.parametrize("digits", ["", "b5f2ef4", "B5F2EF4D", "xyzxyzxy", "a" * 65])
def test_short_or_invalid_hash_prefix_is_refused(tmp_path: Path, digits: str) -> None:
    with one_line(UsageError, "hex digits"):
        verified(tmp_path / "file", digits)


def test_unreadable_cached_file_is_machine_error(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with one_line(MachineError, "cannot read the cached file", str(tmp_path / "file")):
        verified(tmp_path / "file", DIGEST)
