"""Weights must arrive whole, from where the user asked, executing nothing; everything else is one clear line."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import vitgate
from vitgate.build.cache import sha256_of
from vitgate.errors import MachineError, UsageError, VitgateError
from vitgate.inputs import download
from vitgate.inputs.download import DownloadError, fetch, Patience, verified
from vitgate.inputs.weights import check_state, Checkpoint, choose_source, find_pretrained, read_state

BODY = random.Random(0).randbytes(3_000_000)  # three reads, so that it can be cut off between them
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(connect=2.0, read=0.3, attempts=3, pause=0.01)
SRC = Path(vitgate.__file__).parents[1]


# ---------------------------------------------------------------------------------------------------------------------
# What the tests share


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
        getattr(self, "play_" + self.path.strip("/").split("-")[0])()

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
        self.answer(200, b"<html>Please log in to this network</html>")

    def play_slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:10])
        self.wfile.flush()
        time.sleep(0.6)

    def play_silent(self) -> None:
        time.sleep(0.6)

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody listens."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with Server() as gone:
        return gone.url("file.pth")


def cached(folder: Path, name: str, body: bytes = BODY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    return folder / name


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# ---------------------------------------------------------------------------------------------------------------------
# Downloads


@pytest.mark.parametrize(
    ("play", "ranges"),
    [
        ("good", [None]),
        ("unhurried", [None]),
        ("chunked", [None]),
        ("busy", [None, None]),
        ("cut", [None, "bytes=1500000-"]),
        ("norange", [None, "bytes=1500000-"]),
    ],
)
def test_fetch_brings_the_whole_file_and_nothing_else(
    server: Server, tmp_path: Path, play: str, ranges: list[str | None]
) -> None:
    path = fetch(server.url(play), tmp_path / "new" / "file.pth", sha256=DIGEST[:8], patience=QUICK)
    assert path.read_bytes() == BODY
    assert server.seen == [(f"/{play}", asked) for asked in ranges]
    assert left_behind(path.parent) == ["file.pth"]


def test_fetch_follows_a_redirect(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("moved"), tmp_path / "file", sha256=DIGEST, patience=QUICK).read_bytes() == BODY


def test_fetch_asks_nobody_for_a_file_that_is_there(server: Server, tmp_path: Path) -> None:
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
    ],
)
def test_fetch_says_in_one_line_what_the_server_did(
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
def test_what_an_earlier_attempt_left_is_used_only_if_it_is_right(
    server: Server, tmp_path: Path, part: bytes, ranges: list[str | None]
) -> None:
    (tmp_path / ".file.part").write_bytes(part)
    assert fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK).read_bytes() == BODY
    assert [asked for _, asked in server.seen] == ranges


def test_a_wrong_file_is_neither_cached_nor_kept_for_resuming(server: Server, tmp_path: Path) -> None:
    with one_line(DownloadError, "sha256"):
        fetch(server.url("wrong"), tmp_path / "file.pth", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []


def test_threads_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    def get(_: int) -> Path:
        return fetch(server.url("unhurried"), tmp_path / "file.pth", sha256=DIGEST[:8], patience=QUICK)

    with ThreadPoolExecutor(4) as pool:
        assert {path.read_bytes() == BODY for path in pool.map(get, range(4))} == {True}
    assert len(server.seen) == 1


def test_processes_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vitgate.inputs.download import fetch;"
        f"fetch({server.url('unhurried')!r}, Path({str(tmp_path / 'file.pth')!r}), sha256={DIGEST[:8]!r})"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}) for _ in "ab"]
    assert [process.wait(30) for process in started] == [0, 0]
    assert sha256_of(tmp_path / "file.pth") == DIGEST
    assert len(server.seen) == 1


def test_a_refused_connection_fails_soon(refused: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with one_line(DownloadError, "no connection to 127.0.0.1", "refused"):
        fetch(refused, tmp_path / "file", sha256=DIGEST)  # with the default patience
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("host", ["vitgate.invalid", "a" * 70 + ".invalid"])  # the second is too long for DNS
def test_an_unknown_host_fails_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    def unknown(name: str, *args: object, **options: object) -> None:
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    start = time.monotonic()
    with one_line(DownloadError, f"no connection to {host}:443"):
        fetch(f"https://{host}/file.pth", tmp_path / "file", sha256=DIGEST)
    assert time.monotonic() - start < 5


def test_a_name_server_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: time.sleep(1) or Namespace(close=int))
    start = time.monotonic()
    with one_line(DownloadError, "no answer within 0.1 s"):
        fetch("https://vitgate.invalid/x", tmp_path / "file", sha256=DIGEST, patience=Patience(connect=0.1))
    assert time.monotonic() - start < 1


def test_the_proxy_of_the_environment_is_what_must_be_reachable(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = refused.removesuffix("/file.pth")
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    with one_line(DownloadError, f"no connection to {proxy.removeprefix('http://')}"):
        fetch("https://vitgate.invalid/file.pth", tmp_path / "file", sha256=DIGEST, patience=QUICK)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/file", "no address", "https:///nohost"])
def test_only_web_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with one_line(DownloadError, "not an http or https address"):
        fetch(url, tmp_path / "file", sha256=DIGEST)


@pytest.mark.parametrize("folder", ["/dev/null/cache", "/proc/vitgate"])
def test_a_cache_that_cannot_be_written_is_the_machines_fault(server: Server, folder: str) -> None:
    with one_line(DownloadError, f"cannot write to {folder}", "move the cache"):
        fetch(server.url("good"), Path(folder) / "file.pth", sha256=DIGEST, patience=QUICK)
    assert server.seen == []


def test_a_disk_that_fills_up_is_the_machines_fault(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".file.part").symlink_to("/dev/full")  # every write to it fails with ENOSPC
    with one_line(DownloadError, "No space left on device", "free disk space"):
        fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []
    assert len(server.seen) == 1


def test_a_file_larger_than_the_free_space_is_not_begun(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: Namespace(free=1_000_000))
    with one_line(DownloadError, "3.0 MB do not fit on the disk, 1.0 MB are free"):
        fetch(server.url("good"), tmp_path / "file", sha256=DIGEST, patience=QUICK)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("digits", ["", "b5f2ef4", "B5F2EF4D", "xyzxyzxy", "a" * 65])
def test_a_prefix_that_proves_nothing_is_refused(tmp_path: Path, digits: str) -> None:
    with one_line(UsageError, "hex digits"):
        verified(tmp_path / "file", digits)


def test_a_cached_file_that_cannot_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with one_line(MachineError, "cannot read the cached file", str(tmp_path / "file")):
        verified(tmp_path / "file", DIGEST)


# ---------------------------------------------------------------------------------------------------------------------
# The choice of a source


def test_the_checkpoint_goes_to_torchs_own_cache(server: Server, torch_home: Path) -> None:
    checkpoint = Checkpoint(server.url(f"good-{DIGEST[:8]}.pth"), DIGEST[:8])
    source = choose_source("pretrained", checkpoint, has_standin=True, patience=QUICK)
    assert (source.kind, source.path) == ("pretrained", torch_home / f"good-{DIGEST[:8]}.pth")
    assert source.path is not None and source.path.read_bytes() == BODY
    assert f"published checkpoint good-{DIGEST[:8]}.pth" in source.note


@pytest.mark.parametrize("request_", ["auto", "pretrained"])
def test_a_cached_checkpoint_needs_no_network(refused: str, torch_home: Path, request_: str) -> None:
    path = cached(torch_home, "file.pth")
    source = choose_source(request_, Checkpoint(refused, DIGEST[:8]), has_standin=True)
    assert (source.kind, source.path) == ("pretrained", path)


def test_torchs_own_download_and_ours_share_the_file(server: Server, torch_home: Path) -> None:
    name = f"good-{DIGEST[:8]}.pth"
    ours = find_pretrained(Checkpoint(server.url(name), DIGEST[:8]), download=True, patience=QUICK)
    assert ours == Path(torch.hub.get_dir()) / "checkpoints" / name


@pytest.mark.parametrize("request_", ["auto", "pretrained"])
def test_a_damaged_cached_checkpoint_is_never_used_nor_passed_over(
    server: Server, torch_home: Path, request_: str
) -> None:
    path = cached(torch_home, "good", BODY[:-1])
    with one_line(UsageError, "damaged", str(path), "delete it"):
        choose_source(request_, Checkpoint(server.url("good"), DIGEST[:8]), has_standin=True, patience=QUICK)
    assert server.seen == []


def test_auto_falls_back_on_the_standin_and_says_why(refused: str, torch_home: Path) -> None:
    source = choose_source("auto", Checkpoint(refused, DIGEST[:8]), has_standin=True, patience=QUICK)
    assert (source.kind, source.path) == ("standin", None)
    assert "stand-in" in source.note and "no connection to 127.0.0.1" in source.note and "\n" not in source.note


def test_auto_falls_back_after_a_404(server: Server, torch_home: Path) -> None:
    source = choose_source("auto", Checkpoint(server.url("404"), DIGEST[:8]), has_standin=True, patience=QUICK)
    assert source.kind == "standin" and "404" in source.note


@pytest.mark.parametrize(("request_", "has_standin"), [("pretrained", True), ("auto", False)])
def test_nothing_replaces_a_checkpoint_that_must_be_had(
    refused: str, torch_home: Path, request_: str, has_standin: bool
) -> None:
    with one_line(MachineError, "no connection", refused, str(torch_home / "file.pth")):
        choose_source(request_, Checkpoint(refused, DIGEST[:8]), has_standin, patience=QUICK)


def test_without_permission_nothing_is_downloaded(server: Server, torch_home: Path) -> None:
    with one_line(MachineError, "not cached", str(torch_home / "good")):
        find_pretrained(Checkpoint(server.url("good"), DIGEST[:8]), download=False)
    assert server.seen == []


def test_the_standin_asks_nobody() -> None:
    assert choose_source("standin", None, has_standin=True).kind == "standin"


def test_a_case_without_a_checkpoint() -> None:
    assert choose_source("auto", None, has_standin=True).kind == "standin"
    with one_line(UsageError, "no checkpoint is published"):
        choose_source("pretrained", None, has_standin=True)
    with one_line(UsageError, "no checkpoint is published"):
        choose_source("auto", None, has_standin=False)
    with one_line(UsageError, "no stand-in"):
        choose_source("standin", None, has_standin=False)


def test_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cached(tmp_path, "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    source = choose_source("mine.safetensors", None, has_standin=True)
    assert (source.kind, source.path) == ("file", path)
    assert str(path) in source.note


@pytest.mark.parametrize(("request_", "word"), [("pretraind", "auto, pretrained, standin"), (".", "no such file")])
def test_a_file_that_is_none(request_: str, word: str) -> None:
    with one_line(UsageError, word):
        choose_source(request_, None, has_standin=True)


def test_a_file_with_another_ending(tmp_path: Path) -> None:
    with one_line(UsageError, ".safetensors"):
        choose_source(str(cached(tmp_path, "model.ptl")), None, has_standin=True)


# ---------------------------------------------------------------------------------------------------------------------
# Reading


class Bomb:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (os.mkdir, (str(self.target),))


def tiny() -> dict[str, torch.Tensor]:
    return {"pos": torch.arange(6.0).reshape(1, 2, 3), "head.weight": torch.ones(4, 3), "head.bias": torch.zeros(4)}


SHAPES = {name: tuple(tensor.shape) for name, tensor in tiny().items()}


def save_zip(value: object, path: Path) -> None:
    torch.save(value, path)


def save_legacy(value: object, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def save_raw(value: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=2))


def save_tar(value: object, path: Path, *first: tarfile.TarInfo) -> None:
    """Write the form of torch before 0.1.10, which torch.load still tries."""
    with tarfile.open(path, "w:", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for entry in first:
            archive.addfile(entry)
        for name in ("storages", "tensors", "pickle"):
            body, entry = pickle.dumps(value if name == "pickle" else 0, protocol=2), tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))


def save_magic_tar(value: object, path: Path) -> None:
    """Write the same, the first entry's name beginning as torch.save's later form does."""
    save_tar(value, path, tarfile.TarInfo(bytes.fromhex("80028a0a6cfc9c46f9206aa850192e").decode("latin-1")))


def save_three(state: dict[str, torch.Tensor], folder: Path) -> None:
    save_zip(state, folder / "z.pth")
    save_legacy(state, folder / "l.pth")
    save_file(state, str(folder / "s.safetensors"))


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s, "epoch": 3}])
def test_a_checkpoint_is_read_and_unwrapped(
    tmp_path: Path, save: Callable[..., None], wrap: Callable[..., object]
) -> None:
    save(wrap(tiny()), tmp_path / "file.pth")
    state = read_state(tmp_path / "file.pth")
    assert list(state) == list(tiny())
    assert all(torch.equal(state[name], tensor) for name, tensor in tiny().items())


def test_safetensors_and_parameters_are_read(tmp_path: Path) -> None:
    save_file(tiny(), str(tmp_path / "file.safetensors"))
    assert {name: tuple(tensor.shape) for name, tensor in read_state(tmp_path / "file.safetensors").items()} == SHAPES
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "file.pt")
    assert not read_state(tmp_path / "file.pt")["w"].requires_grad


@pytest.mark.parametrize(
    ("save", "word"),
    [
        (save_zip, "mkdir"),
        (save_legacy, "mkdir"),
        (save_raw, "not made by torch.save"),
        (save_tar, "not made by torch.save"),
        (save_magic_tar, "tar archive"),
    ],
)
def test_a_malicious_pickle_executes_nothing(tmp_path: Path, save: Callable[..., None], word: str) -> None:
    save({"model": {"w": Bomb(tmp_path / "harm")}}, tmp_path / "evil.pth")
    with one_line(UsageError, "cannot use this file as weights", str(tmp_path / "evil.pth"), word):
        read_state(tmp_path / "evil.pth")
    assert not (tmp_path / "harm").exists()


def test_the_bomb_is_live(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "harm")))  # noqa: S301  # to show that it would do harm
    assert (tmp_path / "harm").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")  # newer releases; the archive is what matters here
def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "scripted.pt"))
    with one_line(UsageError, "TorchScript archive, a program rather than weights", "state_dict()"):
        read_state(tmp_path / "scripted.pt")


def test_a_checkpoint_that_was_compressed_is_refused(tmp_path: Path) -> None:
    torch.save(tiny(), tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole:
        contents = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in contents.items():
            packed.writestr(name, data)
    with one_line(UsageError, "compressed", str(tmp_path / "packed.pth")):
        read_state(tmp_path / "packed.pth")


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_checkpoint_whose_pickle_would_fill_the_memory_is_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    class Asks:
        def __reduce__(self) -> tuple[type, tuple[int]]:
            return bytearray, (50_000_000_000,)

    save({"model": tiny(), "more": Asks()}, tmp_path / "file.pth")
    with one_line(UsageError, "asks for", "bytearray", "nothing of it was run"):
        read_state(tmp_path / "file.pth")


@pytest.mark.parametrize("name", ["z.pth", "l.pth", "s.safetensors"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.98])
def test_a_truncated_file_is_one_line(tmp_path: Path, name: str, part: float) -> None:
    save_three({"w": torch.zeros(10_000)}, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with one_line(UsageError, str(tmp_path / name), "again"):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "body", "word"),
    [
        ("e.pth", b"", "empty"),
        ("e.safetensors", b"", "empty"),
        ("t.pth", b"just text", "not made by torch.save"),
        ("t.safetensors", b"just text", "not a whole safetensors file"),
        ("p.pth", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("w.safetensors", b"<!DOCTYPE html><html>", "web page"),
        ("z.pt", b"PK\x03\x04 and nothing more", "damaged"),
        ("n.onnx", b"anything", ".safetensors"),
    ],
)
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, name: str, body: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(body)
    with one_line(UsageError, word, str(tmp_path / name)):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, ["no tensors"]),
        ({"model": {}}, ["no tensors"]),
        (torch.ones(2), ["holds a Tensor"]),
        ([torch.ones(2)], ["holds a list"]),
        ({"w": torch.ones(2), "epoch": 3}, ["entry epoch", "of type int"]),
        ({"w": torch.ones(2), "lr": 0.1}, ["state_dict() alone"]),  # torch 1.13.1 reads no floats under weights_only
        ({0: torch.ones(2)}, ["entry 0"]),
        ({"w": torch.ones(2).to_sparse()}, ["entry w", "sparse"]),
        ({"w": torch.ones(2, device="meta")}, ["entry w", "meta"]),
        ({"bad\nname\x1b[31m": 1}, ["bad\\nname\\x1b[31m"]),
        ({"model": tiny(), "args": Namespace(lr=0.1)}, ["argparse.Namespace", "nothing of it was run"]),
        (torch.nn.Linear(2, 2), ["Linear", "nothing of it was run"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_contents_than_tensors_are_one_line(tmp_path: Path, value: object, words: list[str]) -> None:
    torch.save(value, tmp_path / "file.pth")
    with one_line(UsageError, "cannot use this file as weights", *words):
        read_state(tmp_path / "file.pth")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with one_line(UsageError, "No such file"):
        read_state(tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["z.pth", "l.pth", "s.safetensors"])
def test_whatever_happened_to_a_file_is_one_line(tmp_path: Path, name: str) -> None:
    save_three(tiny(), tmp_path)
    whole, dice = (tmp_path / name).read_bytes(), random.Random(name)
    refused = 0
    for _ in range(150):
        mutant = bytearray(whole)
        for _ in range(dice.choice([1, 3, 30])):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        (tmp_path / name).write_bytes(mutant)
        try:
            read_state(tmp_path / name)
        except UsageError as error:
            assert str(error).isprintable(), repr(str(error))
            refused += 1
    assert refused > 30


# ---------------------------------------------------------------------------------------------------------------------
# Comparing with the model


def check(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return check_state(state, SHAPES, where="mine.pth", model="tiny_vit")


def test_a_right_state_is_adopted_in_the_models_order() -> None:
    given = tiny()
    state = check(dict(reversed(list(given.items()))))
    assert list(state) == list(SHAPES)
    assert all(state[name].data_ptr() == given[name].data_ptr() for name in SHAPES)  # not copied


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_dtypes_become_float32(dtype: torch.dtype) -> None:
    state = check({name: tensor.to(dtype) for name, tensor in tiny().items()})
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert torch.equal(state["pos"], tiny()["pos"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pos": None}, ["1 missing: pos", "of 3 parameters"]),
        ({"fc_norm.weight": torch.ones(3)}, ["1 extra: fc_norm.weight"]),
        ({"pos": None, "position": torch.ones(2)}, ["1 missing: pos; 1 extra: position"]),
        ({f"extra.{n}": torch.ones(1) for n in range(5)}, ["5 extra: extra.0, extra.1, extra.2, …"]),
        ({"pos": torch.ones(1, 2, 5)}, ["1 of 3 shapes", "pos is [1, 2, 5] instead of [1, 2, 3]"]),
        ({"pos": torch.ones(6)}, ["pos is [6] instead of [1, 2, 3]"]),
    ],
    ids=["missing", "extra", "both", "many", "shape", "rank"],
)
def test_another_architecture_is_named_with_its_difference(
    change: dict[str, torch.Tensor | None], words: list[str]
) -> None:
    state = {name: tensor for name, tensor in {**tiny(), **change}.items() if tensor is not None}
    with one_line(UsageError, "not those of tiny_vit", "mine.pth", *words):
        check(state)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_names_its_parameter(value: float) -> None:
    state = tiny()
    state["head.weight"][1, 2] = value
    with one_line(UsageError, "parameter head.weight has 1 of 12 values NaN or infinite"):
        check(state)


def test_a_double_too_large_for_float32_counts_as_infinite() -> None:
    with one_line(UsageError, "head.bias has 4 of 4"):
        check({**tiny(), "head.bias": torch.full((4,), 1e300, dtype=torch.float64)})


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_integers_are_no_weights(dtype: torch.dtype) -> None:
    with one_line(UsageError, "head.bias is torch", "unquantized"):
        check({**tiny(), "head.bias": torch.zeros(4, dtype=dtype)})


# ---------------------------------------------------------------------------------------------------------------------
# Layering


def test_the_modules_import_without_torch() -> None:
    code = "import sys, vitgate.inputs.weights, vitgate.inputs.download; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
