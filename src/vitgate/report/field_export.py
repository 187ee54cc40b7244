"""Writing a field folder: what this run built and saw, for another PyTorch to load and compare."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitgate.files.atomic import check_folder
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import sha256_of
from vitgate.inputs.field_files import FieldFile, FieldItem, FieldManifest, given, located, MANIFEST, SCHEMA, SEEN, seen
from vitgate.inputs.model_files import copy_whole
from vitgate.observe.artifacts import artifact
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures
from vitgate.observe.outputs import field, outputs
from vitgate.observe.store import Store
from vitgate.spec.cells import CellId, FieldFileId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import FORMS, variants_of
from vitgate.spec.versions import machine, packages, public

_ARCHIVE = "files.tar.xz"


def check_target(folder: Path) -> None:
    """UsageError for a folder with something else in it: an export replaces an export, and nothing more.

    MachineError for a place that takes none: better known before the run than after it.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).exists())):
        raise UsageError("not an empty folder", where=folder, do="name a new folder with --export")
    try:
        check_folder(folder.parent)
    except OSError as error:
        raise _not_exported(folder, error) from None


def export(plan: RunConfig, store: Store, folder: Path, *, packed: bool) -> int:
    """Write every file that the run built, with inputs and logits; whole, or not at all.

    Args:
        plan: The run's.
        store: Its evidence.
        folder: Where to; an earlier export there is replaced.
        packed: Put the files into one archive, in which what they share is stored once.

    Returns:
        How many files that is.

    Raises:
        MachineError: The disk does not take it.
    """
    found = environment.find(store)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        maker = public(found.values["torch"]) if found else ""
        rows, arrays = _gather(plan, store, temporary, maker)
        np.savez_compressed(temporary / SEEN, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes any keyword for its flag
        if packed:
            _pack(temporary, rows)
        manifest = FieldManifest(
            schema_version=SCHEMA,
            maker=maker,
            machine=machine(),
            packages=packages(),
            archive=_ARCHIVE if packed else "",
            files=tuple(rows),
        )
        (temporary / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        _replace(folder, temporary)
        return len(rows)
    except OSError as error:
        raise _not_exported(folder, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _not_exported(folder: Path, error: OSError) -> MachineError:
    return MachineError(f"cannot export: {error.strerror}", where=folder, do="name another --export")


def _replace(folder: Path, new: Path) -> None:
    """Put the new folder in the place of the old one, which is renamed first: half deleted, it would be neither."""
    if not folder.exists():
        new.rename(folder)
        return
    old = new.with_suffix(".old")
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _gather(
    plan: RunConfig, store: Store, target: Path, maker: str
) -> tuple[list[FieldFile], dict[str, npt.NDArray[Any]]]:
    rows: list[FieldFile] = []
    arrays: dict[str, npt.NDArray[Any]] = {}
    for case in plan.cases:
        shown, original = pictures.find(store, case), outputs.find(store, CellId(case, NO_ENGINE, "original"))
        if shown is None or original is None or original.outcome is not None:
            continue
        arrays |= {f"x/{case}": shown.arrays["x"], f"original/{case}": original.arrays["logits"]}
        for cell in _cells(plan, case):
            rows += _add(cell, store, target, maker, arrays)
    for item in given(plan.field):
        rows += _carry(item, store, target, Path(plan.session), arrays)
    return rows, arrays


def _cells(plan: RunConfig, case: str) -> list[CellId]:
    """Return one cell a file: a float file is the same under every engine, and stands under the first."""
    every = [
        CellId(case, engine, variant)
        for engine in plan.engines
        for variant in variants_of(engine)
        if FORMS[variant].file
    ]
    return list({cell.evidence_name: cell for cell in reversed(every)}.values())[::-1]


def _add(cell: CellId, store: Store, target: Path, maker: str, arrays: dict[str, npt.NDArray[Any]]) -> list[FieldFile]:
    built, own = artifact.find(store, cell), outputs.find(store, cell)
    if built is None or own is None or built.outcome is not None or own.outcome is not None:
        return []
    path = Path(built.values["path"])
    name, row = f"{cell}{path.suffix}", str(FieldFileId(maker, str(cell)))
    _link(path, target / name)
    arrays[f"logits/{row}"] = own.arrays["logits"]
    made = target / name
    return [
        FieldFile(
            id=row,
            file=name,
            runtime=cell.form.runtime,
            case=cell.case,
            engine=cell.engine,
            variant=cell.variant,
            bytes=made.stat().st_size,
            sha256=sha256_of(made),
        )
    ]


def _carry(
    item: FieldItem, store: Store, target: Path, session: Path, arrays: dict[str, npt.NDArray[Any]]
) -> list[FieldFile]:
    """Hand on a user's own file with what this PyTorch saw of it, so that the next one has something to compare.

    A file that this PyTorch cannot run goes along too: the next one may, or not, and both are worth a row.
    """
    found = field.find(store, "artifacts", item.folder, item.row.id)
    if item.maker or found is None:
        return []
    name, own = item.row.id, seen(item)  # the id of a user's file is its name, made harmless
    copy_whole(located(item, session), target / name)  # no link: the user may go on writing to it
    arrays[f"x/{item.row.id}"] = found.arrays.get("x", own.x)
    if own.logits is not None:  # what the user recorded stays the measure
        arrays[f"logits/{item.row.id}"] = own.logits
    elif found.outcome is None:
        arrays[f"logits/{item.row.id}"] = found.arrays["logits"]
    copied = {"file": name, "bytes": (target / name).stat().st_size, "sha256": sha256_of(target / name)}
    return [item.row.model_copy(update=copied)]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _pack(folder: Path, rows: list[FieldFile]) -> None:
    """Put the files into one archive without dates or owners, the same variant's of all engines side by side."""
    with tarfile.open(folder / _ARCHIVE, "w:xz", preset=9) as archive:
        for row in sorted(rows, key=lambda row: (row.variant or "", row.engine or "")):
            member = tarfile.TarInfo(row.file)
            member.size, member.mode = row.bytes, 0o644
            with (folder / row.file).open("rb") as file:
                archive.addfile(member, file)
            (folder / row.file).unlink()
