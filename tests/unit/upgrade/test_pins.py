"""A project's pin of torch is found in every usual form, or its absence is an error: a gate is never skipped for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.cli import main
from vitgate.files.errors import UsageError
from vitgate.upgrade.pins import find_pin, reader

NOWHERE = "sys_platform == 'no such platform'"
FORMS = [
    ("requirements.txt", "numpy\ntorch==2.9.1  # deployed\n", "2.9.1"),
    ("requirements.txt", "torch == 2.9.1 ; python_version >= '3.8'\n", "2.9.1"),
    ("requirements.txt", "torch[opt-einsum]==2.9.1+cpu\n", "2.9.1+cpu"),
    ("requirements.txt", "torch===2.9.1\n", "2.9.1"),
    ("requirements.txt", "opencv-contrib-python==4.12\nscikit-rf==1.8\ntorch==2.9.1\n", "2.9.1"),  # -c, -r within
    ("requirements.txt", "torch==2.9.*\n", "2.9"),
    ("requirements.txt", "torch~=2.9.0\n", "2.9"),
    ("requirements.txt", "torch==2.9.1 \\\n    --hash=sha256:00ff\n", "2.9.1"),
    ("requirements.txt", "torch==2.11.0.dev20260110+cpu\n", "2.11.0.dev20260110+cpu"),
    ("requirements.txt", "torch @ https://example.org/torch-2.9.1%2Bcpu-cp311-cp311-linux_x86_64.whl\n", "2.9.1+cpu"),
    ("requirements.txt", f"torch==2.6.0; {NOWHERE}\ntorch==2.9.1; sys_platform != 'no such platform'\n", "2.9.1"),
    ("setup.py", "setup(\n    install_requires=['numpy', 'torch==2.9.1'],\n)\n", "2.9.1"),
    ("setup.cfg", "[options]\ninstall_requires =\n    torch==2.9.1\n", "2.9.1"),
    ("pyproject.toml", '[project]\ndependencies = ["timm", "torch==2.9.1"]\n', "2.9.1"),
    ("pyproject.toml", '[project.optional-dependencies]\ncpu = ["torch==2.9.1"]\n', "2.9.1"),
    ("pyproject.toml", '[dependency-groups]\nrun = ["torch==2.9.1", {include-group = "x"}]\n', "2.9.1"),
    ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = "2.9.1"\n', "2.9.1"),
    ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = {version = "~2.9.0", source = "cpu"}\n', "2.9"),
    ("pyproject.toml", '[tool.poetry.group.run.dependencies]\ntorch = "==2.9.1"\n', "2.9.1"),
    ("pyproject.toml", '[tool.uv]\nconstraint-dependencies = ["torch==2.9.1"]\n', "2.9.1"),
    ("uv.lock", 'version = 1\n[[package]]\nname = "torch"\nversion = "2.9.1"\n', "2.9.1"),
    ("poetry.lock", '[[package]]\nname = "torch"\nversion = "2.9.1+cpu"\n', "2.9.1+cpu"),
    ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "torch"\nversion = "2.9.1"\n', "2.9.1"),
    ("Pipfile", '[packages]\ntorch = "==2.9.1"\n', "2.9.1"),
    ("Pipfile.lock", '{"default": {"torch": {"version": "==2.9.1"}}}', "2.9.1"),
    ("environment.yml", "dependencies:\n  - python=3.11\n  - pytorch=2.9.1\n", "2.9.1"),
    ("environment.yml", "dependencies:\n  - conda-forge::pytorch==2.9.1=cpu_mkl_py311\n", "2.9.1"),
    ("environment.yml", "dependencies:\n  - pytorch 2.9.*\n", "2.9"),
    ("environment.yml", "dependencies:\n  - pip:\n    - torch==2.9.1\n", "2.9.1"),
]


def pin(folder: Path, **texts: str) -> str:
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return find_pin([name.replace("__", ".") for name in texts], reader(folder, None))


def form(name: str, text: str, mark: Callable[..., pytest.MarkDecorator], *more: str) -> object:
    """Give a form the mark that puts it into docs/accepted.md: its file, and its lines in one."""
    lines = " ⏎ ".join(line.strip() for line in text.splitlines())
    return pytest.param(name, text, *more, marks=mark("pin of torch", f"`{name}`: `{lines}`"))


@pytest.mark.parametrize(
    ("name", "text", "version"), [form(name, text, pytest.mark.accepts, version) for name, text, version in FORMS]
)
def test_pin_is_found(name: str, text: str, version: str, tmp_path: Path) -> None:
    assert pin(tmp_path, **{name: text}) == version


UNPINNED = [
    ("requirements.txt", "torch\n"),
    ("requirements.txt", f"torch==2.9.1; {NOWHERE}\n"),
    ("requirements.txt", "torch>=2.9,<2.10\n"),
    ("requirements.txt", "torch~=2.9\n"),
    ("requirements.txt", "torch==$(VERSION)\n"),
    ("requirements.txt", "torch @ git+https://example.org/pytorch.git\n"),
    ("pyproject.toml", '[project]\ndependencies = ["torch>=2"]\n'),
    ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = "^2.9.1"\n'),
    ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = {git = "https://example.org/pytorch.git"}\n'),
    ("environment.yml", "dependencies:\n  - pytorch\n"),
    ("environment.yml", "dependencies:\n  - pytorch>=2.9.1\n"),
]


@pytest.mark.parametrize(("name", "text"), [form(name, text, pytest.mark.refuses) for name, text in UNPINNED])
def test_torch_without_a_pin_is_an_error(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="torch is named without a pin"):
        pin(tmp_path, **{name: text})


@pytest.mark.parametrize("text", ["", "torchvision==0.24.1\n", "# torch==2.9.1\n", "pytorch-lightning==2.5\n"])
def test_file_that_names_no_torch_has_no_pin(text: str, tmp_path: Path) -> None:
    assert pin(tmp_path, **{"requirements.txt": text}) == ""


def test_first_file_with_a_pin_decides(tmp_path: Path) -> None:
    texts = {"pyproject.toml": '[project]\ndependencies = ["torch>=2"]\n', "requirements.txt": "torch==2.9.1\n"}

    assert pin(tmp_path, **texts, **{"old.txt": "torch==2.6.0\n"}) == "2.9.1"


def test_included_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "more.txt").write_text("-c ../requirements.txt\ntorch==2.9.1\n", encoding="utf-8")

    assert pin(tmp_path, **{"requirements.txt": "-r base/more.txt\ntimm\n-e .\n"}) == "2.9.1"


def test_included_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file base\.txt, which this one names \(requirements\.txt\)"):
        pin(tmp_path, **{"requirements.txt": "-r base.txt\ntimm\n"})


def test_two_pins_in_one_file_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pinned to 2\.9\.1 and to 2\.12\.1 \(a\.txt, line 1\)"):
        pin(tmp_path, **{"a.txt": "torch==2.9.1\ntorch==2.12.1\n"})


def test_builds_of_one_release_are_one_pin(tmp_path: Path) -> None:
    rows = "".join(f'[[package]]\nname = "torch"\nversion = "{text}"\n' for text in ("2.9.1", "2.9.1+cpu"))

    assert pin(tmp_path, **{"uv.lock": rows}) == "2.9.1"


def test_files_that_do_not_exist_are_an_error_only_together(tmp_path: Path) -> None:
    read = reader(tmp_path, None)
    (tmp_path / "b.txt").write_text("torch==2.9.1\n", encoding="utf-8")

    assert find_pin(["a.txt", "b.txt"], read) == "2.9.1"
    with pytest.raises(UsageError, match="none of these files"):
        find_pin(["a.txt", "c.txt"], read)


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", "= ="), ("Pipfile.lock", "{"), ("uv.lock", "[[")])
def test_damaged_file_gives_one_line_error(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is not"):
        pin(tmp_path, **{name: text})


def test_pin_of_a_commit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607  # the system's git

    git("init", "-q")
    for version in ("2.9.1", "2.12.1"):
        (tmp_path / "requirements.txt").write_text(f"torch=={version}\n", encoding="utf-8")
        git("add", ".")
        git("commit", "-qm", version, "--no-verify")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["pins", *arguments])
        told = capsys.readouterr()
        return ended.value.code, told.out + told.err

    assert run("--at", "HEAD~1", "requirements.txt") == (0, "2.9.1\n")
    assert run("requirements.txt") == (0, "2.12.1\n")
    status, said = run("--at", "--output=x", "requirements.txt")
    assert status == 4 and "no such commit" in said
