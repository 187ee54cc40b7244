"""The packages of the successors in a side's environment: as many of them as uv can put beside the side's own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from vitgate.files.errors import VitgateError
from vitgate.spec.variants import read_successors, SUCCESSORS, TYPES
from vitgate.upgrade.installer import REFUSED, run_uv
from vitgate.upgrade.moving_package import TORCH
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.record_cache import Means
from vitgate.upgrade.requirements import applicable, name_of, own_needs, Side, whole_set
from vitgate.upgrade.runs import Request

_NEWEST = "999"


def for_successors(side: Side, request: Request, means: Means, echo: Callable[[str], None]) -> Side:
    """Return the side with the successors' packages, if the request is about successors.

    What the user names stays as named. A package that uv cannot install beside it is left out, with a note; the
    successors that need it are `unsupported` in the side's run. Nothing is installed into an interpreter.

    Args:
        side: The side as the user wrote it.
        request: What the runs are asked.
        means: How environments are made: an environment that is there is not resolved again.
        echo: Is told what is under way.

    Raises:
        VitgateError: uv cannot reach an index, or has no room; or the side's own requirements cannot be met.
    """
    if not request.has_successors or side.interpreter is not None:
        return side
    lacking = list(_lacking(side, types=request.types))
    every = _with(side, lacking)
    if not lacking or means.has(every):
        return every
    with Steps(echo).step(f"{side.name}: choosing the packages of the successors"):
        if not _refused(every, means):
            return every
        kept: list[str] = []
        notes: list[str] = []
        for package in lacking:
            if why := _refused(_with(side, [*kept, package]), means):
                notes.append(f"{side.name}: left out {package}: {why.removeprefix(f'{side.name}: ')}")
            else:
                kept.append(package)
    return replace(_with(side, kept), notes=(*side.notes, *notes))


def _lacking(side: Side, *, types: bool) -> Iterator[str]:
    """Yield what successors need and the side does not name, each package once, what needs least first."""
    named = {name_of(text): text for text in side.requirements}
    asked = [row for row in read_successors().values() if types or SUCCESSORS[row.variant].option != TYPES]
    every: dict[str, SpecifierSet] = {}
    for row in sorted(asked, key=lambda row: len(row.packages)):
        for text in row.needed(_release(named.get(TORCH, TORCH))):
            every[name_of(text)] = every.get(name_of(text), SpecifierSet()) & Requirement(text).specifier
    yield from (f"{name}{versions}" for name, versions in every.items() if name not in named)


def _release(requirement: str) -> str:
    """Return the one release that a requirement allows; where it allows several, uv takes the newest."""
    exact = [each.version for each in Requirement(requirement).specifier if each.operator == "=="]
    return exact[0] if exact and not exact[0].endswith("*") else _NEWEST


def _with(side: Side, packages: Sequence[str]) -> Side:
    return replace(side, requirements=(*side.requirements, *packages))


def _refused(side: Side, means: Means) -> str:
    """Return why uv cannot install the side, empty if it can; errors that are not about the packages are raised."""
    chosen = applicable(side, means.python)
    with tempfile.TemporaryDirectory(prefix="vitgate-successors-") as folder:
        asked = Path(folder) / "asked.txt"
        lines = whole_set(chosen, means.needs or own_needs())
        asked.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
        options = ["--no-header", "--no-annotate", "--python", means.python or sys.executable]
        command = ["pip", "compile", str(asked), *options, *side.uv_args, *means.uv_args]
        try:
            run_uv(command, name=side.name, folder=Path(folder), lock=None, show=lambda detail: None)
        except VitgateError as error:
            if not any(words in str(error) for words in REFUSED):
                raise
            return str(error)
    return ""
