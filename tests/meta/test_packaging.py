"""The packages, as a user gets them: what is in them, what they need, and that suite and types work from them."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record

ROOT = Path(__file__).parents[2]
_TOOLS = ("build", "check_jsonschema", "hatchling", "twine")
_LACKING = [name for name in _TOOLS if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=f"{', '.join(_LACKING)} come with the extra `test`")

_ROOTS = (".github", "benchmarks", "docs", "examples", "fixtures", "scripts", "src", "tests")
_SDIST_FILES = {
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"),
    *("SECURITY.md", "conftest.py", "pyproject.toml"),
    *(".gitignore", "PKG-INFO"),  # which hatchling adds
}


def run(*command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    hidden = ("PYTEST", "VITGATE", "COV_", "PYTHONPATH", "GITHUB_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return subprocess.run(command, cwd=cwd, env={**own, **variables}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build sdist and wheel, the wheel from the sdist, and return both."""
    folder = tmp_path_factory.mktemp("packages")
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def tracked(*folders: str) -> set[str]:
    """Return the files below these folders that are no leftovers of a run."""
    found = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    return {str(path) for path in found if not {"__pycache__", ".pytest_cache", ".hypothesis"} & set(path.parts)}


def test_wheel_contains_package_data_and_suite(packages: tuple[Path, Path]) -> None:
    found = {name for name in names_in(packages[1]) if ".dist-info/" not in name}

    data = {f"vitgate/{name}" for name in tracked("fixtures")}
    tests = {f"vitgate/_suite/{name}" for name in tracked("tests/conformance")}
    assert found == {name.removeprefix("src/") for name in tracked("src")} | data | tests
    assert {"vitgate/py.typed", "vitgate/plugin/suite.ini", "vitgate/_suite/tests/conformance/test_label.py"} <= found


def test_wheel_metadata_and_entry_point_are_right(packages: tuple[Path, Path]) -> None:
    about = metadata(packages[1])

    assert (about["Name"], about["License-Expression"], about["License-File"]) == ("vitgate", "Apache-2.0", "LICENSE")
    assert {"Framework :: Pytest", "Typing :: Typed"} <= set(about.get_all("Classifier", []))
    assert any(name.endswith("licenses/LICENSE") for name in names_in(packages[1]))
    with zipfile.ZipFile(packages[1]) as archive:
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert archive.read(points).decode().split() == ["[console_scripts]", "vitgate", "=", "vitgate.cli:main"]


def test_sdist_contains_only_what_tests_need(packages: tuple[Path, Path]) -> None:
    with tarfile.open(packages[0]) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}

    assert found == tracked(*_ROOTS) | _SDIST_FILES


def test_twine_check_passes(packages: tuple[Path, Path]) -> None:
    done = run(sys.executable, "-m", "twine", "check", "--strict", *map(str, packages))

    assert done.returncode == 0, done.stdout


def test_citation_file_is_valid_and_current(packages: tuple[Path, Path]) -> None:
    schema = ("--builtin-schema", "vendor.citation-file-format")
    done = run(sys.executable, "-m", "check_jsonschema", *schema, str(ROOT / "CITATION.cff"))

    assert done.returncode == 0, done.stdout + done.stderr
    version = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert version is not None
    assert version[1] == metadata(packages[1])["Version"]


_OPTIONAL = {  # imported only where they are there, or asked for: their extras, or the module that falls back
    *(
        "coremltools",
        "dask",
        "distributed",
        "executorch",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "torchao",
        "transformers",
    ),
    *("google", "tomli", "ninja", "scipy", "sklearn"),  # google: protobuf, which onnx brings
}


def test_imported_packages_are_declared_dependencies(packages: tuple[Path, Path]) -> None:
    needs = [Requirement(text) for text in metadata(packages[1]).get_all("Requires-Dist", [])]
    declared = {need.name.lower() for need in needs if "extra" not in str(need.marker or "")}
    imported = {name for path in (ROOT / "src").rglob("*.py") for name in imports(path)}

    homes = packages_distributions()
    foreign = imported - set(sys.stdlib_module_names) - {"vitgate"} - _OPTIONAL
    undeclared = {name for name in foreign if not declared & {home.lower() for home in homes.get(name, [name])}}
    assert undeclared == set()
    assert {"torch", "pytest", "click"} <= foreign


