"""Files from the field: model files that another PyTorch or runtime made, with what their maker saw of them.

A field folder holds `field.json` (who made what), `seen.npz` (inputs and logits), and the files, beside them or in one
archive. `vitgate` writes such folders (`--export`), commits some (`fixtures/field`), and reads a user's (`--field`). A
folder without `field.json` is taken as a user's own: every file in it with a suffix of `vitgate.inputs.model_files`,
with `field.toml` beside them where inputs, engine or logits are known.
"""

from __future__ import annotations

import hashlib
import lzma
import math
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import FailFast, Field, field_validator

from vitgate.files.archives import measured_tar, MOST_BYTES, read_npy, read_npz
from vitgate.files.errors import NO_ROOM, UsageError
from vitgate.files.hashing import sha256_of
from vitgate.files.locks import locked
from vitgate.files.schemas import fixtures_folder, known, read_json, read_model, Strict, unique, validate
from vitgate.inputs.model_files import check_form, runtime_of, SUFFIXES
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine
from vitgate.spec.variants import Runtime, VariantName

SCHEMA = 1
MANIFEST, SEEN, OWN = "field.json", "seen.npz", "field.toml"
_DEFAULT_INPUT = (1, 3, 224, 224)  # a Vision Transformer's, where the user says nothing
_LEAST_SQNR = 20.0  # dB: int8 logits jump between releases by their own noise, 26 to 32 dB for DeiT-Base
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]+")
_LONGEST_NAME = 255  # bytes of a file's name, on every system's disk
_SEED = 269  # of the input that a user's own file gets where no other is given
_MOST_NUMBERS = MOST_BYTES // 4  # of such an input
_MOST_AXES = 32  # that NumPy 1 knows
_MOST_BYTES = 16 << 30  # of all files of one archive: those of DeiT-Base under four engines take 2 GiB


class FieldFile(Strict):
    """One file: what it is, and its content. `case`, `engine` and `variant` are empty where not known."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.\-]+$")
    file: str
    runtime: Runtime
    case: str = ""
    engine: Engine | None = None
    variant: VariantName | None = None
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    least_sqnr_db: float = _LEAST_SQNR


class FieldManifest(Strict):
    """The whole of `field.json`. `maker` is a torch version; `archive` names the archive that holds the files."""

    schema_version: int = Field(ge=1)
    maker: str
    machine: str
    packages: dict[str, str] = {}
    archive: str = ""
    files: Annotated[tuple[FieldFile, ...], FailFast()]


class OwnFile(Strict):
    """What a user's `field.toml` says of one file: `input` is the shape of a float32 picture, or `x` a `.npy` of some.

    `logits` is a `.npy` with what the file gave where it was made, one row a picture; `least_sqnr_db` how close to it
    the numbers must stay.
    """

    file: str
    input: tuple[int, ...] = _DEFAULT_INPUT
    x: str = ""
    logits: str = ""
    engine: Engine | None = None
    runtime: Runtime | None = None
    least_sqnr_db: float = _LEAST_SQNR

    @field_validator("input")
    @classmethod
    def _is_shape(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not 0 < len(shape) <= _MOST_AXES or min(shape) < 1 or math.prod(shape) > _MOST_NUMBERS:
            raise ValueError("must be an image shape such as [1, 3, 224, 224]")
        return shape


class OwnFolder(Strict):
    """The whole of a user's `field.toml`."""

    file: list[OwnFile] = []


@dataclass(frozen=True)
class FieldItem:
    """One file to be checked: where it lies, and the row that describes it."""

    folder: str
    maker: str
    row: FieldFile

    @property
    def cell(self) -> CellId | None:
        """The cell that the file was made as, where that is known."""
        row = self.row
        return CellId(row.case, row.engine, row.variant) if row.case and row.engine and row.variant else None


@dataclass(frozen=True)
class Seen:
    """Inputs float32 [N, C, H, W]; the maker's logits float32 [N, classes] and its float original's, where known.

    `least_sqnr_db` is the user's own bound, named `bound`, for a file that is no cell's. `assumed` says that nobody
    named the shape of the inputs.
    """

    x: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None
    original: npt.NDArray[np.float32] | None
    least_sqnr_db: float | None = None
    bound: str = ""
    assumed: bool = False


def committed() -> list[FieldItem]:
    """Return the files of all folders under `fixtures/field`: torch's releases, then others', oldest first."""
    folders = sorted((fixtures_folder() / "field").glob(f"*/{MANIFEST}"), key=lambda path: _place(path.parent.name))
    return [item for path in folders for item in read_field(path.parent)]


