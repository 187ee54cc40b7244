"""A copy of the running suite, so that both sides of an upgrade are judged by the same code.

vitgate may be a checkout that is being edited, or an installed wheel; neither can be installed into another environment
through an index. So its files are copied once to a folder named by their content, from which any environment runs them:

    PYTHONPATH=SUITE PYTHON -m pytest SUITE/tests/conformance

    SUITE/vitgate/           the package, with the data files inside
    SUITE/tests/conformance  the tests
    SUITE/conftest.py        and pytest.ini, which makes SUITE pytest's root folder
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import vitgate
from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest, key_of
from vitgate.files.locks import locked
from vitgate.files.schemas import fixtures_folder
from vitgate.upgrade.installer import clean_variables

_WHEEL_SUITE = "_suite"  # the folder of a wheel that stands for the checkout's: see pyproject.toml
_APART = ("fixtures", _WHEEL_SUITE)  # folders of an installed package that the copy has elsewhere
_KEPT_DAYS = 30  # a copy that nobody has used for so long goes when the next one is made
_SETTINGS = Path(vitgate.__file__).parent / "plugin" / "suite.ini"  # pytest's, wherever the suite is not a checkout
_CONFTEST = b'"""Nothing but the plugin."""\n\npytest_plugins = ("vitgate.plugin",)\n'


def suite_settings() -> Path:
    """Return the file of pytest's settings for a suite that is no checkout."""
    return _SETTINGS


def suite_folder(cache: Path) -> Path:
    """Return the copy of the running suite, made if it is not there; MachineError where it cannot be written."""
    contents = _contents()
    return unpacked_suite(cache, _digest(contents), contents)


def suite_contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a copy by name, to be unpacked on another machine; MachineError where it is not whole."""
    contents = {name: path.read_bytes() for name, path in _files(folder)}
    if _digest(contents) != folder.name:
        raise MachineError("the copy of the suite was changed", where=folder, do="delete that folder")
    return contents


def unpacked_suite(cache: Path, name: str, contents: Mapping[str, bytes]) -> Path:
    """Return the copy of these files, made if it is not there; MachineError where it cannot be written."""
    folder = cache / "suites" / name
    try:
        with locked(folder.parent / "locks" / folder.name):
            if not folder.is_dir():
                _clear_old(folder.parent)
                _write(folder, contents)
        os.utime(folder)
    except OSError as error:
        raise MachineError(f"cannot copy the suite: {error}", where=folder, do="choose another cache") from None
    return folder


def suite_variables(suite: Path) -> dict[str, str]:
    """Return the variables with which an environment's Python finds the copy, with the data files inside it.

    The running environment's programs come last: both sides find its ninja.
    """
    variables = {name: value for name, value in clean_variables().items() if name != "VITGATE_FIXTURES"}
    programs = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return {**variables, "PYTHONPATH": str(suite), "PATH": programs}


def conformance_folder() -> Path:
    """Return the conformance tests of the running vitgate: of its wheel, its checkout, or its copy."""
    package = Path(vitgate.__file__).parent
    for root in (package / _WHEEL_SUITE, package.parents[1], package.parent):
        place = root / "tests" / "conformance"
        if (place / "test_label.py").is_file():
            return place
    raise MachineError("the conformance tests are missing", where=package, do="install vitgate again")


def _contents() -> dict[str, bytes]:
    """Read everything at once: digest and copy are of the same bytes, whoever edits meanwhile."""
    package = Path(vitgate.__file__).parent
    own = {f"vitgate/{name}": path for name, path in _files(package) if name.split("/")[0] not in _APART}
    data = {f"vitgate/fixtures/{name}": path for name, path in _files(fixtures_folder())}
    tests = {f"tests/conformance/{name}": path for name, path in _files(conformance_folder())}
    read = {name: path.read_bytes() for name, path in {**own, **data, **tests}.items()}
    return {**read, "conftest.py": _CONFTEST, "pytest.ini": _SETTINGS.read_bytes()}


def _files(folder: Path, inside: str = "") -> Iterator[tuple[str, Path]]:
    """Yield names and paths of the files below, without what Python or an editor keeps beside them."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        if path.is_dir():
            yield from _files(path, f"{inside}{path.name}/")
        else:
            yield f"{inside}{path.name}", path


def _digest(contents: Mapping[str, bytes]) -> str:
    return key_of({name: digest(data) for name, data in contents.items()})


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp")  # the digest's lock is ours, so that nobody else writes there
    shutil.rmtree(temporary, ignore_errors=True)
    for name, data in contents.items():
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)  # edited by mistake, it would no longer be what its name says
    temporary.rename(folder)


def _clear_old(home: Path) -> None:
    before = time.time() - _KEPT_DAYS * 24 * 3600
    for path in home.iterdir():
        if path.name != "locks" and path.stat().st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)
