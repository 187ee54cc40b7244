"""What a successor needs is data, and what is not there is said in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.run_options import make_run_config
from vitgate.spec import variants, versions
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import NO_TOOLS
from vitgate.spec.variants import read_successors, SUCCESSORS
from vitgate.spec.versions import PACKAGES

from ..conftest import Refuses

ROOT = fixtures_folder().parent
ROW = '[[successor]]\nvariant = "exported"\ntorch = ">=2.6"\npage = "a.md"\n'


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says which packages there are, by name and version."""

    def make(**found: Any) -> None:
        for module in (variants, versions):
            monkeypatch.setattr(module, "packages", lambda: found)

    return make


def test_every_successor_has_a_row_and_a_page() -> None:
    rows = read_successors()

    assert list(rows) == list(SUCCESSORS)
    assert [row.page for row in rows.values() if not (ROOT / "docs" / row.page).is_file()] == []


def test_the_extras_bring_what_the_successors_need() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for row in read_successors().values():
        extra = re.search(rf"^{row.extra} = \[(.*?)\]$", project, re.M | re.S) if row.extra else None
        assert bool(row.packages) == bool(extra)
        assert all(extra and f'"{package}"' in extra[1] for package in row.packages)


@pytest.mark.parametrize(
    ("torch", "packages", "says"),
    [
        ("2.15.0", {"executorch": "1.5.1", "torchao": "0.18.0"}, ""),
        ("2.15.0+cpu", {"executorch": "1.5.1", "torchao": "0.18.0"}, ""),
        ("2.8.0", {"executorch": "1.5.1", "torchao": "0.18.0"}, "needs torch>=2.9, this is 2.8.0"),
        ("2.15.0", {"executorch": "1.3.1", "torchao": "0.18.0"}, 'executorch>=1.4: pip install "vitgate[executorch]"'),
        ("2.12.1", {"executorch": "1.3.1", "torchao": "0.17.0"}, ""),
        ("2.15.0", {}, "needs executorch>=1.4 and torchao>=0.14: pip install"),
    ],
    ids=["all there", "local version", "old torch", "old package", "package of its time", "no package"],
)
def test_missing_needs_are_named_with_remedy(
    torch: str, packages: dict[str, str], says: str, installed: Callable[..., None]
) -> None:
    installed(**packages)

    lacking = read_successors()["executorch_int8"].lacking(torch)

    assert (lacking is None) == (says == "")
    assert lacking is None or (lacking.kind == "unsupported" and says in lacking.message)


def test_unsupported_torch_is_not_reported_as_missing_tool(installed: Callable[..., None]) -> None:
    installed()

    lacking = read_successors()["onnx"].lacking
    assert [getattr(lacking(torch), "error", None) for torch in ("2.5.1", "2.15.0")] == ["", NO_TOOLS]


def test_compiler_is_needed_only_for_compiled_successors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")

    assert "needs a C++ compiler" in getattr(read_successors()["inductor"].lacking("2.15.0"), "message", "")
    assert read_successors()["exported"].lacking("2.15.0") is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (ROW, "row of 'exported_int8' does not exist"),
        (ROW + ROW, "duplicate name 'exported'"),
        (ROW.replace("exported", "lite"), "successor 'lite' does not exist"),
        (ROW + 'packages = ["torchao >"]\n', "is not a requirement"),
        (ROW.replace(">=2.6", "new"), "is not a version specifier"),
    ],
    ids=["missing", "twice", "no successor", "no requirement", "no version"],
)
def test_invalid_file_is_refused(text: str, part: str, tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "successors.toml"
    path.write_text(text, encoding="utf-8")

    refuses(lambda: read_successors(path), part, str(path))


@pytest.mark.parametrize(
    ("engines", "asked", "expected"),
    [
        ([], False, ("fbgemm", "x86", "onednn", "qnnpack")),
        ([], True, ("fbgemm", "x86", "onednn", "qnnpack", "none")),
        (["x86"], True, ("x86", "none")),
        (["none"], True, ("none",)),
        (["none"], False, ("none",)),
    ],
)
def test_successors_are_checked_only_on_request(
    engines: list[str], asked: bool, expected: tuple[str, ...], tmp_path: Path
) -> None:
    request = RunRequest(case=("digits",), engine=tuple(engines), successors=asked)

    plan = make_run_config(request, tmp_path)

    assert plan.engines == expected


def test_a_record_names_the_version_of_every_package_that_is_needed() -> None:
    needed = {Requirement(text).name for row in read_successors().values() for text in row.packages}

    assert needed
    assert needed <= set(PACKAGES)


def test_the_packages_that_are_installed_are_known_by_version(installed: Callable[..., None]) -> None:
    installed(torchao="0.18.0", onnx="1.23.2")

    assert variants.package_versions() == {"onnx": "1.23.2", "torchao": "0.18.0"}


@pytest.mark.parametrize(("version", "scheme"), [("0.18.0", "torchao"), ("0.17.0", "torchao 8 bits")])
def test_arithmetic_of_torchao_follows_its_release(version: str, scheme: str, installed: Callable[..., None]) -> None:
    installed(torchao=version)

    assert CellId("digits", NO_ENGINE, "exported_int8").scheme == scheme
