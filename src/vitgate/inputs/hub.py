"""The published weights as the authors' own repository loads them with torch.hub, which runs the code in it.

That code is from the network and is run only where the user asks for it by name (`--weights hub`). It replaces models
in timm's registry, so that it never gets into a process of the suite: one of its own loads the model and leaves nothing
but a file of tensors. The archive of the pinned commit is downloaded here and not by torch.hub, whose own way can be
given no limit, ends in a traceback, and asks GitHub's interface, which soon refuses to answer.
"""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from safetensors import safe_open

from vitgate.files.archives import zip_entries
from vitgate.files.errors import MachineError
from vitgate.inputs.download import fetch_unpinned, Patience, PATIENT
from vitgate.inputs.weights import hub_folder
from vitgate.spec.cases import HubRow

ARCHIVE_URL = "https://github.com/{repository}/archive/{commit}.zip"
"""Where GitHub gives a commit's files."""

_LIMIT = 50_000_000  # bytes of the archive, and of what is in it; facebookresearch/deit has about 2 MB
_LONGEST = 200  # characters of a name in it
_NO_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, OSError, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip
_SECONDS = 3600.0  # the code downloads a checkpoint of up to 346 MB
_WORKER = Path(__file__).with_name("hub_worker.py")


def hub_weights(row: HubRow, *, url: str = ARCHIVE_URL, patience: Patience = PATIENT) -> Path:
    """Return a file (safetensors) of the state of the repository's model, loaded anew with `pretrained=True`.

    Args:
        row: Repository, commit, and the model's entry in its `hubconf.py`.
        url: The archive's address, with `{repository}` and `{commit}`.
        patience: How long to try.

    Raises:
        MachineError: The repository cannot be had, is not of that commit, or its code fails.
    """
    folder = hub_folder().absolute()
    name = f"{row.repository.replace('/', '_')}_{row.commit}"
    archive = fetch_unpinned(
        url.format(repository=row.repository, commit=row.commit),
        folder / f"{name}.zip",
        check=lambda path: not_the_commit(path, row.commit),
        limit=_LIMIT,
        patience=patience,
    )
    target = folder / "vitgate" / f"{row.entry}-{row.commit[:12]}.safetensors"
    with tempfile.TemporaryDirectory(prefix="vitgate-hub-") as temporary:
        _load(unpacked(archive, Path(temporary)), row, target)
    _check_dtypes(target, row)
    return target


def not_the_commit(path: Path, commit: str) -> str:
    """Say why a file is not the whole archive of that commit, whose number git writes into its comment; or nothing."""
    try:
        with path.open("rb") as file:
            entries = zip_entries(file)
        if sum(entry.file_size for entry in entries) > _LIMIT:
            return f"what came unfolds to more than {_LIMIT} bytes"
        with zipfile.ZipFile(path) as archive:
            said, damaged = archive.comment.decode("ascii", "replace"), archive.testzip()
    except _NO_ARCHIVE as error:
        return f"the download is not an archive ({type(error).__name__})"
    if said != commit:
        return f"what came is the archive of {said[:40] or 'no commit'}, not of {commit}"
    names = [entry.filename for entry in entries]
    if damaged or not all(map(_is_inside, names)) or len({name.partition("/")[0] for name in names}) != 1:
        return "what came is damaged, or not one folder of files"
    return ""


def _is_inside(name: str) -> bool:
    parts = name.rstrip("/").split("/")
    return name.isprintable() and "\\" not in name and not {"", ".", ".."} & {*parts} and len(name) < _LONGEST


def unpacked(archive: Path, folder: Path) -> Path:
    """Write the plain files of a checked archive into `folder`; return the one folder that it holds.

    MachineError where they cannot be written, for want of room or because one is in another's place.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                path = folder / entry.filename
                (path if entry.is_dir() else path.parent).mkdir(parents=True, exist_ok=True)
                if not entry.is_dir():
                    path.write_bytes(opened.read(entry))
            return folder / opened.infolist()[0].filename.partition("/")[0]
    except OSError as error:
        do = "free disk space, or name another folder with TMPDIR"
        raise MachineError(f"cannot unpack the archive: {error.strerror}", where=archive, do=do) from None


def _load(root: Path, row: HubRow, target: Path) -> None:
    """Run the worker; the file appears at `target` whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _failed(row, f"cannot write to {target.parent}: {error.strerror}") from None
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        done = subprocess.run(  # noqa: S603  # the suite's own interpreter and file; no shell
            [sys.executable, str(_WORKER), str(root), row.entry, str(part)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raised = _last_line(done.stderr) if done.returncode == 1 else ""  # Python's own, for an exception
            raise _failed(row, raised or f"its process ended with {done.returncode}")
        os.replace(part, target)
    except subprocess.TimeoutExpired:
        raise _failed(row, f"it took longer than {_SECONDS:g} s") from None
    finally:
        part.unlink(missing_ok=True)


def _check_dtypes(path: Path, row: HubRow) -> None:
    """MachineError unless all parameters are float32, as timm's are; names and shapes are compared with the model."""
    with safe_open(path, "numpy") as file:
        other = [name for name in file.keys() if file.get_slice(name).get_dtype() != "F32"]  # noqa: SIM118  # no mapping
    if other:
        raise _failed(row, f"{len(other)} of its parameters are not float32, such as {other[0]}")


def _last_line(stderr: bytes) -> str:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _failed(row: HubRow, why: str) -> MachineError:
    what = f"the code of {row.repository} did not load {row.entry}: {why}"
    return MachineError(what, where=f"commit {row.commit[:7]}", do="mend that, or use --weights pretrained")
