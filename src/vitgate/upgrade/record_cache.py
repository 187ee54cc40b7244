"""A folder of records, each beside the question that it answers, so that an interrupted sweep goes on where it stopped.

DIR/NAME.json  the record
DIR/NAME.key   digests of the question (suite, options, what is to be installed) and of that record; written last
DIR/NAME.log   what the suite printed

A run that is killed leaves no record there, and an edited record answers nothing.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from vitgate.files.atomic import replacing
from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.files.hashing import digest, key_of
from vitgate.records.consistency import read_consistent
from vitgate.records.record import Record
from vitgate.upgrade.environment_cache import discard
from vitgate.upgrade.environments import environment_folder, make, read_marker
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.progress import Steps, time_left
from vitgate.upgrade.requirements import applicable, is_pinned, Needs, own_needs, Side, whole_set
from vitgate.upgrade.runs import Request, run_suite

_UNSAFE = re.compile(r"[^A-Za-z0-9_.+\-]+")
_LONGEST = 100  # characters of a file's name, of the 255 that file systems take


class NotMade(MachineError):
    """There is no environment for this version, on this Python or machine; of others it says nothing."""


@dataclass(frozen=True)
class Means:
    """By what means environments are made: where, what uv is told, for which Python, and what the suite needs.

    `prune` removes each environment after its run. `needs` are vitgate's own unless a test says otherwise.
    """

    cache: Path
    uv_args: tuple[str, ...] = ()
    python: str | None = None
    prune: bool = False
    needs: Needs | None = None

    def environment(self, side: Side, echo: Callable[[str], None]) -> Environment:
        """Return the side's environment, made where it is not there; NotMade where that is not possible."""
        try:
            return make(side, cache=self.cache, uv_args=self.uv_args, python=self.python, echo=echo, needs=self.needs)
        except VitgateError as error:
            raise NotMade.from_line(str(error)) from None

    def has(self, side: Side) -> bool:
        """Whether the side's environment is there."""
        needs = self.needs or own_needs()
        folder = environment_folder(side, cache=self.cache, uv_args=self.uv_args, python=self.python, needs=needs)
        return read_marker(folder) is not None

    def forget(self, side: Side) -> None:
        """Remove the side's environment, unless somebody works with it; an interpreter of the user's own stays."""
        if side.interpreter is None:
            discard(
                environment_folder(
                    side, cache=self.cache, uv_args=self.uv_args, python=self.python, needs=self.needs or own_needs()
                )
            )


@dataclass(frozen=True)
class Place:
    """Where one record of a folder is."""

    folder: Path
    name: str

    @property
    def record(self) -> Path:
        """The record's file."""
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """The file with what the suite printed."""
        return self.folder / f"{self.name}.log"

    @property
    def _key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def find(self, question: str) -> Record | None:
        """Return the record if it is whole and answers that question."""
        try:
            said = json.loads(self._key.read_text(encoding="utf-8"))
            if said == {"question": question, "record": digest(self.record.read_bytes())}:
                return read_consistent(self.record)
        except (OSError, ValueError, UsageError):
            return None
        return None

    def keep(self, record: Record, question: str) -> None:
        """Put the record there, and then say what it answers; MachineError where the folder does not take it."""
        record.write(self.record, option="--records")
        said = {"question": question, "record": digest(self.record.read_bytes())}
        try:
            with replacing(self._key) as temporary:
                temporary.write_text(json.dumps(said) + "\n", encoding="utf-8")
        except OSError as error:
            what = f"cannot write the record's key: {error.strerror}"
            raise MachineError(what, where=self._key, do="name another folder with --records") from None


def file_name(text: str) -> str:
    """Return the name for a side's files: its own, or the last parts of a file's path or an interpreter's folder."""
    path = re.sub(r"/bin/python[^/]*$", "", text)
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    short = "-".join(parts[-2:]) if "/" in text else text
    return _UNSAFE.sub("_", short.strip()).strip("._")[:_LONGEST] or "side"


def open_folder(folder: Path) -> Path:
    """Return the folder of records, made where it is not there; MachineError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make this folder: {error.strerror}"
        raise MachineError(what, where=folder, do="name another with --records") from None
    return folder.absolute()


def question(side: Side, request: Request, means: Means, suite: Path, environment: Environment | None = None) -> str:
    """Return what changes with everything that decides the record: suite, options, inputs, what is to be installed.

    An environment need not be made to know it, so that a sweep that goes on makes none again.

    Args:
        side: What is to be installed. Requirements that mean another torch tomorrow are answered anew each day.
        request: The suite's options.
        means: How environments are made.
        suite: The suite's folder, named after its contents.
        environment: Of an interpreter of the user's own, for what is in it.
    """
    side = applicable(side, means.python)
    return key_of(
        {
            "suite": suite.name,
            "request": request.arguments(),
            "files": _stamps(request),
            "requirements": whole_set(side, means.needs or own_needs()),
            "uv": [*side.uv_args, *means.uv_args, means.python or ""],
            "day": "" if is_pinned(side) else date.today().isoformat(),
            "versions": [str(environment.python), sorted(environment.versions.items())] if environment else [],
        }
    )


def _stamps(request: Request) -> list[Sequence[object]]:
    paths = [Path(name) for name in (request.weights, f"{request.assets or ''}/image.png")]
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.is_file()]


def answered(
    side: Side, request: Request, means: Means, suite: Path, place: Place, steps: Steps
) -> tuple[Record, Environment | None]:
    """Return the side's record: the kept one if it answers this very question, otherwise that of a new run.

    Args:
        side: On which PyTorch.
        request: The suite's options.
        means: How environments are made.
        suite: The suite's folder.
        place: Where the record is kept.
        steps: Shows what is under way.

    Returns:
        The record, and the environment where there was a run.

    Raises:
        NotMade: There is no environment for this version.
        UsageError: As of `run_suite`.
        MachineError: As of `run_suite`, or the record cannot be kept.
    """
    environment = means.environment(side, steps.say) if side.interpreter else None
    asked = question(side, request, means, suite, environment)
    if kept := place.find(asked):
        return kept, None
    environment = environment or means.environment(side, steps.say)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="vitgate-run-") as folder,
            steps.step(f"{side.name}: the conformance suite on PyTorch {environment.torch}") as show,
        ):
            asked_run = replace(request, record=f"{folder}/record.json")
            record = run_suite(environment, suite, asked_run, place.log, time_left(show))
        place.keep(record, asked)
    except OSError as error:
        what, where = f"cannot keep the record: {error.strerror}", error.filename or place.folder
        raise MachineError(what, where=where, do="free disk space, or name another --records") from None
    finally:
        if means.prune:
            means.forget(side)
    return record, environment
