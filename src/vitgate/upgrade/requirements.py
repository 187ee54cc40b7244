"""What a user may write for one side of an upgrade, and what that side's environment must hold besides.

A side is a version, a set of requirements, a requirements file or an interpreter that exists. Whatever is written is
taken apart here and put together anew, so that nothing of it can reach uv as an option.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import Version

import vitgate
from vitgate.files.errors import UsageError
from vitgate.files.schemas import MOST_TOML, read_text, read_toml
from vitgate.files.text import bare_lines
from vitgate.spec.cases import read_cases
from vitgate.upgrade.python_versions import marker_environment, OLDEST_PYTHON, python_version

_FORMS = "give a version (2.12.1), requirements ('torch==2.12.1 timm==1.0.20') or a requirements file"
_AROUND_OPERATORS = re.compile(r"\s*(===|==|~=|!=|<=|>=|<|>|,)\s*|\s+(@)\s+")
DEEPEST = 8  # files that include each other
_INCLUDES = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}  # whether it only constrains
_INDEX_OPTIONS = {
    **{"-i": "--index-url", "--index-url": "--index-url", "--extra-index-url": "--extra-index-url"},
    **{"-f": "--find-links", "--find-links": "--find-links", "--no-index": "--no-index", "--pre": "--prerelease=allow"},
}
"""Options of a requirements file that say where packages come from, by uv's name for each."""
_LOCAL = re.compile(r"(?:-e|--editable)[ =]|\.{1,2}(?:$|[/\[])")
_HASH = re.compile(r"\s--hash=\w+:[0-9a-fA-F]+")
SERIES = 2  # `2.12` has two parts and means its newest patch release, as in tox.ini; `2.12.0` means itself
_NUMPY_2 = (2, 3)  # the first torch built against NumPy 2
_FOR_THE_GATE = frozenset({"uv", "click"})  # make and compare environments, and are not needed inside them


@dataclass(frozen=True)
class Side:
    """One side: what must be installed, or the interpreter that has it already; `name` is what the user wrote.

    `uv_args` are the index options of its requirements file, `notes` what of that file is left out.
    """

    name: str
    requirements: tuple[str, ...] = ()
    interpreter: Path | None = None
    uv_args: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """What the suite needs beside a side's own requirements, and the modules that must import together."""

    requirements: tuple[str, ...]
    imports: tuple[str, ...] = ("torch", "torchvision", "timm")


def parse_side(text: str, *, where: str) -> Side:
    """Understand a version, a requirement set or a requirements file; UsageError names the argument `where`."""
    text = text.strip()
    if not text or not text.isprintable():
        raise UsageError(f"this names no PyTorch: {text!r}", where=where, do=_FORMS)
    version = version_of(text)
    if version is not None:
        return Side(text, (_pin(version),))
    if os.path.isfile(text):  # unlike Path's own, it takes a name that is too long for a file as one that is none
        found = _read_file(Path(text))
        return replace(found, name=text, requirements=_with_torch(found.requirements, where=text))
    if _looks_like_path(text):
        raise UsageError(f"there is no file {text}", where=where, do=_FORMS)
    pieces = _AROUND_OPERATORS.sub(r"\1\2", text).split()
    return Side(text, _with_torch((_requirement(piece, where=where) for piece in pieces), where=where))


def parse_interpreter(path: str, *, where: str) -> Side:
    """Understand an interpreter, or the folder of a virtual environment; UsageError where it cannot run the suite."""
    given = Path(os.path.expanduser(path)).absolute()  # and not resolved: symlinks lead out of a virtual environment
    python = given / "bin" / "python" if os.path.isdir(given) else given
    found = python_version(python, where=where)
    if found < OLDEST_PYTHON:
        shown = ".".join(map(str, found))
        raise UsageError(f"{path} is Python {shown}", where=where, do="vitgate needs Python 3.10 or newer")
    return Side(path, interpreter=python)


def sides_from(texts: Sequence[str], old_python: str | None, new_python: str | None) -> tuple[Side, Side]:
    """Return both sides of an upgrade.

    Args:
        texts: OLD and NEW, but for those that an interpreter names.
        old_python: Interpreter, or environment, of the old side.
        new_python: That of the new one.

    Raises:
        UsageError: A side is named twice or not at all, or cannot be understood.
    """
    left = list(texts)
    sides = []
    for where, python in (("OLD", old_python), ("NEW", new_python)):
        if python:
            sides.append(parse_interpreter(python, where=f"--{where.lower()}-python"))
        elif left:
            sides.append(parse_side(left.pop(0), where=where))
        else:
            raise UsageError(f"{where} is missing", where="vitgate upgrade", do=_FORMS)
    if left:
        raise UsageError(f"one version too many: {left[0]!r}", where="vitgate upgrade", do="name OLD and NEW only")
    return sides[0], sides[1]


