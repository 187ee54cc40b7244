"""Which releases of torch the package index has between two, as uv sees it with the user's own arguments.

uv lists no releases. But asked for the newest below a bound it names one, which is the next bound. So whatever index,
credentials or backend the user's arguments choose, and whichever Python, what is found is what uv can install.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from vitgate.files.errors import UsageError
from vitgate.upgrade.installer import check_uv_args, run_uv

_PINNED = re.compile(r"(?m)^torch==([^\s;]+)")


def releases_between(
    old: Version, new: Version, *, uv_args: Sequence[str] = (), python: str | None = None
) -> list[Version]:
    """Return the releases after `old` and before `new`, in order, without pre-releases; errors of uv as `run_uv`."""
    check_uv_args(uv_args)
    with tempfile.TemporaryDirectory(prefix="vitgate-releases-") as folder:
        return sorted(_downwards(old, new, uv_args, python or sys.executable, Path(folder)))


def _downwards(old: Version, bound: Version, uv_args: Sequence[str], python: str, folder: Path) -> Iterator[Version]:
    """Yield releases from `bound` down. The lower one is always allowed, so that uv finds something to the end."""
    while (found := _newest(old, bound, uv_args, python, folder)) is not None:
        if not found.is_prerelease:
            yield Version(found.public)
        bound = Version(found.public)


def _newest(old: Version, bound: Version, uv_args: Sequence[str], python: str, folder: Path) -> Version | None:
    asked = folder / "asked.txt"
    asked.write_text(f"torch>={old.public},<{bound.public}\n", encoding="utf-8")
    options = ["--no-deps", "--no-header", "--no-annotate", "--python", python]
    said = run_uv(
        ["pip", "compile", str(asked), *options, *uv_args],
        name=f"the releases of torch between {old.public} and {bound.public}",
        folder=folder,
        lock=None,
        show=lambda detail: None,
    )
    found = Version(_PINNED.findall(said)[-1])
    return found if old.public != found.public and found > old else None


def parse_releases(text: str) -> list[Version]:
    """Understand `2.9.1,2.10.0`; UsageError for what is no version."""
    return sorted({parse_release(part, where="--releases") for part in text.split(",")})


def parse_release(text: str, *, where: str) -> Version:
    """Understand one version; UsageError for anything else."""
    try:
        return Version(text.strip())
    except InvalidVersion:
        raise UsageError(f"{text.strip()!r} is no version", where=where, do="give releases such as 2.12.1") from None
