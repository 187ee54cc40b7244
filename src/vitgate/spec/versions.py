"""Which releases of PyTorch a declaration is about: a version specifier, checked when its file is read."""

from __future__ import annotations

from typing import Annotated

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
    """Return by what releases are put in order; what is no version comes first."""
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version
