"""What a user may write in the place of a version, and what an environment then holds."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vitgate.files.errors import UsageError
from vitgate.upgrade import requirements
from vitgate.upgrade.requirements import (
    check_python,
    for_cases,
    is_pinned,
    name_of,
    own_needs,
    parse_interpreter,
    parse_side,
    Side,
    whole_set,
)

from ..conftest import Refuses
from .environment_maker import NEEDS

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, strategies  # noqa: E402  # after the check that it is there

# ---- what a user may write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.12.1", ("torch==2.12.1",)),
        (" v2.12.1 ", ("torch==2.12.1",)),
        ("2.12", ("torch==2.12.*",)),
        ("2.13.0rc1", ("torch==2.13.0rc1",)),
        ("2.12.1+cpu", ("torch==2.12.1+cpu",)),
        ("2.12.post1", ("torch==2.12.post1",)),
        ("torch==2.12.1 timm==1.0.20", ("torch==2.12.1", "timm==1.0.20")),
        ("torch >= 2.0, <3   timm", ("torch<3,>=2.0", "timm")),
        ("torch @ https://index.invalid/torch.whl timm", ("torch@ https://index.invalid/torch.whl", "timm")),
        ("Torch==2.12.1", ("Torch==2.12.1",)),
    ],
)
def test_side(text: str, expected: tuple[str, ...]) -> None:
    found = [str(Requirement(each)) for each in expected]
    assert list(parse_side(text, where="OLD").requirements) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "2.x", "torch>=", "torch== timm", "timm==1.0.20", "newest", "torch==2.12.1; rm -rf /", "torch\0==2",
        "torch==2.12.1 --index-url=https://evil.invalid", "--index-url=https://evil.invalid", "-r requirements.txt",
        "torch==2.12.1\n--index-url https://evil.invalid", "$(touch evil)", "torch==`id`", "./missing.txt", "a/b", "..",
        "missing.txt", "torch, timm", "torch==2.12.1 -e .", "[torch]", "torch==2.12.1 && true", "ħ" * 300,
    ],
)  # fmt: skip
def test_invalid_requirement_is_usage_error(
    text: str, refuses: Refuses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuses(lambda: parse_side(text, where="OLD"), "OLD")


def test_option_in_requirement_names_uv_arg(refuses: Refuses) -> None:
    refuses(lambda: parse_side("torch --pre", where="NEW"), "NEW", "--uv-arg=--pre")


@given(text=strategies.text() | strategies.text(alphabet="torch=<>.1-@ \n;/~"))
def test_any_text_gives_requirements_without_options_or_one_line(text: str) -> None:
    try:
        side = parse_side(text, where="OLD")
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert [each for each in side.requirements if each.startswith("-") or "\n" in each] == []
        assert "torch" in map(name_of, side.requirements)


@given(version=strategies.tuples(*[strategies.integers(0, 99)] * 3))
def test_release_is_parsed_as_its_pinned_requirement(version: tuple[int, int, int]) -> None:
    text = ".".join(map(str, version))
    assert parse_side(text, where="OLD").requirements == (f"torch=={text}",)
    assert is_pinned(parse_side(text, where="OLD"))


def test_requirements_file_is_parsed(data_file: Callable[[str, str], Path]) -> None:
    digest = "--hash=sha256:" + "0" * 64
    text = f"# mine\ntorch==2.12.1 \\\n    {digest}\n\ntimm  # any\ntomli; python_version < '3.11'\n"
    side = parse_side(str(data_file("my requirements.txt", text)), where="OLD")
    assert side.requirements == (f"torch==2.12.1 {digest}", "timm", 'tomli; python_version < "3.11"')
    assert is_pinned(side)


@pytest.mark.parametrize("line", ["--target /", "torch>=", "torch --hash=x"])
def test_invalid_line_of_file_is_named(line: str, data_file: Callable[[str, str], Path], refuses: Refuses) -> None:
    path = data_file("wanted.txt", f"torch==2.12.1\n{line}\n")
    refuses(lambda: parse_side(str(path), where="OLD"), path, "line 2")


@pytest.mark.parametrize("text", ["", "timm\n"])
def test_a_file_must_name_torch(text: str, data_file: Callable[[str, str], Path], refuses: Refuses) -> None:
    refuses(lambda: parse_side(str(data_file("wanted.txt", text)), where="OLD"), "wanted.txt", "torch")


def test_version_takes_precedence_over_file_of_same_name(
    data_file: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_file("2.12.1", "torch==1.13.1")
    monkeypatch.chdir(tmp_path)
    assert parse_side("2.12.1", where="OLD").requirements == ("torch==2.12.1",)


def test_interpreter_is_found_by_path_or_folder() -> None:
    assert parse_interpreter(sys.executable, where="--old-python").interpreter == Path(sys.executable)
    if sys.prefix != sys.base_prefix:
        found = parse_interpreter(sys.prefix, where="--old-python").interpreter
        assert found == Path(sys.prefix) / "bin" / "python"


def test_invalid_interpreter_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    def script(name: str, text: str, mode: int = 0o755) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(mode)
        return str(tmp_path / name)

    old = script("old", "#!/bin/sh\necho 3 9\n")
    refuses(lambda: parse_interpreter(old, where="--old-python"), "--old-python", "Python 3.9", "3.10")
    for path in (
        str(tmp_path / "missing"), str(tmp_path), script("mute", "#!/bin/sh\n"), script("fails", "#!/bin/sh\nexit 3\n"),
        script("text", "no program"), script("plain", "#!/bin/sh\necho 3 12\n", 0o644), "a\0b",
        "~nobody-here/python", "x" * 5000,
    ):  # fmt: skip
        refuses(partial(parse_interpreter, path, where="--new-python"), "--new-python")


@pytest.mark.parametrize("request_", ["3.9", "2.7", "three", "3", "-3.10", "--version", "/nowhere/python"])
def test_invalid_python_request_is_refused(request_: str, refuses: Refuses) -> None:
    refuses(lambda: check_python(request_), "--python", request_)


def test_valid_python_request_is_accepted() -> None:
    for request_ in (None, "3.10", "3.13.1", sys.executable):
        check_python(request_)


def test_a_constraint_pins_what_a_requirement_leaves_open() -> None:
    assert is_pinned(Side("file", ("torch>=2", "torch==2.12.1")))


def test_side_without_exact_version_is_not_pinned() -> None:
    assert not is_pinned(Side("torch", ("torch",)))
    assert not is_pinned(Side("2.12", ("torch==2.12.*",)))


# ---- what an environment holds


@pytest.mark.parametrize("text", ["2.2.2", "1.13.1", "2.2", "torch<2.3", "torch<=2.2", "torch~=2.2.0", "2.2.2+cpu"])
def test_old_torch_gets_old_numpy(text: str) -> None:
    assert "numpy<2" in whole_set(parse_side(text, where="OLD"), NEEDS)


@pytest.mark.parametrize("text", ["2.3.0", "2.12.1", "torch", "torch>=2.0", "torch~=2.2", "torch<2.4", "torch>1,<3"])
def test_newer_torch_gets_any_numpy(text: str) -> None:
    assert "numpy<2" not in whole_set(parse_side(text, where="OLD"), NEEDS)


def test_numpy_named_by_user_is_kept() -> None:
    assert "numpy<2" not in whole_set(parse_side("torch==2.2.2 NumPy==2.0.0", where="OLD"), NEEDS)


def test_own_needs_are_the_declared_dependencies() -> None:
    names = [name_of(text) for text in own_needs().requirements]
    assert {"torch", "torchvision", "timm", "pytest", "syrupy"} <= set(names)
    assert not {"uv", "click", "hypothesis", "scikit-learn"} & set(names)


@pytest.mark.parametrize(
    ("text", "cases", "expected"),
    [
        ("2.12.1", ("digits", "vit_base_hf"), ("torch==2.12.1", "transformers")),
        ("2.12.1", ("digits",), ("torch==2.12.1",)),
        ("torch==2.12.1 transformers==4.57.6", ("vit_base_hf",), ("torch==2.12.1", "transformers==4.57.6")),
    ],
)
def test_a_side_gets_the_library_that_builds_a_case(
    text: str, cases: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert for_cases(parse_side(text, where="OLD"), cases).requirements == expected


def test_nothing_is_installed_into_an_interpreter_for_a_case() -> None:
    side = Side("python", interpreter=Path("/usr/bin/python"))
    assert for_cases(side, ("vit_base_hf",)) == side


def test_own_needs_are_read_from_installed_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["torch>=1.13.1", "uv>=0.7.0", "mypy>=1.11; extra == 'test'", "tomli>=2.0; python_version < '3.11'"]
    monkeypatch.setattr(requirements, "_checkout_project", dict)
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: declared)
    assert own_needs().requirements == ("torch>=1.13.1", "tomli>=2.0; python_version < '3.11'")


def test_unknown_own_needs_give_one_line_error(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    def absent(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(requirements, "_checkout_project", dict)
    monkeypatch.setattr(importlib.metadata, "requires", absent)
    refuses(own_needs, "install vitgate")
