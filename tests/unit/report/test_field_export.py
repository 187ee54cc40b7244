"""Exported folders: what another PyTorch reads in them is what this one built and saw, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.files.errors import MachineError
from vitgate.inputs.field_files import located, MANIFEST, OWN, read_field, SEEN, seen
from vitgate.observe.store import Store
from vitgate.report import field_export as module
from vitgate.report.field_export import check_target, export
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, Outcome
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import VariantName

from ..conftest import Processes, Refuses

X = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
LOGITS = np.array([[1.0, 2.0], [4.0, 3.0]], dtype=np.float32)
FAILED = Evidence(outcome=Outcome("failed at", "load", "RuntimeError", "unknown operator"))
BUILT: tuple[VariantName, ...] = ("scripted", "scripted_quantized", "lite_frozen")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return the evidence of a run that built three files and failed at the optimizer."""
    made = Store(tmp_path / "evidence")
    (tmp_path / "artifacts").mkdir()
    put(made, "environment", "environment", Evidence({"torch": "2.15.0+cu132"}))
    put(made, "pictures", "digits", Evidence(arrays={"x": X}))
    put(made, "outputs", "digits-original", Evidence(arrays={"logits": LOGITS + 9}))
    for number, variant in enumerate(BUILT):
        cell = CellId("digits", "qnnpack", variant)
        path = tmp_path / "artifacts" / f"{variant}.{'ptl' if variant.startswith('lite') else 'pt'}"
        path.write_bytes(variant.encode() * 100)
        put(made, "artifact", cell.evidence_name, Evidence({"path": str(path)}))
        put(made, "outputs", cell.evidence_name, Evidence(arrays={"logits": LOGITS + number}))
    put(made, "artifact", "digits-qnnpack-optimized", FAILED)
    put(made, "outputs", "digits-qnnpack-optimized", FAILED)
    return made


def put(store: Any, kind: str, name: str, evidence: Any) -> None:
    store.get(kind, name, lambda: evidence)


