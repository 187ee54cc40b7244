"""Artifacts are built once, whole or absent, and never trusted when their bytes are not those that were built."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest_of, key_of
from vitgate.pipeline.artifact_cache import ArtifactCache, Entry

from ..conftest import Processes

KEY = key_of({"case": "digits"})


class Maker:
    """Writes the same bytes each time and counts how often."""

    def __init__(self, content: bytes = b"model" * 100) -> None:
        self.content, self.calls = content, 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_bytes(self.content)


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "artifacts")


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def entry(cache: ArtifactCache, maker: Maker) -> Entry:
    """Return an entry that has been built once."""
    return cache.get(KEY, "m.pt", maker)


def everything(cache: ArtifactCache) -> set[str]:
    """Return the paths of all that the cache holds, the locks apart."""
    paths = (path.relative_to(cache.folder) for path in cache.folder.rglob("*"))
    return {str(path) for path in paths if path.parts[0] != "locks"}


def test_entry_has_path_size_and_digest(entry: Entry, maker: Maker, cache: ArtifactCache) -> None:
    assert Path(entry.path) == cache.folder / KEY / "m.pt"
    assert Path(entry.path).read_bytes() == maker.content
    assert (entry.bytes, entry.digest) == (500, digest_of(Path(entry.path)))
    assert everything(cache) == {KEY, f"{KEY}/m.pt", f"{KEY}/entry.json"}


def test_entry_is_built_once_across_sessions(entry: Entry, maker: Maker, cache: ArtifactCache) -> None:
    again = ArtifactCache(cache.folder).get(KEY, "m.pt", maker)

    assert again == entry
    assert maker.calls == 1


def test_different_keys_have_different_entries(entry: Entry, cache: ArtifactCache) -> None:
    other = Maker(b"other")

    cache.get(key_of({"case": "deit_base"}), "m.pt", other)

    assert other.calls == 1
    assert Path(entry.path).read_bytes() != b"other"


def test_touched_file_is_not_rebuilt(entry: Entry, maker: Maker, cache: ArtifactCache) -> None:
    os.utime(entry.path, (0, 0))

    again = cache.get(KEY, "m.pt", maker)

    assert maker.calls == 1
    assert again.digest == entry.digest


def test_copied_cache_is_valid_and_points_to_copy(
    entry: Entry, maker: Maker, cache: ArtifactCache, tmp_path: Path
) -> None:
    shutil.copytree(cache.folder, tmp_path / "copy")

    again = ArtifactCache(tmp_path / "copy").get(KEY, "m.pt", maker)

    assert maker.calls == 1
    assert Path(again.path) == tmp_path / "copy" / KEY / "m.pt"


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


def rewrite(folder: Path, text: str) -> None:
    os.utime(folder / "m.pt", (0, 0))
    (folder / "entry.json").write_text(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: alter(folder / "m.pt"),
        lambda folder: (folder / "m.pt").write_bytes(b"model" * 99),
        lambda folder: (folder / "m.pt").write_bytes(b""),
        lambda folder: (folder / "m.pt").unlink(),
        lambda folder: (folder / "entry.json").unlink(),
        lambda folder: rewrite(folder, (folder / "entry.json").read_text()[:20]),
        lambda folder: rewrite(folder, "[]"),
        lambda folder: rewrite(folder, json.dumps({"path": "m.pt"})),
        lambda folder: rewrite(folder, (folder / "entry.json").read_text().replace('"digest": "', '"digest": "0')),
    ],
    ids=[
        "byte-altered",
        "truncated",
        "emptied",
        "file-gone",
        "entry-gone",
        "entry-truncated",
        "entry-of-another-kind",
        "entry-without-digest",
        "digest-altered",
    ],
)
def test_damaged_entry_is_rebuilt(spoil: Callable[..., Any], entry: Entry, maker: Maker, cache: ArtifactCache) -> None:
    spoil(cache.folder / KEY)

    again = cache.get(KEY, "m.pt", maker)

    assert maker.calls == 2
    assert Path(again.path).read_bytes() == maker.content
    assert again.digest == entry.digest


def test_leftovers_of_killed_makers_are_removed(cache: ArtifactCache, maker: Maker) -> None:
    (cache.folder / KEY).mkdir()
    (cache.folder / KEY / "m.pt").write_bytes(b"half")
    (cache.folder / f".{KEY}.1.tmp").mkdir()
    (cache.folder / f".{KEY}.1.tmp" / "m.pt").write_bytes(b"half")

    made = cache.get(KEY, "m.pt", maker)

    assert Path(made.path).read_bytes() == maker.content
    assert everything(cache) == {KEY, f"{KEY}/m.pt", f"{KEY}/entry.json"}


def test_leftovers_are_removed_unless_being_made(cache: ArtifactCache, processes: Processes) -> None:
    making, done = processes.context.Event(), processes.context.Event()

    def slow(path: Path) -> None:
        path.write_bytes(b"model")
        making.set()
        assert done.wait(10)

    (cache.folder / ".other.1.tmp").mkdir()
    processes.start(cache.get, KEY, "m.pt", slow)
    assert making.wait(10)

    cache.clear_leftovers()
    left = [path.name.split(".")[1] for path in cache.folder.glob(".*")]
    done.set()

    assert left == [KEY]
    assert processes.statuses() == [0]


def test_raising_maker_leaves_nothing_and_can_be_retried(cache: ArtifactCache, maker: Maker) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get(KEY, "m.pt", fail)

    assert everything(cache) == set()
    assert cache.get(KEY, "m.pt", maker).bytes == 500


def test_maker_without_file_is_error_and_leaves_nothing(cache: ArtifactCache) -> None:
    with pytest.raises(FileNotFoundError):
        cache.get(KEY, "m.pt", lambda path: None)

    assert everything(cache) == set()


@pytest.mark.parametrize("below", [False, True], ids=["a-file", "below-a-file"])
def test_impossible_cache_folder_is_machine_error(below: bool, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("")

    with pytest.raises(MachineError, match="cannot keep artifacts") as caught:
        ArtifactCache(place / "cache" if below else place)

    assert str(place) in str(caught.value)
    assert "--artifact-cache" in str(caught.value)


def test_unwritable_cache_folder_is_machine_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root, every folder would be writable

    with pytest.raises(MachineError, match="not writable"):
        ArtifactCache(tmp_path / "artifacts")


def test_concurrent_processes_build_once(cache: ArtifactCache, processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "made"
    barrier = processes.context.Barrier(4)

    def make(path: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.1)  # the others arrive while it is being made
        path.write_bytes(b"model")

    def worker() -> None:
        barrier.wait()
        assert Path(ArtifactCache(cache.folder).get(KEY, "m.pt", make).path).read_bytes() == b"model"

    for _ in range(4):
        processes.start(worker)

    assert processes.statuses() == [0, 0, 0, 0]
    assert log.read_text() == "made\n"


def test_killed_maker_releases_lock_and_leaves_nothing(
    cache: ArtifactCache, processes: Processes, maker: Maker
) -> None:
    making = processes.context.Event()

    def hang(path: Path) -> None:
        path.write_bytes(b"half")
        making.set()
        time.sleep(60)

    first = processes.start(cache.get, KEY, "m.pt", hang)
    assert making.wait(10)
    first.kill()
    first.join(10)
    made = cache.get(KEY, "m.pt", maker)

    assert Path(made.path).read_bytes() == maker.content
    assert everything(cache) == {KEY, f"{KEY}/m.pt", f"{KEY}/entry.json"}


def test_a_key_changes_with_each_part_and_not_with_their_order() -> None:
    parts: dict[str, object] = {"case": "digits", "engine": None, "lineage": ["original", "scripted"]}
    others: list[dict[str, object]] = [
        {**parts, "engine": "x86"},
        {**parts, "lineage": ["scripted", "original"]},
        {**parts, "more": 1},
        {"case": "digits", "engine": None},
    ]

    keys = {key_of(each) for each in (parts, *others)}

    assert len(keys) == 5
    assert key_of(dict(reversed(parts.items()))) == key_of(parts)
    assert len(key_of(parts)) == 32


def test_a_digest_is_blake2b_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"\0" * (1 << 22) + b"end")  # more than one piece
    other = tmp_path / "other"
    other.write_bytes(b"\0" * (1 << 22) + b"End")

    assert digest_of(path) != digest_of(other)
    path.write_bytes(b"")
    # RFC 7693's function for no input, at 32 bytes
    assert digest_of(path) == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
