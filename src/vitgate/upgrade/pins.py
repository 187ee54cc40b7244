"""Which torch a project pins: read from its requirement files, project files, lock files and conda environments.

A gate in CI compares the pin before and after a change. A pin that is not found must fail the gate and not skip it, so
a file that names torch without one is an error. Nothing is resolved, downloaded or executed.
"""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from vitgate.files.errors import UsageError
from vitgate.files.schemas import MOST_JSON, parse_toml, read_text
from vitgate.files.text import bare_lines
from vitgate.upgrade.requirements import DEEPEST, SERIES, version_of

NAMES = ("torch", "pytorch", "pytorch-cpu", "pytorch-gpu")
"""What the package is called: on PyPI, and in conda's channels."""
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_STRING = re.compile(r"""(["'])(.*?)\1""")
_ASSIGNED = re.compile(r"""["']?([\w.-]+)["']?\s*=\s*(?:\{.*?\bversion\s*=\s*)?(["'])(.*?)\2""")
_BEGINS = re.compile(r"[\"']?(?:py)?torch\s*[=<>~!@;\[]")
_CONDA = re.compile(r"-\s*[\"']?(?:[\w.-]+(?:/[\w.-]+)?::)?([\w.-]+)\s*([=<>!~ ].*?)?[\"']?\s*$")
Reader = Callable[[str], "str | None"]


@dataclass(frozen=True)
class Named:
    """A place that names torch: the version that it pins, as `vitgate upgrade` takes it, or nothing."""

    version: str
    says: str
    where: str


def find_pin(files: Sequence[str], read: Reader) -> str:
    """Return the pinned version of torch, `2.12.1`, or `2.12` for a series; nothing if no file names torch.

    Args:
        files: Paths, the most telling first: the first file that pins torch decides.
        read: Returns the text of a file, None if there is none.

    Returns:
        The version as written, local part and development suffix included.

    Raises:
        UsageError: No file is there, torch is named without a pin, or one file pins different versions.
    """
    texts = {name: text for name in files if (text := read(name)) is not None}
    if not texts:
        raise UsageError("there is none of these files", where=", ".join(files), do="name the files that pin torch")
    named = [list(_named(name, text, read)) for name, text in texts.items()]
    for found in named:
        versions = list(dict.fromkeys(each.version for each in found if each.version))
        if len({Version(each).public if _is_version(each) else each for each in versions}) > 1:
            do = "name a file that pins one, or give the versions to `vitgate upgrade`"
            raise UsageError(f"torch is pinned to {' and to '.join(versions)}", where=found[0].where, do=do)
        if versions:
            return versions[0]
    if without := [each for found in named for each in found]:
        what = f"torch is named without a pin: {without[0].says}"
        raise UsageError(what, where=without[0].where, do="pin it (torch==2.12.1), or name the lock file too")
    return ""


def reader(folder: Path, commit: str | None) -> Reader:
    """Return what reads the project's files: as they are in the folder, or in a commit of its git repository."""
    return (lambda name: _from_folder(folder / name)) if commit is None else _of_commit(folder, commit)


def _from_folder(path: Path) -> str | None:
    try:
        return read_text(path, MOST_JSON)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read this file: {error}", where=path, do="name a text file") from None


def _of_commit(folder: Path, commit: str) -> Reader:
    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")  # noqa: S603  # no shell

    if commit.startswith("-") or git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").returncode:
        do = "name a commit, branch or tag of the repository in this folder; in CI, check it out with its history"
        raise UsageError(f"no such commit: {commit!r}", where="--at", do=do)

    def read(name: str) -> str | None:
        done = git("show", f"{commit}:./{name}")
        return done.stdout if done.returncode == 0 else None

    return read


def _named(name: str, text: str, read: Reader, depth: int = 0) -> Iterator[Named]:
    """Yield every place of one file that names torch for this platform."""
    base = posixpath.basename(name).lower()
    if base == "pipfile.lock":
        yield from _of_tables(_json(name, text), name)
    elif base.endswith((".toml", ".lock")) or base == "pipfile":
        yield from _of_tables(parse_toml(text, name), name)
    elif base.endswith((".yml", ".yaml")):
        yield from _of_lines(name, text, _of_conda)
    else:
        yield from _of_lines(name, text, _of_requirement)
        lines = bare_lines(text) if depth < DEEPEST else ()
        for included in (found[1] for _, line in lines if (found := _INCLUDE.match(line))):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), included))
            if (more := read(path)) is None:
                raise UsageError(f"there is no file {included}, which this one names", where=name, do="name its pin")
            yield from _named(path, more, read, depth + 1)


