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
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from pydantic import ValidationError

from vitgate.files import locks
from vitgate.files.atomic import replacing
from vitgate.files.disk_usage import usage
from vitgate.files.errors import MachineError, NO_ROOM
from vitgate.files.hashing import digest, key_of
from vitgate.files.schemas import Strict
from vitgate.upgrade.installer import check_uv_args, clean_variables, run_uv
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.requirements import check_python, is_pinned, name_of, Needs, own_needs, Side, whole_set

MARKER = "vitgate-environment.json"
_FORMAT = 1
_IMPORT_SECONDS = 600  # a first import of torch from a slow disk takes a minute
# Of uv's settings, those that do not choose packages. Any other is part of the key: a needless second environment costs
# a second, a wrong one a wrong answer.
_NEUTRAL = frozenset({"UV_CACHE_DIR", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_RUN_RECURSION_DEPTH", "UV_HTTP_TIMEOUT"})

_PROBE = """
import sys
sys.path.pop(0)
import importlib, importlib.metadata, json, platform
imports, names = sys.argv[1].split(), sys.argv[2].split()
found = {"python": platform.python_version()}
for name in names:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found), flush=True)
for name in imports:
    found[name] = str(getattr(importlib.import_module(name), "__version__", found.get(name, "")))
print(json.dumps(found))
"""
"""Run by the environment's own Python: prints the installed versions, then, if the imports succeed, the imported."""


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
class Environment:
    """An interpreter with one PyTorch. `lock` is None for an interpreter of the user's own."""

    name: str
    python: Path
    torch: str
    versions: Mapping[str, str]
    folder: Path
    reused: bool
    bytes: int
    lock: Path | None


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
    """Return the side's environment: the one in the cache if there is one, otherwise newly made; then verified.

    UsageError for a release or an argument that does not exist; MachineError where network, disk or packages fail.
    Hold `in_use` while working with it.
    """
    needs = needs or own_needs()
    if side.interpreter is not None:
        return _existing(side, side.interpreter, needs, Steps(echo))
    check_uv_args(uv_args)
    check_python(python)
    order = _order(side, needs, uv_args, python)
    folder = environments_folder(cache) / order.key()
    try:
        return _made(order, _Place(folder, lock_of(folder)), Steps(echo))
    except OSError as error:
        do = "free disk space, or choose another cache" if error.errno in NO_ROOM else "look at that folder"
        raise MachineError(f"cannot make an environment: {error}", where=folder.parent, do=do) from None


def environment_folder(
    side: Side, *, cache: Path, uv_args: Sequence[str] = (), python: str | None = None, needs: Needs
) -> Path:
    """Return the folder in which `make` keeps the side's environment, whether it is there or not."""
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
    day = "" if is_pinned(side) else datetime.date.today().isoformat()
    return _Order(side.name, whole_set(side, needs), needs.imports, python or "", tuple(uv_args), day)


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
            versions = _imported(place.python, order.imports, order.requirements, order.name, own=True)
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


def _existing(side: Side, python: Path, needs: Needs, steps: Steps) -> Environment:
    """Look at an interpreter of the user's own. Nothing is ever installed into it or removed from it."""
    with steps.step(f"{side.name}: importing {', '.join(needs.imports)}"):
        versions = _imported(python, needs.imports, needs.requirements, side.name, own=False)
    if lacking := _lacking(versions, needs):
        do = f"run: {python} -m pip install {' '.join(repr(text) for text in lacking)}"
        raise MachineError(f"{side.name} lacks what the suite needs", where=", ".join(lacking), do=do)
    folder = python.parent.parent
    return Environment(side.name, python, versions.get("torch", ""), versions, folder, reused=True, bytes=0, lock=None)


def _lacking(versions: Mapping[str, str], needs: Needs) -> list[str]:
    series = ".".join(versions["python"].split(".")[:2])
    target = {"python_version": series, "python_full_version": versions["python"]}
    wanted = [Requirement(text) for text in needs.requirements]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate(target)]
    return [
        f"{each.name}{each.specifier}" for each in wanted if not _fits(each, versions.get(canonicalize_name(each.name)))
    ]


def _fits(wanted: Requirement, version: str | None) -> bool:
    """Whether it is there and new enough; a build of one's own may have a version that says nothing, and counts."""
    try:
        return version is not None and wanted.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True


def _imported(
    python: Path, imports: Sequence[str], requirements: Sequence[str], name: str, *, own: bool
) -> dict[str, str]:
    """Return the versions that this interpreter finds; MachineError where the modules do not import together.

    An environment of our `own` keeps the bytecode even where the user's setting forbids it elsewhere: without it each
    import of torch compiles thousands of files again.
    """
    variables = clean_variables()
    if own:
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
    names = sorted({name_of(text) for text in requirements} | {*imports})
    command = [str(python), "-c", _PROBE, " ".join(imports), " ".join(names)]
    try:
        done = subprocess.run(  # noqa: S603  # the environment's interpreter with our own code; no shell
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_IMPORT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=variables,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{name} cannot be looked at: {error}", where=python, do="start again") from None
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"python"')]
    if done.returncode or not rows:
        raise _not_together(name, imports, rows[0] if rows else {}, done)
    versions: dict[str, str] = rows[-1]
    return versions


def _not_together(
    name: str, imports: Sequence[str], versions: Mapping[str, str], done: subprocess.CompletedProcess[str]
) -> MachineError:
    """Say why, as the last line of the traceback does; a crash leaves none."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    crash = f"the interpreter ended with status {done.returncode}"
    reason = lines[-1] if lines and done.returncode > 0 else crash
    return MachineError(
        f"{name}: the packages do not import together: {reason}",
        where=", ".join(f"{key} {value}" for key, value in versions.items() if key in (*imports, "python")),
        do="install torch and torchvision together from one index (--uv-arg=--index-url=URL or --torch-backend)",
    )
