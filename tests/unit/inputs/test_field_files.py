"""Field folders with a manifest: what is read from one, and the one line for whatever cannot be read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.inputs.field_files import (
    committed,
    FieldFile,
    FieldItem,
    given,
    located,
    MANIFEST,
    read_field,
    SEEN,
    seen,
    selected,
)

from ..conftest import Refuses
from .field_folders import LOGITS, row, write, X


def alter(folder: Path, change: Any) -> None:
    """Change the manifest's JSON as nobody's code would."""
    data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data), encoding="utf-8")


# ---- the manifest


def test_folder_with_manifest_is_read(folder: Path) -> None:
    known = row(folder, "lite.ptl", runtime="lite_interpreter", case="digits", engine="qnnpack", variant="lite")
    write(folder, known, row(folder))

    found = read_field(folder)

    assert [(item.folder, item.maker, item.row.id) for item in found] == [
        (str(folder), "2.12.1", "lite.ptl"),
        (str(folder), "2.12.1", "a.pt"),
    ]
    assert [str(item.cell) for item in found] == ["digits-qnnpack-lite", "None"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(schema_version=2), ("schema 2 is newer than 1", "upgrade vitgate")),
        (lambda data: data.update(schema_version=0), ("schema_version", "mend that entry")),
        (lambda data: data.pop("maker"), ("maker",)),
        (lambda data: data.update(extra=1), ("extra",)),
        (lambda data: data["files"].append(data["files"][0]), ("duplicate name 'a.pt'",)),
        (lambda data: data["files"][0].update(id="../x"), ("files.0.id",)),
        (lambda data: data["files"][0].update(sha256="ab"), ("files.0.sha256",)),
        (lambda data: data["files"][0].update(engine="cuda"), ("files.0.engine",)),
        (lambda data: data["files"][0].update(case="digit"), ("case 'digit' does not exist", "digits")),
        (lambda data: data["files"][0].update(file="../a.pt"), ("'../a.pt' is not a plain file name",)),
        (lambda data: data["files"][0].update(file="/etc/passwd"), ("'/etc/passwd' is not a plain file name",)),
        (lambda data: data["files"][0].update(file="sub/a.pt"), ("'sub/a.pt' is not a plain file name",)),
        (lambda data: data["files"][0].update(file=""), ("'' is not a plain file name",)),
        (lambda data: data["files"][0].update(file=".."), ("'..' is not a plain file name",)),
    ],
)
def test_invalid_manifest_is_refused(
    folder: Path, refuses: Refuses, change: Callable[..., Any], words: tuple[str, ...]
) -> None:
    write(folder, row(folder))
    alter(folder, change)

    refuses(lambda: read_field(folder), folder, *words)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"schema_version": "1"}', "\ufffe", "null"])
def test_unparsable_manifest_is_refused(folder: Path, refuses: Refuses, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-16" if text == "\ufffe" else "utf-8")

    refuses(lambda: read_field(folder), MANIFEST)


def test_manifest_that_is_a_folder_is_refused(folder: Path, refuses: Refuses) -> None:
    (folder / MANIFEST).mkdir()

    refuses(lambda: read_field(folder), "not a readable manifest")


def test_equal_ids_in_two_folders_are_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for each in (folder, other):
        write(each, row(each))

    refuses(lambda: given((str(folder), str(other))), "duplicate name 'a.pt'", folder, other)


def test_files_are_verified_by_content(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder), row(folder, "b.pt"))
    (item, other) = read_field(folder)
    (folder / "b.pt").write_bytes(b"another")

    assert located(item, tmp_path) == folder / "a.pt"
    refuses(lambda: located(other, tmp_path), "b.pt is not the file of the manifest")
    (folder / "b.pt").unlink()
    refuses(lambda: located(other, tmp_path), "b.pt is not the file of the manifest")


def test_symbolic_link_is_verified_by_target_content(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder))
    (folder / "a.pt").rename(tmp_path / "elsewhere.pt")
    (folder / "a.pt").symlink_to(tmp_path / "elsewhere.pt")
    (item,) = read_field(folder)

    assert located(item, tmp_path).read_bytes() == b"content of a.pt"
    (tmp_path / "elsewhere.pt").write_bytes(b"other")
    refuses(lambda: located(item, tmp_path), "is not the file")


def test_committed_files_match_their_manifests(tmp_path: Path) -> None:
    items = committed()

    makers = list(dict.fromkeys(item.maker for item in items if item.row.engine != "none"))
    assert makers == sorted(makers, key=lambda text: [int(part) for part in text.split(".")])
    assert "2.12.1" in makers
    for item in [item for item in items if item.maker == "2.12.1" or item.row.engine == "none"]:
        assert located(item, tmp_path).stat().st_size == item.row.bytes
        found = seen(item)
        assert found.logits is not None
        assert found.original is not None
        assert len(found.x) == len(found.logits) == len(found.original)
        assert found.least_sqnr_db is None


def test_three_releases_of_each_successors_package_are_committed() -> None:
    packages = [item.row.id.partition("_")[0] for item in committed() if item.row.engine == "none"]

    assert {name: packages.count(name) for name in packages} == {"executorch": 3, "onnxruntime": 3, "torch": 3}


def test_run_checks_files_of_its_engines_and_of_unknown_ones() -> None:
    def item(**fields: Any) -> FieldItem:
        whole = {"id": "a", "file": "a.pt", "runtime": "torchscript", "bytes": 1, "sha256": "0" * 64}
        return FieldItem("", "", FieldFile(**whole, **fields))

    lite, other, own = item(case="digits", engine="qnnpack"), item(case="deit_base", engine="x86"), item()
    of_engine = item(engine="x86")

    assert list(selected([lite, other, own, of_engine], ["digits"], ["qnnpack"])) == [lite, own]
    assert list(selected([lite, other, own, of_engine], ["deit_base"], ["x86"])) == [other, own, of_engine]


# ---- what the maker saw


def test_recorded_inputs_and_logits_are_read(folder: Path) -> None:
    write(folder, row(folder, case="digits"), row(folder, "own.pt", least_sqnr_db=33.0))
    arrays: dict[str, Any] = {"x/digits": X, "x/own.pt": X + 1, "logits/own.pt": LOGITS, "original/digits": LOGITS}
    np.savez_compressed(folder / SEEN, **arrays)

    built, own = map(seen, read_field(folder))

    assert np.array_equal(built.x, X)
    assert built.logits is None
    assert built.original is not None
    assert np.array_equal(built.original, LOGITS)
    assert (built.least_sqnr_db, own.least_sqnr_db, own.bound) == (None, 33.0, "field.toml: least_sqnr_db")
    assert np.array_equal(own.x, X + 1)
    assert own.logits is not None
    assert np.array_equal(own.logits, LOGITS)
    assert own.original is None


def _arrays(arrays: dict[str, Any]) -> Any:
    """Return arrays as keywords of `np.savez`, whose options NumPy's stubs take for arrays."""
    return arrays


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60:120] = bytes(60)
    path.write_bytes(bytes(data))


def _pickled(path: Path) -> None:
    np.savez(path, **_arrays({"x/a.pt": np.array([{}], dtype=object)}))


def _no_arrays(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.pt.npy", b"nothing")


def _bare(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def _huge(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.pt.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


@pytest.mark.parametrize(
    "spoil",
    [
        *(_truncated, _damaged, _pickled, _no_arrays, _bare, _huge),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive"),
    ],
)
def test_unreadable_arrays_are_refused(folder: Path, refuses: Refuses, spoil: Callable[..., Any]) -> None:
    write(folder, row(folder))
    np.savez_compressed(
        folder / SEEN, **_arrays({"x/a.pt": np.random.default_rng(0).standard_normal((2, 64), np.float32)})
    )
    spoil(folder / SEEN)
    (item,) = read_field(folder)

    refuses(lambda: seen(item), SEEN, "again")


def test_file_without_inputs_is_refused(folder: Path, refuses: Refuses) -> None:
    write(folder, row(folder))
    np.savez(folder / SEEN, **_arrays({"x/other": X}))

    refuses(lambda: seen(read_field(folder)[0]), "no inputs for a.pt")