def _place(name: str) -> tuple[str, list[int]]:
    """Return by what folders are put in order: `2.12.1`, `onnxruntime_1.20.1`."""
    package, _, version = name.rpartition("_")
    return package, [int(number) for number in re.findall(r"\d+", version)]


def given(folders: tuple[str, ...]) -> list[FieldItem]:
    """Return the files of the folders that the user named; UsageError where two have the same name."""
    items = [item for folder in folders for item in read_field(Path(folder))]
    unique([item.row.id for item in items], where=", ".join(folders))
    return items


def read_field(folder: Path) -> list[FieldItem]:
    """Return the files of one folder; UsageError where it holds none, or a manifest that cannot be."""
    try:
        manifest = _manifest(folder) if (folder / MANIFEST).exists() else _own_manifest(folder)
    except OSError as error:
        what = f"cannot read this folder: {error.strerror}"
        raise UsageError(what, where=error.filename or folder, do="make it readable, or name another") from None
    unique([row.id for row in manifest.files], where=folder)
    for row in manifest.files:
        _inside(folder, row.file)
    return [FieldItem(str(folder), manifest.maker, row) for row in manifest.files]


def _manifest(folder: Path) -> FieldManifest:
    path = folder / MANIFEST
    data = read_json(path, "manifest", "export the files again")
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise UsageError(f"schema {version} is newer than {SCHEMA}, the newest known", where=path, do="upgrade vitgate")
    manifest = validate(FieldManifest, data, where=path)
    cases = [row.case for row in manifest.files if row.case]
    known(cases, read_cases(), "case", where=path)  # a file of an unknown case would never be checked
    return manifest


def _own_manifest(folder: Path) -> FieldManifest:
    if not folder.is_dir():
        raise UsageError("no such folder of artifacts", where=folder, do="name an existing one with --field")
    told = _told(folder)
    paths = _taken(folder, told)
    if not paths and not told:
        raise UsageError(
            f"no {', '.join(SUFFIXES)} file here", where=folder, do="name a folder with artifacts with --field"
        )
    strangers = sorted(set(told) - {path.name for path in paths})
    if strangers:
        raise UsageError(f"no file {strangers[0]!r} here", where=folder / OWN, do="mend its name or delete the entry")
    rows = tuple(_own_row(path, told.get(path.name)) for path in paths)
    return FieldManifest(schema_version=SCHEMA, maker="", machine="", files=rows)


def passed_over(folder: Path) -> list[str]:
    """Return the names of the files in a user's folder that are not looked at: no file of PyTorch's by their names."""
    if (folder / MANIFEST).exists():
        return []
    told = _told(folder)
    used = {path.name for path in _taken(folder, told)} | {OWN}
    used |= {name for row in told.values() for name in (row.x, row.logits)}
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in used)


