"""Interpreters: what is installed in one, and whether that imports together. Nothing is installed here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from vitgate.files.errors import MachineError
from vitgate.upgrade.installer import clean_variables
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.requirements import name_of, Needs, Side

_IMPORT_SECONDS = 600  # a first import of torch from a slow disk takes a minute


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


def existing(side: Side, python: Path, needs: Needs, steps: Steps) -> Environment:
    """Look at an interpreter of the user's own. Nothing is ever installed into it or removed from it.

    Args:
        side: Whose.
        python: The interpreter.
        needs: What it must have, and what must import.
        steps: Shows what is under way.

    Raises:
        MachineError: Something is missing, too old, or does not import.
    """
    with steps.step(f"{side.name}: importing {', '.join(needs.imports)}"):
        versions = imported(python, needs.imports, needs.requirements, side.name, own=False)
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


def imported(
    python: Path, imports: Sequence[str], requirements: Sequence[str], name: str, *, own: bool
) -> dict[str, str]:
    """Return the versions that an interpreter finds, by name.

    Args:
        python: The interpreter.
        imports: Modules that must import together.
        requirements: Of whose packages the versions are wanted too.
        name: The side's, for errors.
        own: The environment is ours: it keeps the bytecode even where the user's setting forbids that elsewhere.
            Without it each import of torch compiles thousands of files again.

    Raises:
        MachineError: The interpreter cannot be run, or the modules do not import.
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
