"""Which Python an environment has: what an interpreter says of itself, and what markers are evaluated against."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from packaging.markers import default_environment

from vitgate.files.errors import UsageError

OLDEST_PYTHON = (3, 10)


def python_version(python: Path, *, where: str) -> tuple[int, int]:
    """Return major and minor version of an interpreter; UsageError, naming the argument `where`, if it does not run."""
    command = [str(python), "-I", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(  # noqa: S603  # the interpreter that the user named; no shell
            command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL
        )
        major, minor = map(int, done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        do = "give the path of a Python interpreter that runs"
        raise UsageError(f"cannot run {python}: {reason}", where=where, do=do) from None
    return major, minor


def marker_environment(python: str | None) -> dict[str, str]:
    """Return what markers are evaluated against: this platform, with the Python that `--python` asks for."""
    target: dict[str, str] = {**default_environment(), "extra": ""}  # type: ignore[dict-item]  # a TypedDict of texts
    if python is None:
        return target
    if os.path.isfile(python):  # noqa: PTH113  # what a user typed may be too long for a name of a file
        major, minor = python_version(Path(python), where="--python")
        python = f"{major}.{minor}"
    series = ".".join(python.split(".")[:2])
    return {**target, "python_version": series, "python_full_version": python if python != series else f"{series}.0"}
