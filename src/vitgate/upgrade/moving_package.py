"""The package whose releases a sweep or a bisection goes through, and what stays the same meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name
from packaging.version import Version

from vitgate.files.errors import UsageError
from vitgate.records.record import Record
from vitgate.spec.versions import PACKAGES, packages, public
from vitgate.upgrade.requirements import name_of, parse_side, Side, version_of

TORCH = "torch"
_FORM = "give what stays as requirements, torch among them: --with 'torch==2.15.0 timm==1.0.20'"


@dataclass(frozen=True)
class MovingPackage:
    """A package by name, and `fixed`: the requirements of what stays, as one side of an upgrade is written."""

    name: str = TORCH
    fixed: str = ""

    def side(self, text: str, *, where: str) -> Side:
        """Return the side with that release of the package; UsageError where it is none."""
        if self.name == TORCH:
            return parse_side(text, where=where)
        if version_of(text.strip()) is None:
            raise UsageError(f"{text!r} is not a version of {self.name}", where=where, do="give one such as 1.20.1")
        whole = f"{self.fixed} {self.name}=={text.strip()}"
        return replace(parse_side(whole, where=where), name=f"{self.name}=={text.strip()}")

    def release_in(self, record: Record) -> Version:
        """Return the release of the package that a record is about."""
        found = record.environment.torch if self.name == TORCH else record.environment.packages.get(self.name, "0")
        return Version(Version(found).public)


def moving(package: str | None, fixed: str | None) -> MovingPackage:
    """Understand `--package` and `--with`; what stays is the torch that is installed here where nobody says.

    UsageError for a package whose version no record holds, or for requirements that name it or lack torch.
    """
    name = canonicalize_name(package or TORCH)
    if name not in PACKAGES:
        known = ", ".join(each for each in PACKAGES if each != "vitgate")
        raise UsageError(f"unknown package {package!r}", where="--package", do=f"choose from {known}")
    if name == TORCH:
        if fixed:
            raise UsageError("--with without another --package", do="name the package that moves with --package NAME")
        return MovingPackage()
    if not fixed and TORCH not in packages():
        raise UsageError("what stays is not named, and no torch is installed here", where="--with", do=_FORM)
    stays = fixed or f"torch=={public(packages()[TORCH])}"
    if name in map(name_of, parse_side(stays, where="--with").requirements):
        raise UsageError(f"{name} both moves and stays", where="--with", do="leave it out there")
    return MovingPackage(name, stays)
