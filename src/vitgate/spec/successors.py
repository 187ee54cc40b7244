"""What the successors of TorchScript need of an environment: `fixtures/successors.toml`. Nothing here imports them."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import field_validator

from vitgate.files.schemas import fixtures_folder, InnerPath, known, read_model, Strict, unique
from vitgate.spec.machine import packages
from vitgate.spec.outcome import NO_TOOLS, Outcome
from vitgate.spec.variants import SUCCESSORS, VariantName
from vitgate.spec.versions import VersionRange, within


class Successor(Strict):
    """One successor: the torch releases on which it works, the packages and tools that it needs, its page in `docs/`.

    `compiler` is a C++ compiler that builds the file; none is needed to run it.
    """

    variant: VariantName
    torch: VersionRange
    extra: str = ""
    packages: tuple[str, ...] = ()
    compiler: bool = False
    page: InnerPath

    @field_validator("packages")
    @classmethod
    def _are_requirements(cls, packages: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for text in packages:
                Requirement(text)
        except InvalidRequirement as error:
            raise ValueError(f"{text!r} is no requirement: {error}") from None
        return packages

    def lacking(self, torch: str) -> Outcome | None:
        """Say what stands in the way of building it under that torch, and what to do; None where nothing does."""
        if not within(self.torch, torch):
            return Outcome("unsupported", message=f"{self.variant} needs torch{self.torch}, this is {torch}")
        tools = self._lacking_tools()
        return Outcome("unsupported", error=NO_TOOLS, message=tools) if tools else None

    def _lacking_tools(self) -> str:
        wrong = [text for text in self.packages if not _is_installed(Requirement(text))]
        if wrong:
            return f'{self.variant} needs {" and ".join(wrong)}: pip install "vitgate[{self.extra}]"'
        if self.compiler and compiler() is None:
            return f"{self.variant} needs a C++ compiler: install g++, or name one with CXX"
        return ""


class SuccessorFile(Strict):
    """The whole of `successors.toml`."""

    successor: list[Successor]


@cache
def read_successors(path: Path | None = None) -> dict[VariantName, Successor]:
    """Return the rows by variant, in the variants' order; UsageError where one is missing, unknown or there twice."""
    path = path or fixtures_folder() / "successors.toml"
    rows = {row.variant: row for row in read_model(SuccessorFile, path).successor}
    unique([row.variant for row in read_model(SuccessorFile, path).successor], where=path)
    known(rows, SUCCESSORS, "successor", where=path)
    known(SUCCESSORS, rows, "row of", where=path)
    return {name: rows[name] for name in SUCCESSORS}


def package_versions() -> dict[str, str]:
    """Return the installed versions of all packages that some successor is made or run with."""
    names = sorted({Requirement(text).name for row in read_successors().values() for text in row.packages})
    return {name: packages()[name] for name in names if name in packages()}


def compiler() -> str | None:
    """Return the path of the C++ compiler that torch would take: CXX, or g++."""
    return shutil.which(os.environ.get("CXX") or "g++")


def _is_installed(wanted: Requirement) -> bool:
    version = packages().get(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)