def _json(name: str, text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is not JSON: {error}", where=name, do="name a sound lock file") from None
    return found


def _of_lines(name: str, text: str, parse: Callable[[str], Iterator[tuple[str, str]]]) -> Iterator[Named]:
    for number, bare in bare_lines(text):
        yield from (Named(version, says, f"{name}, line {number}") for version, says in parse(bare))


def _of_requirement(line: str) -> Iterator[tuple[str, str]]:
    """Yield version and text of what one line names: a requirement, quoted ones, or poetry's `torch = "2.12.1"`."""
    if (assigned := _ASSIGNED.match(line)) and _is_torch(assigned[1]):
        yield _of_poetry(assigned[3]), line
        return
    bare = re.sub(r"\s--\w.*", "", line)
    for text in (bare, *(quoted for _, quoted in _STRING.findall(bare))):
        if (found := _requirement(text)) is not None:
            yield from _of_parsed(found)
            return
    if _BEGINS.match(line):
        yield "", line  # torch in a form that nobody here understands is named all the same


def _requirement(text: str) -> Requirement | None:
    try:
        found = Requirement(text)
    except (InvalidRequirement, ValueError, RecursionError):
        return None
    return found if _is_torch(found.name) else None


def _of_parsed(found: Requirement) -> Iterator[tuple[str, str]]:
    held = found.marker is None or found.marker.evaluate({"extra": ""})
    yield _pinned(found) if held else "", str(found)  # required elsewhere only: no pin that a gate here can test


def _pinned(requirement: Requirement) -> str:
    """Return the version that a requirement pins: `==`, a wildcard or `~=` of one series, or a wheel's own."""
    if requirement.url:
        try:
            wheel = posixpath.basename(requirement.url.partition("#")[0]).replace("%2B", "+")
            return str(parse_wheel_filename(wheel)[1])
        except InvalidWheelFilename:
            return ""
    for each in requirement.specifier:
        if each.operator in ("==", "==="):
            return each.version.removesuffix(".*")
        if each.operator == "~=" and len(Version(each.version).release) > SERIES:
            return _series(each.version)
    return ""


def _of_poetry(text: str) -> str:
    """Return what poetry's, Pipfile's or conda's version text pins: `2.12.1`, `==2.12.1`, `2.12.*`, `~2.12.1`."""
    bare = text.strip().removeprefix("===").removeprefix("==").removeprefix("=").strip()
    if _is_version(bare.removesuffix(".*")):
        return bare.removesuffix(".*")
    tilde = bare.removeprefix("~=" if bare.startswith("~=") else "~")
    if tilde != bare and _is_version(tilde) and len(Version(tilde).release) >= SERIES:
        return _series(tilde)
    return ""


def _of_conda(line: str) -> Iterator[tuple[str, str]]:
    """Yield what one item of an environment.yml names, in conda's form or, below `pip:`, in pip's."""
    item = _CONDA.match(line)
    if item is None or not _is_torch(item[1]):
        return
    text = line.lstrip("- ").strip("\"' ")
    if item[1] == "torch" and (found := _requirement(text)) is not None:
        yield from _of_parsed(found)
        return
    version = re.sub(r"^[= ]+", "", item[2] or "").partition("=")[0].strip()  # after the version stands conda's build
    yield (_of_poetry(version) if re.match(r"[= ]*\d", item[2] or "") else ""), text


def _of_tables(data: Mapping[str, Any], name: str) -> Iterator[Named]:
    """Yield what a TOML or JSON file names: packages of a lock file, lists of requirements, tables of versions."""
    for key, value in data.items():
        if key in ("package", "packages") and isinstance(value, list):
            yield from _of_packages(value, name)
        elif isinstance(value, Mapping):
            yield from _of_table(key, value, name)
        elif isinstance(value, list):
            yield from _of_list(value, name)


def _of_packages(rows: list[Any], name: str) -> Iterator[Named]:
    for row in rows:
        if isinstance(row, Mapping) and _is_torch(str(row.get("name", ""))) and _holds(row.get("marker", "")):
            version = str(row.get("version", ""))
            yield Named(version if _is_version(version) else "", f"torch {version}".strip(), name)


def _of_table(key: str, table: Mapping[str, Any], name: str) -> Iterator[Named]:
    dependencies = key in ("dependencies", "dev-dependencies", "default", "develop", "packages", "dev-packages")
    for package, value in table.items():
        if dependencies and _is_torch(package):
            rows = value if isinstance(value, list) else [value]
            for row in rows:
                text = str(row.get("version", "")) if isinstance(row, Mapping) else str(row)
                if not isinstance(row, Mapping) or _holds(row.get("markers", "")):
                    yield Named(_of_poetry(text), f"{package} = {text!r}", name)
    if not dependencies or not any(map(_is_torch, table)):
        yield from _of_tables(table, name)


def _of_list(values: list[Any], name: str) -> Iterator[Named]:
    for text in (value for value in values if isinstance(value, str)):
        if (found := _requirement(text)) is not None:
            yield from (Named(version, says, name) for version, says in _of_parsed(found))


def _holds(marker: object) -> bool:
    try:
        return not marker or Marker(str(marker)).evaluate({"extra": ""})
    except InvalidMarker:
        return True


def _is_torch(name: str) -> bool:
    return canonicalize_name(name) in NAMES


def _is_version(text: str) -> bool:
    return version_of(text) is not None


def _series(version: str) -> str:
    return ".".join(map(str, Version(version).release[:SERIES]))
