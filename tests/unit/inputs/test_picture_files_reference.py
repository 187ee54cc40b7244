"""The reference picture: the user's, the cached one, a download or the embedded one, and a note that says which."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from PIL import Image

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.locks import locked
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs import picture_files
from vitgate.inputs.picture_files import load_picture, own_reference, reference_picture

from .made_pictures import save
from .picture_site import BODY, DIGEST, fell_back, files, get, QUICK, send, Site
from .server import one_line


def test_download_then_cache(site: Site, tmp_path: Path, embedded: Path) -> None:
    first, second = get(site, tmp_path, embedded), get(site, tmp_path, embedded)
    assert (first.source, second.source, site.requests) == ("download", "cache", 1)
    assert first.path == second.path
    assert first.path.read_bytes() == BODY
    assert first.sha256 == second.sha256 == DIGEST
    assert site.url in first.note
    assert "cache" in second.note
    assert files(tmp_path / "cache") == ["image.png"]


def test_damaged_cache_is_replaced(site: Site, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "image.png").write_bytes(BODY[:-1])
    assert get(site, tmp_path, embedded).source == "download"
    assert (tmp_path / "cache" / "image.png").read_bytes() == BODY


def test_assets_folder_takes_precedence(site: Site, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").write_bytes(BODY)
    found = get(site, tmp_path, embedded, assets=tmp_path)
    assert (found.source, found.path, found.sha256) == ("assets", tmp_path / "image.png", DIGEST)
    assert "asset folder" in found.note
    assert site.requests == 0


def test_assets_folder_without_picture_falls_back_to_download(site: Site, tmp_path: Path, embedded: Path) -> None:
    assert get(site, tmp_path, embedded, assets=tmp_path).source == "download"


def test_wrong_asset_is_a_usage_error(tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"another")
    with one_line(UsageError, "image.png", "sha256", DIGEST):
        get(None, tmp_path, embedded, assets=tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "own.png"])
def test_missing_asset_folder_is_a_usage_error(name: str, tmp_path: Path, embedded: Path) -> None:
    with one_line(UsageError, "no such asset folder", name):
        get(None, tmp_path, embedded, assets=tmp_path / name)


def test_asset_that_is_a_folder_is_a_usage_error(tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "image.png").mkdir()
    with one_line(UsageError, "image.png"):
        get(None, tmp_path, embedded, assets=tmp_path)


def test_concurrent_first_downloads_fetch_once(site: Site, tmp_path: Path, embedded: Path) -> None:
    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.1)
        send(handler, 200, BODY)

    site.answers = [slowly]
    patience = replace(QUICK, read=5, total=10)
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(get, site, tmp_path, embedded, patience=patience) for _ in range(8)]
    assert {job.result().path.read_bytes() for job in jobs} == {BODY}
    assert site.requests == 1


def test_lock_held_by_another_times_out(site: Site, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "cache").mkdir()
    with locked(tmp_path / "cache" / ".image.png"):
        found = get(site, tmp_path, embedded, patience=replace(QUICK, total=0.2))
    fell_back(found, tmp_path, "took longer than")
    assert site.requests == 0


def test_unwritable_cache_falls_back(site: Site, tmp_path: Path, embedded: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = get(site, tmp_path, embedded, cache=tmp_path / "file" / "cache")
    fell_back(found, tmp_path, "cannot write", "Not a directory")


def test_full_disk_falls_back_and_leaves_nothing(
    site: Site, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    fell_back(get(site, tmp_path, embedded), tmp_path, "No space left on device")


def test_picture_without_any_source_is_machine_error(site: Site, tmp_path: Path) -> None:
    site.answers = [lambda handler: send(handler, 404, b"")]
    with one_line(MachineError, "answered 404", "own.png", "asset folder"):
        get(site, tmp_path, tmp_path / "own.png")


def test_default_cache_is_user_cache(
    site: Site, tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitgate.files.paths.user_cache_path", lambda name: tmp_path / f"user-{name}")
    assert get(site, tmp_path, embedded, cache=None).path == tmp_path / "user-vitgate" / "image.png"


def test_progress_bar_stays_off_outside_a_terminal(
    site: Site, tmp_path: Path, embedded: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    get(site, tmp_path, embedded)
    assert capfd.readouterr() == ("", "")


def test_default_embedded_picture_is_readable(tmp_path: Path) -> None:
    found = reference_picture(None, tmp_path / "cache", "http://127.0.0.1:9/", patience=replace(QUICK, attempts=0))
    assert found.source == "embedded"
    assert load_picture(found.path).size == (300, 360)


def test_reference_url_is_pinned() -> None:
    assert picture_files.REFERENCE_URL.startswith("https://")
    assert len(picture_files.REFERENCE_SHA256) == 64


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
    with one_line(UsageError, "ball.png", "not a picture"):
        own_reference(tmp_path, "ball.png", embedded=fixtures_folder() / "images" / "soccer_ball.png")
