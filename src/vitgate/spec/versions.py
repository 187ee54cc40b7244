"""Versions of PyTorch, installed packages and the machine type: what deviations and tolerances are declared about."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Protocol

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator


def _specifier(text: str) -> str:
    try:
        empty = _is_empty(SpecifierSet(text))
    except (InvalidSpecifier, InvalidVersion):
        raise ValueError(f"{text!r} is not a version specifier such as '>=2.13'") from None
    if not text.strip():
        raise ValueError("it is empty: '>=0' means every release")
    if empty:
        raise ValueError(f"{text!r} matches no release")
    return text


def _is_empty(versions: SpecifierSet) -> bool:
    """Whether neither 0, nor a release that it names, nor the next patch, minor or major release after one is in it."""
    named = [release(each.version.removesuffix(".*")) for each in versions]
    after = [
        Version(text)
        for each in named
        for text in (
            f"{each.major}.{each.minor}.{each.micro + 1}",
            f"{each.major}.{each.minor + 1}.0",
            f"{each.major + 1}.0.0",
        )
    ]
    return not any(versions.contains(each) for each in (Version("0"), *named, *after))


VersionRange = Annotated[str, AfterValidator(_specifier)]


def release(version: str) -> Version:
    """Return the version without its local part and development suffix: 2.13.0.dev1+cpu counts as 2.13.0."""
    return Version(Version(version).base_version)


def within(versions: VersionRange, version: str) -> bool:
    """Whether the release of that version lies in the range."""
    return SpecifierSet(versions).contains(release(version))


def public(version: str) -> str:
    """Return the version without its local part: 2.12.1+cu130 is 2.12.1."""
    return version.partition("+")[0]


def age(version: str) -> tuple[Version, str]:
    """Return by what releases are put in order; text that is not a version comes first."""
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


PACKAGES = (
    *("torch", "torchvision", "timm", "numpy", "pillow", "pandas", "pytest", "pytest-xdist", "syrupy", "vitgate"),
    "transformers",  # which builds a case
    *("torchao", "executorch", "onnx", "onnxscript", "onnxruntime"),  # of the successors
)


EMULATED = "emulated"
"""How the name of a processor begins that another one emulates."""

_OF_TESTS = ("pandas", "pytest", "pytest-xdist", "syrupy", "vitgate")
_MOST_NAMED = 2  # packages that a side is named by


@cache  # every settled claim asks, and looking them up takes tens of milliseconds
def packages() -> dict[str, str]:
    """Return the installed versions of the packages that can change an outcome; one dictionary, not to be changed."""
    found = {name: _version(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_installed(wanted: Requirement) -> bool:
    """Whether that package is installed here, in a version that the requirement allows; pre-releases count."""
    version = packages().get(wanted.name) if wanted.name in PACKAGES else _version(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)


class Installed(Protocol):
    """What a run found installed: torch's version, those of `PACKAGES`, and the machine type."""

    @property
    def torch(self) -> str:
        """Torch's version, with its local part."""
        ...

    @property
    def packages(self) -> Mapping[str, str]:
        """The versions of the packages, by name."""
        ...

    @property
    def machine(self) -> str:
        """The machine type, such as `x86_64`."""
        ...


def release_names(old: Installed, new: Installed) -> tuple[str, str]:
    """Return the names of two sides.

    They are torch's versions, with the machines where these differ; where all that is the same, the packages that tell
    the sides apart.
    """
    short = public(old.torch), public(new.torch)
    if old.machine != new.machine:
        return f"{short[0]} on {old.machine}", f"{short[1]} on {new.machine}"
    if short[0] != short[1]:
        return short
    before, after = old.packages, new.packages
    differ = [name for name in reversed(PACKAGES[1:]) if before.get(name) != after.get(name) and name not in _OF_TESTS]
    if not differ:
        return (old.torch, new.torch) if old.torch != new.torch else short
    return _named(before, differ), _named(after, differ)


def _named(versions: Mapping[str, str], differ: Sequence[str]) -> str:
    shown = [f"{name} {versions.get(name, 'missing')}" for name in differ[:_MOST_NAMED]]
    more = f" and {len(differ) - _MOST_NAMED} more" if len(differ) > _MOST_NAMED else ""
    return f"{', '.join(shown)}{more}"


def titled(name: str) -> str:
    """Return the name of a side by which a sentence can begin: what is named by its version alone is a PyTorch."""
    return f"PyTorch {name}" if name[:1].isdigit() else name


def machine() -> str:
    """Return the machine type as tolerances and deviations name it: `x86_64`, `aarch64`."""
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


@cache
def emulated(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this machine is emulated, by qemu-user: it names a model, its host's or a made-up one; Linux does not."""
    try:
        return machine() == "aarch64" and "model name" in cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as Linux gives it, or the platform's word for it."""
    if emulated(cpuinfo):
        return f"{EMULATED} {machine()}"
    try:
        with cpuinfo.open(encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()