def for_cases(side: Side, cases: Iterable[str]) -> Side:
    """Return the side with the optional libraries that build these cases' models, unless the user names them.

    Nothing is installed into an interpreter: a library that is missing there is the run's to report.
    """
    named = {name_of(text) for text in side.requirements}
    libraries = dict.fromkeys(read_cases()[case].library for case in cases)
    missing = tuple(name for name in libraries if name != "timm" and name not in named)
    return side if side.interpreter else replace(side, requirements=(*side.requirements, *missing))


def applicable(side: Side, python: str | None) -> Side:
    """Return the side without requirements whose markers do not hold for the environment's Python on this platform.

    UsageError if no requirement of torch is left: uv would install the newest one, which nobody asked for.
    """
    if side.interpreter is not None:
        return side
    target = marker_environment(python)
    parsed = [(text, _parsed(text)) for text in side.requirements]
    held = tuple(text for text, each in parsed if each.marker is None or each.marker.evaluate(target))
    left_out = next((text for text, each in parsed if _name(each) == "torch"), "")
    if left_out and "torch" not in map(name_of, held):
        here = f"Python {target['python_version']} on {target['sys_platform']} {target['platform_machine']}"
        do = "give a requirement of torch whose marker holds here, or none"
        raise UsageError(f"torch is not required for {here} by {left_out!r}", where=side.name, do=do)
    return replace(side, requirements=held)


def check_clashes(side: Side, needs: Needs) -> None:
    """UsageError if the side pins a package to a version that the suite, which runs beside it, cannot use."""
    own = {name_of(text): _parsed(text) for text in needs.requirements}
    for each in map(_parsed, side.requirements):
        need = own.get(_name(each))
        pins = [
            specifier.version for specifier in each.specifier if _is_exact(specifier) and specifier.operator == "=="
        ]
        if need is not None and pins and not need.specifier.contains(pins[0], prereleases=True):
            what = f"{each} clashes with {need}, which vitgate's own suite needs in the same environment"
            do = "leave it out for the gate, or name an interpreter that has both (--old-python, --new-python)"
            raise UsageError(what, where=side.name, do=do)


def unlike(side: Side, torch: str) -> str:
    """Return the requirement of the side that this version of torch does not meet; nothing if it meets all."""
    for each in (_parsed(text) for text in side.requirements if name_of(text) == "torch"):
        arbitrary = any(specifier.operator == "===" for specifier in each.specifier)
        if not arbitrary and not each.specifier.contains(torch, prereleases=True):
            return str(each)
    return ""


def check_python(request: str | None) -> None:
    """UsageError unless `--python` names a Python version that the suite runs on, or an interpreter."""
    if request is None or os.path.isfile(request):
        return
    numbers = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)?", request)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST_PYTHON:
        raise UsageError(f"cannot use Python {request!r}", where="--python", do="give 3.10 or newer, or a path")


def own_needs() -> Needs:
    """Return what the running vitgate declares, without extras and without what only the gate itself uses."""
    return Needs(tuple(text for text in _declared() if name_of(text) not in _FOR_THE_GATE))


def whole_set(side: Side, needs: Needs) -> tuple[str, ...]:
    """Return all requirements of the side's environment, the user's first.

    torch before 2.3 was built against NumPy 1 and cannot exchange arrays with NumPy 2, which its metadata does not say.
    """
    asked = [_parsed(text) for text in side.requirements]
    numpy = ("numpy<2",) if _before_numpy_2(asked) and "numpy" not in map(_name, asked) else ()
    return (*side.requirements, *needs.requirements, *numpy)


def name_of(requirement: str) -> str:
    """Return the normalised name of the package."""
    return _name(_parsed(requirement))


def is_pinned(side: Side) -> bool:
    """Whether the side means one release of torch, today and later; what asks for it several times means all of it."""
    torch = [_parsed(text) for text in side.requirements if name_of(text) == "torch"]
    return not torch or any(each.url or any(map(_is_exact, each.specifier)) for each in torch)


