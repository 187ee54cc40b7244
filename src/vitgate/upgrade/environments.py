"""One isolated environment per PyTorch version, made by uv in the user's cache and used again.

    CACHE/environments/KEY/                            the environment itself
    CACHE/environments/KEY/vitgate-environment.json    the marker, written last: without it the folder is rubbish
    CACHE/environments/locks/KEY                       held alone to make or remove, shared to use

An environment is made where it stays and not under another name that is changed at the end: its scripts and some of its
packages hold absolute paths, and uv's `--relocatable` mends only the scripts. So a maker that is killed leaves a folder
without a marker, which the next maker clears, under the lock.
"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from vitgate.files import locks
from vitgate.files.atomic import replacing
from vitgate.files.disk_usage import usage
from vitgate.files.errors import MachineError, NO_ROOM
from vitgate.files.hashing import digest, key_of
from vitgate.files.schemas import Strict
from vitgate.upgrade.installer import check_uv_args, run_uv
from vitgate.upgrade.interpreters import Environment, existing, imported
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.requirements import (
    applicable,
    check_clashes,
    check_python,
    is_pinned,
    Needs,
    own_needs,
    Side,
    unlike,
    whole_set,
)

MARKER = "vitgate-environment.json"
_FORMAT = 1
# Of uv's settings, those that do not choose packages. Any other is part of the key: a needless second environment costs
# a second, a wrong one a wrong answer.
_NEUTRAL = frozenset({"UV_CACHE_DIR", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_RUN_RECURSION_DEPTH", "UV_HTTP_TIMEOUT"})


class Marker(Strict):
    """What stands in a finished environment, so that using it again costs nothing."""

    format: int
    name: str
    requirements: tuple[str, ...]
    torch: str
    versions: dict[str, str]
    bytes: int
    made: str
    packages: str
    """Digest of the names of what is installed: whoever installs into the environment by hand changes it."""


@dataclass(frozen=True)
class _Order:
    """What decides which environment it is."""

    name: str
    requirements: tuple[str, ...]
    imports: tuple[str, ...]
    python: str
    uv_args: tuple[str, ...]
    day: str

    def key(self) -> str:
        """Return the folder's name. The side's name is no part of it: `2.12.1` and `torch==2.12.1` are the same."""
        return key_of(
            {
                "format": _FORMAT,
                "requirements": self.requirements,
                "imports": self.imports,
                "python": f"{platform.python_implementation()} {self.python or platform.python_version()}",
                "platform": [sysconfig.get_platform(), *platform.libc_ver()],
                "uv_args": self.uv_args,
                "uv_settings": {k: v for k, v in os.environ.items() if k.startswith("UV_") and k not in _NEUTRAL},
                "day": self.day,
            }
        )


@dataclass(frozen=True)
class _Place:
    """Where an environment is or will be."""

    folder: Path
    lock: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "bin" / "python"


def environments_folder(cache: Path) -> Path:
    """Return the folder of all environments in the cache."""
    return cache / "environments"


def lock_of(folder: Path) -> Path:
    """Return the lock of the environment in this folder."""
    return folder.parent / "locks" / folder.name


def make(
    side: Side,
    *,
    cache: Path,
    uv_args: Sequence[str] = (),
    python: str | None = None,
    echo: Callable[[str], None],
    needs: Needs | None = None,
) -> Environment:
    """Return the side's environment, from the cache or newly made, then verified. Hold `in_use` while working with it.

    Args:
        side: What to install, or the interpreter that has it.
        cache: vitgate's.
        uv_args: Handed to uv.
        python: A version, or an interpreter's path; by default this process's.
        echo: Is told what is under way, a line each.
        needs: What else to install; by default vitgate's own.

    Raises:
        UsageError: A release or an argument does not exist.
        MachineError: Network, disk or packages fail.
    """
    needs = needs or own_needs()
    for note in side.notes:
        echo(note)
    if side.interpreter is not None:
        return existing(side, side.interpreter, needs, Steps(echo))
    check_uv_args(uv_args)
    check_python(python)
    order = _order(side, needs, uv_args, python)
    folder = environments_folder(cache) / order.key()
    try:
        made = _made(order, _Place(folder, lock_of(folder)), Steps(echo))
    except OSError as error:
        do = "free disk space, or choose another cache" if error.errno in NO_ROOM else "look at that folder"
        raise MachineError(f"cannot make an environment: {error}", where=folder.parent, do=do) from None
    if asked := unlike(applicable(side, python), made.torch):
        what = f"{side.name}: torch {made.torch} is installed, and {asked} was asked for"
        raise MachineError(what, where=folder, do="remove it with `vitgate environments prune`, and start again")
    return made


def environment_folder(
    side: Side, *, cache: Path, uv_args: Sequence[str] = (), python: str | None = None, needs: Needs
) -> Path:
    """Return the folder in which `make` keeps the side's environment, whether it is there or not.

    Args:
        side: As of `make`.
        cache: vitgate's.
        uv_args: Handed to uv.
        python: A version, or an interpreter's path; by default this process's.
        needs: What else is installed.
    """
    return environments_folder(cache) / _order(side, needs, uv_args, python).key()


@contextmanager
def in_use(environment: Environment) -> Iterator[tuple[int, ...]]:
    """Keep the environment from being removed meanwhile; MachineError if it has been since it was made.

    Gives what to hand to `subprocess` as `pass_fds`: processes that get it keep the environment too, even when this one
    is killed.
    """
    if environment.lock is None:
        yield ()
        return
    marker = environment.folder / MARKER
    with locks.shared(environment.lock) as descriptor:
        if not marker.exists():
            do = "start again; it is made anew"
            raise MachineError("the environment was removed meanwhile", where=environment.folder, do=do)
        _touch(marker)
        try:
            yield (descriptor,)
        finally:
            _touch(marker)


def read_marker(folder: Path) -> Marker | None:
    """Return the marker of a finished environment, None for any other folder."""
    try:
        marker = Marker.model_validate_json((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return marker if marker.format == _FORMAT else None


def _order(side: Side, needs: Needs, uv_args: Sequence[str], python: str | None) -> _Order:
    """Requirements that mean another torch tomorrow ("the newest") are answered anew each day."""
    side = applicable(side, python)
    check_clashes(side, needs)
    day = "" if is_pinned(side) else datetime.date.today().isoformat()
    return _Order(side.name, whole_set(side, needs), needs.imports, python or "", (*side.uv_args, *uv_args), day)


def _made(order: _Order, place: _Place, steps: Steps) -> Environment:
    if environment := _ready(place, order.name):
        return environment

    def waiting() -> None:
        steps.say(f"{order.name}: waiting for another process that works with the same environment")

    with locks.alone(place.lock, waiting) as lock:
        return _ready(place, order.name) or _build(order, place, lock, steps)


def _ready(place: _Place, name: str) -> Environment | None:
    """Return the environment if it is finished, still has its interpreter, and nobody changed what is installed."""
    marker = read_marker(place.folder)
    if marker is None or not os.access(place.python, os.X_OK) or _packages(place.folder) != marker.packages:
        return None
    try:
        _touch(place.folder / MARKER)
    except OSError:  # removed since it was read
        return None
    versions = marker.versions
    return Environment(
        name, place.python, marker.torch, versions, place.folder, reused=True, bytes=marker.bytes, lock=place.lock
    )


def _build(order: _Order, place: _Place, lock: int, steps: Steps) -> Environment:
    finished = False
    try:
        remove(place.folder)
        _install(order, place, lock, steps)
        with steps.step(f"{order.name}: importing {', '.join(order.imports)}"):
            versions = imported(place.python, order.imports, order.requirements, order.name, own=True)
        _mark(order, place, versions)
        finished = True
    finally:
        if not finished:
            shutil.rmtree(place.folder, ignore_errors=True)
    environment = _ready(place, order.name)
    if environment is None:
        raise MachineError("the environment changed while it was made", where=place.folder, do="start again")
    return replace(environment, reused=False)


def remove(folder: Path) -> None:
    """Remove an environment whose lock is held alone: first the marker, so that a half-removed one is rubbish."""
    (folder / MARKER).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)


def _install(order: _Order, place: _Place, lock: int, steps: Steps) -> None:
    home = place.folder.parent
    python = order.python or sys.executable
    version = order.python or platform.python_version()
    with steps.step(f"{order.name}: making an environment for Python {version}") as show:
        arguments = ["venv", "--no-project", "--python", python, str(place.folder)]
        run_uv(arguments, name=order.name, folder=home, lock=lock, show=show)
    listed = place.folder / "requirements.txt"
    listed.write_text("".join(f"{text}\n" for text in order.requirements), encoding="utf-8")
    with steps.step(f"{order.name}: installing {', '.join(order.imports)} and what the suite needs") as show:
        arguments = ["pip", "install", "--python", str(place.python), "-r", str(listed), *order.uv_args]
        run_uv(arguments, name=order.name, folder=home, lock=lock, show=show)


def _mark(order: _Order, place: _Place, versions: dict[str, str]) -> None:
    marker = Marker(
        format=_FORMAT,
        name=order.name,
        requirements=order.requirements,
        torch=versions.get("torch", ""),
        versions=versions,
        bytes=usage(place.folder).bytes,
        made=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        packages=_packages(place.folder),
    )
    with replacing(place.folder / MARKER) as temporary:
        temporary.write_text(marker.model_dump_json(indent=1), encoding="utf-8")


def _packages(folder: Path) -> str:
    installed = sorted(path.name for path in folder.glob("lib/python3*/site-packages/*.dist-info"))
    return digest("\n".join(installed).encode())


def _touch(marker: Path) -> None:
    """Note the use. A marker that somebody removed by hand is not made again."""
    try:
        os.utime(marker)
    except FileNotFoundError:
        return