def own_folder(tmp_path: Path, told: Any = "") -> Path:
    """Return a user's folder of one file."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "phone.ptl").write_bytes(b"phone")
    if told:
        (folder / OWN).write_text(told, encoding="utf-8")
        np.save(folder / "logits.npy", LOGITS * 2)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_exported_folder_round_trips(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path, packed: bool
) -> None:
    export(plan(), store, tmp_path / "out", packed=packed)

    items = read_field(tmp_path / "out")
    assert [item.row.id for item in items] == [f"2.15.0-digits-qnnpack-{variant}" for variant in BUILT]
    assert {item.maker for item in items} == {"2.15.0"}
    for number, item in enumerate(items):
        found = seen(item)
        assert found.x is not None
        assert np.array_equal(found.x, X)
        assert found.original is not None
        assert np.array_equal(found.original, LOGITS + 9)
        assert found.logits is not None
        assert np.array_equal(found.logits, LOGITS + number)
        assert found.least_sqnr_db is None
        assert located(item, tmp_path / "session").read_bytes() == str(item.row.variant).encode() * 100
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {MANIFEST, SEEN, *(["files.tar.xz"] if packed else [item.row.file for item in items])}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_float_files_are_exported_once_and_int8_files_per_engine(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path
) -> None:
    made = tmp_path / "artifacts" / "scripted.pt"
    cell = CellId("digits", "x86", "scripted_quantized")
    put(store, "artifact", cell.evidence_name, Evidence({"path": str(made)}))
    put(store, "outputs", cell.evidence_name, Evidence(arrays={"logits": LOGITS}))

    export(plan(engines=("x86", "qnnpack")), store, tmp_path / "out", packed=False)

    assert {str(item.cell) for item in read_field(tmp_path / "out")} == {
        "digits-x86-scripted",
        "digits-x86-scripted_quantized",
        "digits-qnnpack-scripted_quantized",
        "digits-qnnpack-lite_frozen",
    }


def test_archive_is_reproducible(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        export(plan(), store, tmp_path / name, packed=True)
        contents.append((tmp_path / name / "files.tar.xz").read_bytes())
        time.sleep(0.01)

    assert contents[0] == contents[1]
    with tarfile.open(tmp_path / "one" / "files.tar.xz") as archive:
        assert {(member.mtime, member.uid, member.uname) for member in archive} == {(0, 0, "")}


def test_manifest_names_only_kind_of_machine(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    export(plan(field=(str(own_folder(tmp_path)),)), store, tmp_path / "out", packed=False)

    text = (tmp_path / "out" / MANIFEST).read_text(encoding="utf-8")
    assert not re.search(r'"[^"]*/[^"]*"', text)
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text


def test_run_without_files_exports_empty_folder(plan: Callable[..., RunConfig], tmp_path: Path) -> None:
    assert export(plan(), Store(tmp_path / "nothing"), tmp_path / "out", packed=False) == 0

    assert read_field(tmp_path / "out") == []


def test_failing_file_is_not_exported(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    for name in ("artifact", "outputs"):
        put(store, name, "digits-qnnpack-lite", FAILED if name == "outputs" else Evidence({"path": "/nowhere"}))

    export(plan(), store, tmp_path / "out", packed=False)

    assert "lite" not in {item.row.variant for item in read_field(tmp_path / "out")}


# ---- the user's own files go along


def test_user_file_is_exported_with_logits_of_this_version(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path
) -> None:
    folder = own_folder(tmp_path)
    put(store, "field", "artifacts-own-phone.ptl", Evidence(arrays={"logits": LOGITS * 3}))

    export(plan(field=(str(folder),)), store, tmp_path / "out", packed=False)

    item = read_field(tmp_path / "out")[-1]
    found = seen(item)
    assert (item.row.id, item.row.file, item.cell) == ("own-phone.ptl", "own-phone.ptl", None)
    assert found.x is not None
    assert np.array_equal(found.x, seen(read_field(folder)[0]).x)
    assert found.logits is not None
    assert np.array_equal(found.logits, LOGITS * 3)
    assert found.least_sqnr_db == 20.0
    copy = located(item, tmp_path)
    copy.write_bytes(b"another")
    assert (folder / "phone.ptl").read_bytes() == b"phone"  # no link to what is the user's


def test_logits_recorded_by_user_are_kept(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    told = '[[file]]\nfile = "phone.ptl"\nlogits = "logits.npy"\nleast_sqnr_db = 41.0\ninput = [2, 1, 2, 2]\n'
    put(store, "field", "artifacts-own-phone.ptl", Evidence(arrays={"logits": LOGITS * 3}))

    export(plan(field=(str(own_folder(tmp_path, told)),)), store, tmp_path / "out", packed=True)

    found = seen(read_field(tmp_path / "out")[-1])
    assert found.logits is not None
    assert np.array_equal(found.logits, LOGITS * 2)
    assert found.least_sqnr_db == 41.0


def test_failing_user_file_is_exported_without_logits(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path
) -> None:
    put(store, "field", "artifacts-own-phone.ptl", FAILED)

    export(plan(field=(str(own_folder(tmp_path)),)), store, tmp_path / "out", packed=False)

    item = read_field(tmp_path / "out")[-1]
    assert item.row.id == "own-phone.ptl"
    assert seen(item).logits is None


def test_unchecked_and_reexported_files_are_left_out(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path
) -> None:
    folder = own_folder(tmp_path)
    export(plan(), store, tmp_path / "first", packed=False)
    put(store, "field", "artifacts-2.15.0-digits-qnnpack-scripted", Evidence(arrays={"logits": LOGITS}))

    export(plan(field=(str(folder), str(tmp_path / "first"))), store, tmp_path / "out", packed=False)

    assert [item.row.variant for item in read_field(tmp_path / "out")] == list(BUILT)


# ---- whole or not at all


@pytest.mark.parametrize(
    "fill", [lambda path: path.mkdir(), lambda path: None, lambda path: (path.mkdir(), (path / MANIFEST).touch())]
)
def test_writable_target_is_accepted(tmp_path: Path, fill: Callable[..., Any]) -> None:
    fill(tmp_path / "out")

    check_target(tmp_path / "out")


def test_target_with_other_content_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "file").touch()

    refuses(lambda: check_target(tmp_path), "not an empty folder", tmp_path, "--export")
    refuses(lambda: check_target(tmp_path / "file"), "not an empty folder")


def test_export_replaces_previous_export(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    export(plan(), store, tmp_path / "out", packed=True)
    export(plan(), store, tmp_path / "out", packed=False)

    assert not (tmp_path / "out" / "files.tar.xz").exists()
    assert len(read_field(tmp_path / "out")) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "evidence", "out"]


def test_unwritable_target_is_machine_error(plan: Callable[..., RunConfig], store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="cannot export: .*--export") as caught:
        export(plan(), store, tmp_path / "file" / "out", packed=False)

    assert "\n" not in str(caught.value)


def test_full_disk_keeps_previous_export(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(plan(), store, tmp_path / "out", packed=False)
    before = (tmp_path / "out" / MANIFEST).read_bytes()

    def full(*arguments: object, **arrays: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(MachineError, match="cannot export: No space left on device"):
        export(plan(), store, tmp_path / "out", packed=False)

    assert (tmp_path / "out" / MANIFEST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _export_and_stop(own_plan: Any, store: Any, folder: Path, at: Any) -> None:
    """Export, and end as a SIGKILL does when the function of that name is called."""

    def stop(*arguments: object, **keywords: Any) -> None:
        os._exit(9)

    if at == "rename":
        Path.rename = stop  # type: ignore[assignment,method-assign]  # in this process, which ends here
    else:
        setattr(module, at, stop)
    export(own_plan, store, folder, packed=True)


@pytest.mark.parametrize("at", ["_gather", "_pack", "FieldManifest", "_replace", "rename"])
@pytest.mark.parametrize("earlier", [False, True])
def test_killed_export_leaves_no_partial_folder(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path, processes: Processes, at: str, earlier: bool
) -> None:
    if earlier:
        export(plan(), store, tmp_path / "out", packed=False)
    processes.start(_export_and_stop, plan(), store, tmp_path / "out", at)

    assert processes.statuses() == [9]
    assert (tmp_path / "out").exists() is earlier
    if earlier:
        assert all(located(item, tmp_path).is_file() for item in read_field(tmp_path / "out"))
    check_target(tmp_path / "out")
    export(plan(), store, tmp_path / "out", packed=True)
    assert len(read_field(tmp_path / "out")) == 3


def test_files_on_another_disk_are_copied(
    plan: Callable[..., RunConfig], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", link)
    export(plan(), store, tmp_path / "out", packed=False)

    (item, *_) = read_field(tmp_path / "out")
    assert located(item, tmp_path / "session").read_bytes() == str(item.row.variant).encode() * 100