def imports(path: Path) -> set[str]:
    """Return the top-level names of what a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


# ---- installed, without the repository


@dataclass(frozen=True)
class Installed:
    """An environment into which the wheel was installed; all else it sees in the running one."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def files(self) -> set[Path]:
        return set((self.packages / "vitgate").rglob("*"))


@pytest.fixture(scope="module")
def installed(packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = Installed(tmp_path_factory.mktemp("installed"))
    venv.create(made.folder, symlinks=True)
    with zipfile.ZipFile(packages[1]) as archive:
        for name in archive.namelist():  # what pip does with a pure wheel, apart from its scripts
            archive.extract(name, made.packages)
    others = [folder for folder in [*site.getsitepackages(), *_seen()] if Path(folder).is_dir()]
    (made.packages / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return made


def _seen() -> list[str]:
    """Return the folders that the running environment sees by its own .pth files, apart from a checkout's source."""
    return [folder for folder in sys.path if folder.endswith("site-packages")]


def test_installed_package_is_the_one_imported(installed: Installed, tmp_path: Path) -> None:
    done = run(installed.python, "-c", "import vitgate; print(vitgate.__file__)", cwd=tmp_path)

    assert Path(done.stdout.strip()).is_relative_to(installed.packages), done.stderr


def test_installed_suite_runs_in_any_folder(installed: Installed, tmp_path: Path) -> None:
    """The folder is a project's with pytest settings of its own, which are no business of the suite's."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not the suite')\n", encoding="utf-8")
    home, before = tmp_path / "home", installed.files()
    home.mkdir()

    options = ("--case", "digits", "--engine", "fbgemm", "--claim", "size", "-n", "1", "--json", "-")
    done = run(installed.python, "-m", "vitgate", "check", *options, cwd=tmp_path, HOME=str(home))

    assert done.returncode == 0, done.stdout + done.stderr
    record = read_record(tmp_path / "vitgate-record.json")
    assert {row.claim for row in record.claims} == {"size"}
    assert len(record.claims) == 5
    assert record.claims[0].test.startswith("tests/conformance/test_size.py::")
    assert done.stdout == (tmp_path / "vitgate-record.json").read_text(encoding="utf-8")
    assert done.stderr.splitlines()[-2].startswith("PyTorch ")
    assert "warning" not in done.stderr
    bytecode = {path for path in installed.files() - before if "__pycache__" in path.parts}
    assert installed.files() - before == bytecode
    by_pytest = {path.parent for path in bytecode if "-pytest-" in path.name}
    assert by_pytest <= {installed.packages / "vitgate" / "plugin" / "__pycache__"}  # as of every plugin of pytest's


def test_installed_plugin_leaves_other_projects_alone(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(pytestconfig):\n    pass\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--case')\n", encoding="utf-8"
    )

    done = run(installed.python, "-m", "pytest", "-q", "--case", "mine", cwd=tmp_path, TMPDIR=str(tmp_path))

    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    assert list(tmp_path.glob("vitgate-*")) == []


@pytest.mark.long
def test_installed_types_check_client_code(installed: Installed, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy comes with the extra `test`")
    shutil.copy(ROOT / "tests" / "typing" / "client.py", tmp_path)
    options = ("--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}", "--follow-imports=silent")
    command = (sys.executable, "-m", "mypy", *options, "--python-executable", installed.python, "client.py")

    good = run(*command, cwd=tmp_path)
    (tmp_path / "client.py").write_text(
        (tmp_path / "client.py").read_text(encoding="utf-8").replace("row.latency_ms is", "row.latency is"),
        encoding="utf-8",
    )
    bad = run(*command, cwd=tmp_path)

    assert good.returncode == 0, good.stdout + good.stderr
    assert bad.returncode == 1 and '"CellRow" has no attribute "latency"' in bad.stdout, bad.stdout


def test_typed_client_runs(installed: Installed, tmp_path: Path) -> None:
    records = fixtures_folder() / "records"
    client = str(ROOT / "tests" / "typing" / "client.py")

    done = run(installed.python, client, str(records / "2.12.1.json"), str(records / "2.15.0.json"), cwd=tmp_path)

    assert done.returncode == 1 and "Do not upgrade" in done.stdout, done.stderr
