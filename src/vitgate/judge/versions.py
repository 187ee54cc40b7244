"""Which releases of PyTorch a declaration is about: a version specifier, checked when its file is read."""

from __future__ import annotations

from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pydantic import AfterValidator


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError(f"{text!r} is not a version specifier such as '>=2.13'") from None
    return text


VersionRange = Annotated[str, AfterValidator(_specifier)]


def release(version: str) -> Version:
    """Return the version without its local part and development suffix: 2.13.0.dev1+cpu counts as 2.13.0."""
    return Version(Version(version).base_version)


def within(versions: VersionRange, version: str) -> bool:
    """Whether the release of that version lies in the range."""
    return SpecifierSet(versions).contains(release(version), prereleases=True)


def public(version: str) -> str:
    """Return the version without its local part: 2.12.1+cu130 is 2.12.1."""
    return version.partition("+")[0]
