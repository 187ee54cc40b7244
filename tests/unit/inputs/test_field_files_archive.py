"""The archive of a field folder: unpacked once, nothing outside of the manifest, no more than it declares."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.inputs.field_files import located, MANIFEST, read_field

from ..conftest import Refuses
from .field_folders import row, write


def pack(folder: Path, *members: tuple[tarfile.TarInfo, bytes], mode: Any = "w:xz") -> str:
    """Write an archive of (TarInfo, content); return its name."""
    with tarfile.open(folder / "files.tar.xz", mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "files.tar.xz"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: Any = "") -> Any:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def packed(folder: Path, *members: tuple[tarfile.TarInfo, bytes], **options: Any) -> Any:
    """Write a manifest of the file `a.pt`, and an archive of it and these members."""
    rows = [row(folder)]
    content = (folder / "a.pt").read_bytes()
    (folder / "a.pt").unlink()
    write(folder, *rows, archive=pack(folder, *members, (member("a.pt"), content), **options))
    return read_field(folder)[0]


def test_archive_is_unpacked_once_per_session(folder: Path, tmp_path: Path) -> None:
    item = packed(folder)

    path = located(item, tmp_path / "session")

    assert path.read_bytes() == b"content of a.pt"
    assert path.is_relative_to(tmp_path / "session")
    before = path.stat()
    assert located(item, tmp_path / "session").stat().st_mtime_ns == before.st_mtime_ns
    assert [each.name for each in folder.iterdir()] == ["files.tar.xz", MANIFEST] or len(list(folder.iterdir())) == 2


def test_killed_unpacking_is_repeated(folder: Path, tmp_path: Path) -> None:
    item = packed(folder)
    path = located(item, tmp_path)
    path.write_bytes(b"half")
    path.parent.with_suffix(".unpacked").unlink()

    assert located(item, tmp_path).read_bytes() == b"content of a.pt"


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../evil.pt", tarfile.REGTYPE, ""),
        ("/tmp/evil.pt", tarfile.REGTYPE, ""),  # noqa: S108  # a name, never written to
        ("sub/a.pt", tarfile.REGTYPE, ""),
        ("stranger.pt", tarfile.REGTYPE, ""),
        ("a.pt", tarfile.SYMTYPE, "/etc/passwd"),
        ("a.pt", tarfile.LNKTYPE, "../../a.pt"),
        ("a.pt", tarfile.DIRTYPE, ""),
        ("a.pt", tarfile.FIFOTYPE, ""),
        ("a.pt", tarfile.CHRTYPE, ""),
    ],
)
def test_archive_member_outside_manifest_is_refused(
    folder: Path, tmp_path: Path, refuses: Refuses, name: str, kind: bytes, link: str
) -> None:
    item = packed(folder, (member(name, kind, link), b""))

    refuses(lambda: located(item, tmp_path / "session"), "not a file of the manifest", "export the files again")
    assert [path for path in tmp_path.rglob("*evil*")] == []


def test_archive_member_larger_than_declared_is_not_unpacked(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    item = packed(folder, (member("a.pt"), bytes(50_000_000)))
    assert (folder / "files.tar.xz").stat().st_size < 50_000

    refuses(lambda: located(item, tmp_path / "session"), "not a file of the manifest")
    assert sum(path.stat().st_size for path in (tmp_path / "session").rglob("*.pt")) == 0


def test_manifest_of_more_than_16_gib_is_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder, bytes=1 << 40), archive=pack(folder))

    refuses(lambda: located(read_field(folder)[0], tmp_path), "more than 16 GiB")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive at all"),
        lambda path: path.write_bytes(path.read_bytes()[:2000]),
        lambda path: path.write_bytes(lzma.compress(b"no archive")),
        lambda path: path.write_bytes(path.read_bytes()[:200] + bytes(60) + path.read_bytes()[260:]),
    ],
)
def test_unreadable_archive_is_refused(
    folder: Path, tmp_path: Path, refuses: Refuses, spoil: Callable[..., Any]
) -> None:
    noise = np.random.default_rng(0).bytes(4000)
    rows = [row(folder, "b.pt", bytes=len(noise))]
    write(folder, *rows, archive=pack(folder, (member("b.pt"), noise)))
    spoil(folder / "files.tar.xz")

    refuses(lambda: located(read_field(folder)[0], tmp_path / "session"), "files.tar.xz", "again")


@pytest.mark.parametrize("name", ["../files.tar.xz", "/files.tar.xz", "sub/files.tar.xz"])
def test_archive_outside_folder_is_refused(folder: Path, tmp_path: Path, refuses: Refuses, name: str) -> None:
    write(folder, row(folder), archive=name)

    refuses(lambda: located(read_field(folder)[0], tmp_path), "is not a plain file name")


def test_full_disk_while_unpacking_stays_an_os_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: Any, file: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vitgate.inputs.field_files.shutil.copyfileobj", full)

    with pytest.raises(OSError, match="No space left"):
        located(packed(folder), tmp_path)