def version_of(text: str) -> Version | None:
    """Return the version that the text is, None for any other text."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        return None


def _pin(version: Version) -> str:
    whole = len(version.release) > SERIES or str(version) != version.base_version  # 2.13rc1 and 2.13+cpu are exact too
    return f"torch=={version}" if whole else f"torch=={version}.*"


def _looks_like_path(text: str) -> bool:
    return "://" not in text and (os.sep in text or text.endswith((".txt", ".in", ".toml", ".lock")))


def _requirement(text: str, *, where: object) -> str:
    if text.startswith("-"):
        do = f"options for uv are given apart, as --uv-arg={text}"
        raise UsageError(f"an option among the requirements: {text}", where=where, do=do)
    bare = _HASH.sub("", text)
    try:
        whole = str(Requirement(bare))
        if not whole.isprintable() or str(Requirement(whole)) != whole:  # an escape in a marker may mean a line break,
            raise ValueError  # and what follows it would reach uv as an option
        return " ".join([whole, *(found.strip() for found in _HASH.findall(text))])
    except (ValueError, RecursionError):  # InvalidRequirement, or numbers and brackets without end
        raise UsageError(f"{text!r} is not a requirement", where=where, do=_FORMS) from None


def _with_torch(requirements: Iterable[str], *, where: str) -> tuple[str, ...]:
    found = tuple(requirements)
    if "torch" not in (name_of(text) for text in found):
        raise UsageError(f"{' '.join(found) or 'nothing'!r} does not name torch", where=where, do=_FORMS)
    return found


def _read_file(path: Path, depth: int = 0) -> Side:
    """Return what a requirements file asks for, with the files that it names; UsageError names file and line."""
    requirements: list[str] = []
    constraints: list[str] = []
    uv_args: list[str] = []
    notes: list[str] = []
    for where, line in _file_lines(path):
        option, _, value = re.sub(r"^(--?[\w-]+)[ =]+", r"\1 ", line).partition(" ")
        if _LOCAL.match(line):
            notes.append(f"{where}: left out {line!r}, which is no package of an index")
        elif not line.startswith("-"):
            requirements.append(_requirement(line, where=where))
        elif option in _INDEX_OPTIONS and not value.startswith("-"):
            uv_args += [_INDEX_OPTIONS[option], *([value] if value else [])]
        elif option in _INCLUDES and value and depth < DEEPEST:
            found = _read_file(path.parent / value, depth + 1)
            (constraints if _INCLUDES[option] else requirements).extend(found.requirements)
            uv_args += found.uv_args
            notes += found.notes
        else:
            do = f"options for uv are given apart, as --uv-arg={line}"
            raise UsageError(f"an option among the requirements: {line}", where=where, do=do)
    named = {name_of(text) for text in (*requirements, *own_needs().requirements)}
    held = [text for text in constraints if name_of(text) in named]  # of a package that is installed anyway
    return Side(str(path), (*requirements, *held), None, tuple(uv_args), tuple(notes))


def _file_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield where each line stands, and the line without its comment."""
    try:
        text = read_text(path, MOST_TOML)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read this file: {error}", where=path, do="give a requirements file") from None
    for number, bare in bare_lines(text):
        if not bare.replace("\t", " ").isprintable():
            raise UsageError("an unprintable character", where=f"{path}, line {number}", do="mend the file")
        yield f"{path}, line {number}", bare


def _declared() -> list[str]:
    """Return vitgate's dependencies: in a checkout as the file says, which installed metadata may be older than."""
    project = _checkout_project()
    found = project.get("dependencies") if project else _installed_requirements()
    return [text for text in found or [] if "extra" not in str(Requirement(text).marker or "")]


def _checkout_project() -> dict[str, Any]:
    path = Path(vitgate.__file__).parents[2] / "pyproject.toml"
    project: dict[str, Any] = read_toml(path).get("project", {}) if path.is_file() else {}
    return project if project.get("name") == "vitgate" else {}


def _installed_requirements() -> list[str]:
    try:
        return importlib.metadata.requires("vitgate") or []
    except importlib.metadata.PackageNotFoundError:
        do = "install vitgate, or run it from its checkout"
        raise UsageError("vitgate's own requirements are unknown", where=vitgate.__file__, do=do) from None


def _parsed(text: str) -> Requirement:
    return Requirement(_HASH.sub("", text))


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _is_exact(specifier: Specifier) -> bool:
    return specifier.operator in ("==", "===") and not specifier.version.endswith(".*")


def _before_numpy_2(requirements: Iterable[Requirement]) -> bool:
    return any(_excludes_numpy_2(each) for found in requirements if _name(found) == "torch" for each in found.specifier)


def _excludes_numpy_2(specifier: Specifier) -> bool:
    """Whether this condition on torch leaves only releases before 2.3."""
    version = version_of(specifier.version.removesuffix(".*"))
    if version is None:  # of `===`, which takes any text
        return False
    release = version.release
    if specifier.operator in ("==", "===", "<="):
        return release < _NUMPY_2
    if specifier.operator == "~=":
        return len(release) > SERIES and release < _NUMPY_2
    return specifier.operator == "<" and release[:3] <= (*_NUMPY_2, 0)
