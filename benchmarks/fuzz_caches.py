"""What earlier runs and other processes left: evidence, artifacts, environments, tables."""

from __future__ import annotations

import json
from pathlib import Path

import fuzz_mutations as spoil
import numpy as np
from fuzz_form import json_reader, Reader

from vitgate.files.schemas import fixtures_folder
from vitgate.judge.table import differences, parse, read_table
from vitgate.observe.store import pack, Store, unpack
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.spec.outcome import Evidence
from vitgate.upgrade.environments import MARKER, read_marker


def evidence(folder: Path) -> Reader:
    """Evidence that another process of the run wrote: values."""
    store = Store(folder / "store")
    store.get("outputs", "digits", lambda: Evidence({"a": [1, 2]}, {"x": np.ones(3, np.float32)}))
    tree = {"values": {"a": [1, 2]}, "outcome": {"kind": "failed", "at": "", "error": "E", "message": "m", "findings": [
        {"statistic": "sqnr", "value": 1.0, "unit": "dB"}]}}  # fmt: skip
    return json_reader(folder / "store" / "outputs", "digits.json", tree, lambda path: store.find("outputs", "digits"))


def packed(folder: Path) -> Reader:
    """Evidence in the cache, or whose arrays another process wrote: an archive of arrays."""
    path = folder / "store" / "outputs" / "digits.npz"
    store = Store(folder / "store")
    store.get("outputs", "digits", lambda: Evidence({}, {"x": np.ones(3, np.float32)}))
    pack(Evidence({"a": 1}, {"x": np.ones(3, np.float32)}), path)
    sound = path.read_bytes()
    entries = spoil.zip_entries(sound)

    def read(path: Path) -> None:
        store.find("outputs", "digits")
        unpack(path)

    return Reader(path, [sound], lambda rng: spoil.zip_file(rng, entries, spoil.npy_file), read)


def cache(folder: Path) -> Reader:
    """An entry of the artifact cache."""

    def write(target: Path) -> None:
        target.write_bytes(b"content")

    artifacts = ArtifactCache(folder / "cache")

    def read(path: Path) -> None:
        found = artifacts.get("key", "a.pt", write)
        if Path(found.path).read_bytes() != b"content":
            raise ValueError("the cache gave another file")

    read(folder)
    path = folder / "cache" / "key" / "entry.json"
    return json_reader(path.parent, path.name, json.loads(path.read_text(encoding="utf-8")), read)


def marker(folder: Path) -> Reader:
    """The marker of a cached environment."""
    tree = {"format": 1, "name": "2.12.1", "requirements": ["torch==2.12.1"], "torch": "2.12.1", "bytes": 1}
    tree |= {"versions": {"torch": "2.12.1"}, "made": "2026-01-01T00:00:00", "packages": "ab"}
    return json_reader(folder, MARKER, tree, lambda path: read_marker(path.parent))


def table(folder: Path) -> Reader:
    """An accepted table."""
    sound = (fixtures_folder() / "tables" / "digits-qnnpack.txt").read_bytes()
    own = parse(sound.decode())

    case = lambda rng: (spoil.in_text if rng.random() < 0.6 else spoil.in_bytes)(rng, sound)  # noqa: E731  # likewise
    return Reader(folder / "table.txt", [sound], case, lambda path: differences(own, read_table(path)))
