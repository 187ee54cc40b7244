"""Evidence on disk: each observation is made once per session, by whichever worker needs it first.

The processes that import torch write evidence; those that judge, and the controller of a parallel run, read it. An
observation that could not be made is evidence too: its outcome says at which stage it stopped, and no other worker
tries again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vitgate.files.archives import read_npz
from vitgate.files.atomic import replacing
from vitgate.files.errors import MachineError
from vitgate.files.locks import locked
from vitgate.spec.outcome import Arrays, Evidence, Outcome

_VALUES = "_values"


class Store:
    """A folder of evidence that all workers of a session share."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, created if need be."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, kind: str, name: str, make: Callable[[], Evidence]) -> Evidence:
        """Return evidence; the first caller makes it while the others wait for it.

        Args:
            kind: The observation's name, and the folder's.
            name: What it is about: unique within the kind.
            make: Makes it where it is not there.
        """
        path = self._path(kind, name)
        if not path.exists():
            with locked(path):
                if not path.exists():
                    self._write(path, make())
        return self._read(path)

    def find(self, kind: str, name: str) -> Evidence | None:
        """Return the evidence if it was made."""
        path = self._path(kind, name)
        return self._read(path) if path.exists() else None

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}.json"

    def _write(self, path: Path, evidence: Evidence) -> None:
        path.with_suffix(".npz").unlink(missing_ok=True)  # of a writer that was killed before it wrote the values
        if evidence.arrays:
            with replacing(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
                np.savez(file, **evidence.arrays)  # type: ignore[arg-type]  # the stubs take a name for an option
        outcome = evidence.outcome.to_json() if evidence.outcome else None
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"values": evidence.values, "outcome": outcome}), encoding="utf-8")

    def _read(self, path: Path) -> Evidence:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            outcome = Outcome.from_json(data["outcome"]) if data["outcome"] else None
            npz = path.with_suffix(".npz")
            return Evidence(dict(data["values"]), read_npz(npz) if npz.exists() else {}, outcome)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(path, error) from None


def pack(evidence: Evidence, path: Path) -> None:
    """Write values and arrays as one `.npz` file; the values are JSON text in an array of bytes."""
    arrays: Arrays = {**evidence.arrays, _VALUES: np.frombuffer(json.dumps(evidence.values).encode(), dtype=np.uint8)}
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes any keyword for its flag


def unpack(path: Path) -> Evidence:
    """Read what `pack` wrote; MachineError where it is damaged."""
    try:
        arrays = read_npz(path)
        return Evidence(dict(json.loads(arrays.pop(_VALUES).tobytes())), arrays)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> MachineError:
    what = f"evidence of this run is damaged ({type(error).__name__}: {error})"
    return MachineError(what, where=path, do="start again; if it stays, delete that file")