def _taken(folder: Path, told: Mapping[str, OwnFile]) -> list[Path]:
    """Return the files that are checked: those that `field.toml` names, and those of PyTorch's suffixes."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [path for path in files if path.name in told or path.suffix.lower() in SUFFIXES]


def _told(folder: Path) -> dict[str, OwnFile]:
    path = folder / OWN
    rows = read_model(OwnFolder, path).file if path.exists() else []
    unique([row.file for row in rows], where=path)
    return {row.file: row for row in rows}


def _own_row(path: Path, told: OwnFile | None) -> FieldFile:
    runtime = (told and told.runtime) or runtime_of(path) or "torchscript"
    check_form(path, runtime)
    return FieldFile(
        id=f"own-{_UNSAFE.sub('_', path.name)}",
        file=path.name,
        runtime=runtime,
        engine=told.engine if told else None,
        least_sqnr_db=told.least_sqnr_db if told else _LEAST_SQNR,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


def seen(item: FieldItem, shape: tuple[int, ...] = ()) -> Seen:
    """Return inputs and logits of one file; UsageError where they cannot be read.

    `shape` is what the file's own signature says of its input; made-up inputs have it where the user names none.
    """
    folder = Path(item.folder)
    if not (folder / MANIFEST).exists():
        return _own_seen(folder, _told(folder).get(item.row.file) or OwnFile(file=item.row.file), shape)
    arrays = _arrays(folder / SEEN)
    row = item.row
    x = arrays.get(f"x/{row.id}", arrays.get(f"x/{row.case}"))
    if x is None:
        raise UsageError(f"no inputs for {row.id}", where=folder / SEEN, do="export the files again")
    logits, bound = arrays.get(f"logits/{row.id}"), None if row.case else row.least_sqnr_db
    return Seen(x, logits, arrays.get(f"original/{row.case}"), bound, f"{OWN}: least_sqnr_db")


def _own_seen(folder: Path, told: OwnFile, shape: tuple[int, ...]) -> Seen:
    assumed = not told.x and "input" not in told.model_fields_set
    wanted = shape if assumed and shape else told.input
    x = _array(folder, told.x) if told.x else np.random.default_rng(_SEED).standard_normal(wanted, np.float32)
    logits = _array(folder, told.logits) if told.logits else None
    return Seen(x, logits, None, told.least_sqnr_db, f"{OWN}: least_sqnr_db", assumed)


def _array(folder: Path, name: str) -> npt.NDArray[np.float32]:
    path = _inside(folder, name)
    try:
        array = read_npy(path)
    except ValueError as error:
        raise UsageError(f"not a readable array: {error}", where=path, do="save it with numpy.save") from None
    if array.ndim < 2 or array.size == 0:  # the first dimension counts the pictures
        raise UsageError(f"an array of shape {array.shape}", where=path, do="save one row for each picture")
    return array


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        found = read_npz(path)
        if strangers := [name for name, array in found.items() if array.dtype != np.float32 or array.ndim < 2]:
            raise ValueError(f"{strangers[0]} is not of float32, one row for each picture")
    except ValueError as error:
        raise UsageError(f"not a readable archive of arrays: {error}", where=path, do="export them again") from None
    return found


def located(item: FieldItem, session: Path) -> Path:
    """Return the path of the file, unpacked into the session's folder where it lies in an archive.

    UsageError where its content is not what the manifest says.
    """
    folder = Path(item.folder)
    manifest = _manifest(folder) if (folder / MANIFEST).exists() else None
    if manifest is not None and manifest.archive:
        folder = _unpacked(folder, manifest, session)
    path = _inside(folder, item.row.file)
    if not path.is_file() or sha256_of(path) != item.row.sha256:
        raise UsageError(f"{item.row.file} is not the file of the manifest", where=item.folder, do="export it again")
    return path


def _unpacked(folder: Path, manifest: FieldManifest, session: Path) -> Path:
    source = _inside(folder, manifest.archive)
    target = session / "field" / hashlib.sha256(str(source.absolute()).encode()).hexdigest()[:16]
    done = target.with_suffix(".unpacked")  # beside the folder, where no member's name can reach
    with locked(target):
        if not done.exists():
            target.mkdir(parents=True, exist_ok=True)
            _unpack(source, target, manifest.files)
            done.touch()
    return target


def _unpack(source: Path, target: Path, rows: Sequence[FieldFile]) -> None:
    """Unpack the files of the manifest; anything else in the archive, or another size, is an error.

    The sizes are known beforehand, so that an archive cannot fill the disk with what a few kB of it unfold to.
    """
    sizes = {row.file: row.bytes for row in rows}
    if sum(sizes.values()) > _MOST_BYTES:
        raise UsageError(f"more than {_MOST_BYTES >> 30} GiB of files", where=source, do="export fewer engines at once")
    try:
        with lzma.open(source) as packed, measured_tar(packed, sizes.values()) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or sizes.get(member.name) != member.size:
                    what = f"{member.name!r} is not a file of the manifest"
                    raise UsageError(what, where=source, do="export the files again")
                with stream, (target / member.name).open("wb") as file:
                    shutil.copyfileobj(stream, file)
    except (OSError, tarfile.TarError, EOFError, ValueError, LookupError, RecursionError, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        raise UsageError(f"not a readable archive: {error}", where=source, do="export the files again") from None


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a plain file name; UsageError for one that leads elsewhere."""
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name or len(name.encode()) > _LONGEST_NAME:
        raise UsageError(f"{name!r} is not a plain file name", where=folder, do="keep the files beside the manifest")
    return folder / name


def selected(items: list[FieldItem], cases: Collection[str], engines: Collection[str]) -> Iterator[FieldItem]:
    """Yield the files that a run checks; one of no known case or engine always.

    Args:
        items: All files.
        cases: Ids of the run's cases.
        engines: Names of its engines.
    """
    for item in items:
        row = item.row
        if (not row.case or row.case in cases) and (row.engine is None or row.engine in engines):
            yield item
