"""Environments are made once, whole or not at all, and removed only when nobody uses them.

uv is the real one. The packages are wheels of a few bytes that the tests make, so that nothing is downloaded: a torch
of one line imports as well as a real one.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from uv import find_uv_bin

import vitgate
from vitgate.cli import environments
from vitgate.files.disk_usage import usage
from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.upgrade import installer, requirements
from vitgate.upgrade.environment_cache import BUSY, disk_use, HALF_MADE, listing, prune, READY
from vitgate.upgrade.environments import in_use, lock_of, make, MARKER, read_marker
from vitgate.upgrade.installer import check_uv_args, clean_variables, explain
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.requirements import (
    check_python,
    for_cases,
    is_pinned,
    name_of,
    Needs,
    own_needs,
    parse_interpreter,
    parse_side,
    Side,
    whole_set,
)
from vitgate.upgrade.runs import suite_folder, suite_variables

from ..conftest import Refuses
from ..disk import SmallDisk

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, strategies  # noqa: E402  # after the check that it is there

MESSAGES = Path(__file__).parent / "uv_messages"
NEEDS = Needs(("torchvision", "timm", "helper>=1"))
NMS = "operator torchvision::nms does not exist"
PATIENCE = 60.0


def wheel(folder: Path, name: str, version: str, source: str = "", requires: tuple[str, ...] = ()) -> None:
    """Write a wheel of one module."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n{source}\n",
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {text}\n" for text in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@dataclass(frozen=True)
class World:
    """A cache of its own and an index of small wheels; the folders have spaces in their names."""

    cache: Path
    index: Path

    @property
    def uv_args(self) -> tuple[str, ...]:
        return ("--offline", "--no-index", f"--find-links={self.index}")

    def make(self, text: str = "2.12.1", **options: object) -> Environment:
        settings: dict[str, Any] = {
            "cache": self.cache,
            "uv_args": self.uv_args,
            "echo": lambda _: None,
            "needs": NEEDS,
            **options,
        }
        return make(parse_side(text, where="OLD"), **settings)

    def command(self, slow: str = "0") -> list[str]:
        """Return a command that makes the same environment in a process of its own and prints its steps."""
        code = (
            "import sys; from pathlib import Path; from vitgate.upgrade.environments import make\n"
            "from vitgate.upgrade.requirements import Needs, parse_side\n"
            f"environment = make(parse_side('2.12.1', where='OLD'), cache=Path({str(self.cache)!r}), needs={NEEDS!r},"
            f" uv_args={self.uv_args!r}, echo=lambda text: print(text, flush=True))\n"
            "print('reused' if environment.reused else 'made', flush=True)"
        )
        return ["env", f"SLOW={slow}", sys.executable, "-c", code]


def _quickest(call: Callable[[], object]) -> float:
    """Return the seconds that the call takes, of several so that a busy neighbour does not count."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv cache"))
    made = World(tmp_path / "the cache", tmp_path / "the index")
    for version in ("2.11.0", "2.12.1"):
        wheel(made.index, "torch", version, "import os, time\ntime.sleep(float(os.environ.get('SLOW', 0)))")
    wheel(made.index, "torchvision", "0.27.1", requires=("torch==2.12.1",))
    wheel(made.index, "torchvision", "0.26.0", requires=("torch==2.11.0",))
    wheel(made.index, "timm", "1.0.20", "data = 'x' * 100")
    wheel(made.index, "helper", "1.0")
    return made


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


@pytest.mark.parametrize("text", ["--python=3.8", "-p", "-p3.8", "--target=/", "--system", "--prefix", "-t/x", "a\nb"])
def test_uv_args_that_redirect_installation_are_refused(text: str, refuses: Refuses) -> None:
    refuses(lambda: check_uv_args(["--offline", text]), "--uv-arg")


def test_other_uv_args_are_accepted() -> None:
    check_uv_args(["--index-url=https://index.invalid", "--prerelease=allow", "--torch-backend", "cpu", "--pre"])


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


# ---- making


def test_environment_is_made_once_and_reused(world: World) -> None:
    steps: list[str] = []
    first = world.make(echo=steps.append)
    assert (first.torch, first.reused, len(steps)) == ("2.12.1", False, 3)
    assert first.versions["torchvision"] == "0.27.1"
    assert {"python", "timm", "helper"} <= set(first.versions)
    assert _quickest(lambda: world.make(echo=steps.append)) < 0.3
    second = world.make(echo=steps.append)
    assert (second, len(steps)) == (replace(first, reused=True), 3)


def test_environment_has_bytecode_despite_dont_write_bytecode(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert list(world.make().folder.glob("lib/python3*/site-packages/torch/__pycache__/*.pyc"))


def test_environment_is_isolated_from_current_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    code = "import importlib.util; print(importlib.util.find_spec('vitgate'), importlib.util.find_spec('pytest'))"
    command = [str(world.make().python), "-c", code]
    assert subprocess.check_output(command, text=True, env=clean_variables()).split() == ["None", "None"]


def test_equivalent_requirements_share_an_environment(world: World) -> None:
    assert world.make("torch == 2.12.1").folder == world.make("2.12.1").folder


def test_the_key_changes_with_every_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [world.make().folder.name]
    keys.append(world.make("2.11.0").folder.name)
    keys.append(world.make("torch==2.12.1 timm==1.0.20").folder.name)
    keys.append(world.make("torch").folder.name)
    keys.append(world.make(needs=replace(NEEDS, requirements=NEEDS.requirements[:-1])).folder.name)
    keys.append(world.make(needs=replace(NEEDS, imports=("torch",))).folder.name)
    keys.append(world.make(uv_args=[*world.uv_args, "--prerelease=allow"]).folder.name)
    keys.append(world.make(python=sys.executable).folder.name)
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    keys.append(world.make().folder.name)
    assert len(set(keys)) == len(keys)
    monkeypatch.delenv("UV_RESOLUTION")
    monkeypatch.setattr("vitgate.upgrade.environments.sysconfig.get_platform", lambda: "other-machine")
    assert world.make().folder.name not in keys


def test_unpinned_environment_is_remade_each_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(datetime.date):
        @classmethod
        def today(cls) -> Tomorrow:
            return cls(2999, 1, 1)

    newest, exact = world.make("torch").folder, world.make("2.12.1").folder
    monkeypatch.setattr("vitgate.upgrade.environments.datetime.date", Tomorrow)
    assert world.make("torch").folder != newest
    assert world.make("2.12.1").folder == exact


def _without_marker(environment: Environment) -> None:
    (environment.folder / MARKER).unlink()


def _broken_marker(environment: Environment) -> None:
    (environment.folder / MARKER).write_text('{"format": 1, "nam', encoding="utf-8")


def _another_format(environment: Environment) -> None:
    path = environment.folder / MARKER
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 0'), encoding="utf-8")


def _without_python(environment: Environment) -> None:
    environment.python.unlink()


def _dangling_python(environment: Environment) -> None:
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3")


def _package_removed(environment: Environment) -> None:
    info = next(environment.folder.glob("lib/python3*/site-packages/torch-*.dist-info"))
    info.rename(info.with_name("torch-9.9.9.dist-info"))


@pytest.mark.parametrize(
    "spoil",
    [_without_marker, _broken_marker, _another_format, _without_python, _dangling_python, _package_removed],
)
def test_damaged_environment_is_remade(spoil: Callable[[Environment], None], world: World) -> None:
    first = world.make()
    (first.folder / "left over").write_text("rubbish", encoding="utf-8")
    spoil(first)
    again = world.make()
    assert not again.reused
    assert not (again.folder / "left over").exists()
    assert world.make().reused


def _until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"it ended before {word!r}")


@pytest.mark.parametrize(("moment", "wait"), [("making", 0), ("making", 0.1), ("installing", 0.05), ("importing", 0.1)])
def test_making_killed_at_any_moment_completes_next_time(moment: str, wait: float, world: World) -> None:
    with subprocess.Popen(world.command(slow="3"), stdout=subprocess.PIPE, text=True) as process:
        _until(process, moment)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
    made = [path for path in (world.cache / "environments").glob("*") if path.name != "locks"]
    assert len(made) <= 1
    assert all(read_marker(folder) is None for folder in made)
    assert not world.make().reused
    assert [row.state for row in listing(world.cache)] == [READY]


@pytest.fixture
def slow_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a uv in place that waits a second before it installs, and notes each beginning and end."""
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "site" / "uv").mkdir(parents=True)
    shim = tmp_path / "slow-uv"
    text = f'#!/bin/sh\necho begin $1 >> "{log}"\n[ "$1" = pip ] && sleep 1\n"{find_uv_bin()}" "$@"\n'
    shim.write_text(f'{text}status=$?\necho end $1 >> "{log}"\nexit $status\n', encoding="utf-8")
    shim.chmod(0o755)
    module = f"def find_uv_bin() -> str:\n    return {str(shim)!r}\n"
    (tmp_path / "site" / "uv" / "__init__.py").write_text(module, encoding="utf-8")
    source = Path(vitgate.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(source)]))
    return log


def test_orphaned_uv_is_awaited(world: World, slow_uv: Path) -> None:
    with subprocess.Popen(world.command(), stdout=subprocess.PIPE, text=True) as process:
        _until(process, "installing")
        while "begin pip" not in slow_uv.read_text(encoding="utf-8"):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    steps: list[str] = []
    assert not world.make(echo=steps.append).reused
    assert "waiting" in steps[0]
    assert slow_uv.read_text(encoding="utf-8").count("end pip") == 1  # it had ended when its folder was cleared


def test_concurrent_makers_make_environment_once(world: World, slow_uv: Path) -> None:
    started = [subprocess.Popen(world.command(), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=PATIENCE)[0].splitlines() for process in started]
    assert sorted(lines[-1] for lines in said) == ["made", "reused", "reused"]
    assert slow_uv.read_text(encoding="utf-8").count("begin pip") == 1


def test_failed_import_gives_one_line_and_leaves_nothing(world: World) -> None:
    wheel(world.index, "torchvision", "0.27.1", f"raise RuntimeError({NMS!r})")
    with pytest.raises(MachineError, match=NMS) as caught:
        world.make()
    assert "torch 2.12.1, torchvision 0.27.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert listing(world.cache) == []


def test_crash_at_import_gives_one_line_error(world: World) -> None:
    wheel(world.index, "timm", "1.0.20", "import os\nos.kill(os.getpid(), 11)")
    with pytest.raises(MachineError, match="status -11"):
        world.make()


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        ("9.9.9", UsageError, "no such release"),
        ("torch==2.12.1 torchvision==0.26.0", MachineError, "depends on torch==2.11.0 and you require torch==2.12.1"),
    ],
)
def test_failed_uv_leaves_nothing(text: str, error: type[VitgateError], word: str, world: World) -> None:
    with pytest.raises(error, match=word) as caught:
        world.make(text, uv_args=world.uv_args[1:])
    assert str(caught.value).startswith(text)
    assert listing(world.cache) == []


def test_missing_uv_names_how_to_install_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "find_uv_bin", lambda: "/nowhere/uv")
    with pytest.raises(MachineError, match="pip install uv"):
        world.make()


def test_unwritable_cache_gives_one_line_error(world: World) -> None:
    world.cache.write_text("a file", encoding="utf-8")
    with pytest.raises(MachineError, match="the cache"):
        world.make()


@pytest.mark.parametrize("leave", [0, 1 << 14], ids=["at-once", "in-the-middle"])
def test_full_disk_gives_one_line_error_and_leaves_nothing(leave: int, world: World, small_disk: SmallDisk) -> None:
    there = replace(world, cache=small_disk.folder / "cache")
    small_disk.fill(leave)
    with pytest.raises(MachineError, match="free disk space") as caught:
        there.make()
    assert "\n" not in str(caught.value)
    assert listing(there.cache) == []
    small_disk.clear()
    assert not there.make().reused
    assert there.make().reused


def test_write_protected_disk_gives_one_line_error(world: World, small_disk: SmallDisk) -> None:
    small_disk.protect()
    with pytest.raises(MachineError, match="Read-only file system"):
        replace(world, cache=small_disk.folder / "cache").make()


def test_settings_of_current_folder_are_ignored(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv.toml").write_text("mend = 'me'", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert world.make(cache=tmp_path.parent / f"{tmp_path.name} elsewhere").torch == "2.12.1"


# ---- an interpreter of the user's own


def test_existing_interpreter_is_inspected_and_never_removed(world: World) -> None:
    made = world.make()
    side = parse_interpreter(str(made.python), where="--old-python")
    found = make(side, cache=world.cache / "other", echo=lambda _: None, needs=NEEDS)
    assert (found.python, found.torch, found.reused, found.lock) == (made.python, "2.12.1", True, None)
    with in_use(found) as descriptors:
        assert descriptors == ()
    broken = replace(NEEDS, imports=("torch", "no_such_module"))
    with pytest.raises(MachineError, match="no_such_module"):
        make(side, cache=world.cache, echo=lambda _: None, needs=broken)
    assert made.python.exists()


def test_interpreter_lacking_packages_names_them(world: World) -> None:
    side = parse_interpreter(str(world.make().python), where="--old-python")
    lacking = Needs((*NEEDS.requirements, "helper>=2", "pytest>=8.0", "absent", "tomli>=2; python_version < '3'"))
    with pytest.raises(MachineError, match="helper>=2, pytest>=8.0, absent") as caught:
        make(side, cache=world.cache, echo=lambda _: None, needs=lacking)
    assert "-m pip install 'helper>=2' 'pytest>=8.0'" in str(caught.value)


# ---- listing and pruning


def _aged(environment: Environment, days: float) -> Environment:
    when = time.time() - days * 86400
    os.utime(environment.folder / MARKER, (when, when))
    return environment


def test_listing_has_state_use_and_shared_size(world: World) -> None:
    assert listing(world.cache) == []
    old, new = _aged(world.make("2.11.0"), 3), world.make("2.12.1")
    half = world.cache / "environments" / "half"
    half.mkdir()
    (half / "file").write_bytes(b"x" * 10_000)
    rows = {row.key: row for row in listing(world.cache)}
    assert [rows[each.folder.name].torch for each in (old, new)] == ["2.11.0", "2.12.1"]
    assert (rows[old.folder.name].state, rows["half"].state) == (READY, HALF_MADE)
    assert rows["half"].own_bytes >= 10_000 > rows["half"].shared_bytes == 0
    assert rows[new.folder.name].shared_bytes > 0
    each = sum(row.own_bytes + row.shared_bytes for row in rows.values())
    assert disk_use(rows.values()) < each  # the timm that both have counts once
    assert list(rows)[-1] == old.folder.name
    assert json.loads(json.dumps([row.to_json() for row in rows.values()]))[0]["state"] in (READY, HALF_MADE)


def test_disk_usage_counts_hard_links_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "shared").write_bytes(b"x" * 9000)
    (tmp_path / "two" / "shared").hardlink_to(tmp_path / "one" / "shared")
    (tmp_path / "one" / "own").write_bytes(b"x" * 5000)
    (tmp_path / "one" / "own too").hardlink_to(tmp_path / "one" / "own")
    (tmp_path / "one" / "away").symlink_to("/")
    one = usage(tmp_path / "one")
    assert 9000 <= one.shared < 5000 + 9000
    assert 5000 <= one.own < 9000
    both = usage(tmp_path)
    assert (both.shared, both.bytes) == (0, one.bytes)


def test_prune_by_age_removes_older_environments(world: World) -> None:
    _aged(world.make("2.11.0"), 31), _aged(world.make("2.12.1"), 29)
    done = prune(world.cache, older_than=datetime.timedelta(days=30))
    assert [row.torch for row in done.rows] == ["2.11.0"]
    assert done.freed > 0
    assert [row.torch for row in listing(world.cache)] == ["2.12.1"]
    assert not world.make("2.11.0").reused


def test_prune_by_size_takes_the_least_recently_used(world: World) -> None:
    for days, text in enumerate(("2.12.1", "2.11.0", "torch==2.12.1 timm==1.0.20")):
        _aged(world.make(text), days)
    limit = disk_use(listing(world.cache)) - 1
    assert [row.name for row in prune(world.cache, max_bytes=limit).rows] == ["torch==2.12.1 timm==1.0.20"]
    assert [row.name for row in prune(world.cache, max_bytes=0).rows] == ["2.11.0", "2.12.1"]


def test_prune_without_a_condition_takes_half_made_folders_only(world: World) -> None:
    world.make()
    (world.cache / "environments" / "half").mkdir()
    assert [row.key for row in prune(world.cache).rows] == ["half"]


def test_a_dry_run_removes_nothing(world: World) -> None:
    _aged(world.make(), 100)
    (world.cache / "environments" / "half").mkdir()
    before = listing(world.cache)
    done = prune(world.cache, max_bytes=0, dry_run=True)
    assert len(done.rows) == 2
    assert listing(world.cache) == before


def test_environment_in_use_is_kept(world: World) -> None:
    environment = _aged(world.make(), 100)
    with in_use(environment), in_use(environment):  # two gates at once
        assert [row.state for row in listing(world.cache)] == [BUSY]
        os.utime(environment.folder / MARKER, (1, 1))
        assert prune(world.cache, max_bytes=0, older_than=datetime.timedelta(0)).rows == ()
        assert world.make().reused  # another gate needs not wait
    assert (environment.folder / MARKER).stat().st_mtime > 1
    assert len(prune(world.cache, max_bytes=0).rows) == 1
    with pytest.raises(MachineError, match="removed meanwhile"), in_use(environment):
        raise AssertionError("it is gone")


def test_inherited_lock_keeps_environment(world: World) -> None:
    environment = world.make()
    with in_use(environment) as descriptors:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=descriptors)
    try:
        assert prune(world.cache, max_bytes=0).rows == ()
    finally:
        child.kill()
        child.wait()
    assert len(prune(world.cache, max_bytes=0).rows) == 1


def test_environment_being_made_is_kept(world: World) -> None:
    with subprocess.Popen(world.command(slow="2"), stdout=subprocess.PIPE, text=True) as process:
        _until(process, "importing")
        assert [row.state for row in listing(world.cache)] == ["being made"]
        assert prune(world.cache, max_bytes=0).rows == ()
        assert process.communicate(timeout=PATIENCE)[0].strip() == "made"


def test_interrupted_removal_leaves_no_valid_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = world.make()
    monkeypatch.setattr("vitgate.upgrade.environments.shutil.rmtree", lambda path: None)
    prune(world.cache, max_bytes=0)
    monkeypatch.undo()
    assert environment.folder.is_dir()
    assert read_marker(environment.folder) is None
    assert lock_of(environment.folder).exists()


# ---- the commands


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(environments, "default_cache", lambda: world.cache)

    def call(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(environments.environments, arguments)
        assert result.exit_code == status, result.output
        return result.output if status else result.stdout

    return call


def test_environments_commands_list_and_prune(run: Callable[..., str], world: World) -> None:
    assert "no environments" in run("list")
    _aged(world.make("torch==2.12.1 timm==1.0.20"), 40)
    shown = json.loads(run("list", "--json"))
    assert (shown["environments"][0]["torch"], shown["bytes"] > 0) == ("2.12.1", True)
    assert "2.12.1" in run("list")
    assert json.loads(run("list", "--json", "-")) == shown
    assert "nothing to do" in run("prune", "--older-than", "41d", "--max-size", "20GB")
    assert "would remove 1" in run("prune", "--older-than", "30d", "--dry-run")
    done = json.loads(run("prune", "--max-size", "0.5kB", "--json", "-"))
    assert (done["removed"][0]["torch"], done["dry_run"]) == ("2.12.1", False)
    assert "no environments" in run("list")


@pytest.mark.parametrize("arguments", [("--older-than", "soon"), ("--older-than", "-1d"), ("--max-size", "20XB")])
def test_invalid_prune_arguments_are_refused(arguments: tuple[str, str], run: Callable[..., str]) -> None:
    assert arguments[1] in run("prune", *arguments, status=2)


@pytest.mark.parametrize(("text", "expected"), [("500MB", 500 * 10**6), ("10GiB", 10 * 2**30), ("1.5g", 15 * 10**8)])
def test_sizes_are_parsed_with_units(text: str, expected: int) -> None:
    assert environments.size(text) == expected


# ---- what uv says


KINDS = {
    "unknown": (UsageError, "no such release"),
    "argument": (UsageError, "does not take this argument"),
    "wheel": (MachineError, "for this Python or machine"),
    "network": (MachineError, "check network"),
    "access": (MachineError, "refuses access"),
    "disk": (MachineError, "no room"),
    "conflict": (MachineError, "cannot be met together"),
    "python": (MachineError, "no such Python"),
    "other": (MachineError, "uv failed"),
}


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.txt")), ids=lambda path: path.stem)
def test_uv_output_becomes_one_line(path: Path) -> None:
    error = explain(path.read_text(encoding="utf-8"), name="2.12.1", status=1)
    expected, words = KINDS[path.stem.partition("_")[0].partition("-")[0]]
    assert type(error) is expected
    assert words in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("wheel_0.13.9", ("torch==1.13.1", "3.10, 3.11", "--python 3.10")),
        ("wheel_0.5.0", ("torch==1.13.1", "--python 3.10")),
        ("wheel-python_0.13.9", ("numpy==2.4.6", "--python 3.11")),
        ("wheel-platform_0.13.9", ("torch==2.12.1", "this machine")),
        ("network_0.13.9", ("http://127.0.0.1:1/simple/idna/", "Connection refused")),
        ("network-download_0.13.9", ("this Python", "path of an interpreter", "Name or service not known")),
        ("network_0.5.0", ("http://127.0.0.1:1/simple/idna/", "Connection refused")),
        ("disk-link_0.13.9", ("No space left on device",)),
        ("conflict_0.7.0", ("torchvision==0.20.0 depends on torch==2.5.0", "require torch==2.12.1")),
        ("unknown_0.7.0", ("there is no version of torch==9.9.9",)),
    ],
)
def test_decisive_line_of_uv_output_is_quoted(file: str, words: tuple[str, ...]) -> None:
    text = str(explain((MESSAGES / f"{file}.txt").read_text(encoding="utf-8"), name="NEW", status=1))
    assert [word for word in words if word not in text] == [], text


@given(output=strategies.text(), status=strategies.integers(1, 255))
def test_any_output_becomes_one_line(output: str, status: int) -> None:
    assert "\n" not in str(explain(output, name="2.12.1", status=status))


def test_passwords_are_not_shown() -> None:
    output = "error: Failed to fetch: `https://me:secret@index.invalid/simple/`\n  Caused by: timed out\n"
    assert "secret" not in str(explain(output, name="NEW", status=2))


# ---- the suite's copy


def test_the_suite_runs_from_its_copy(world: World) -> None:
    suite = suite_folder(world.cache)
    assert suite_folder(world.cache) == suite
    assert _quickest(lambda: suite_folder(world.cache)) < 0.3
    tests = suite / "tests" / "conformance"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(tests), "--case", "digits"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=suite_variables(suite), cwd=world.cache
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_table.py::test_table[digits-fbgemm]" in done.stdout
    where = (
        "import vitgate, vitgate.files.schemas; print(vitgate.__file__); print(vitgate.files.schemas.fixtures_folder())"
    )
    shown = subprocess.check_output([sys.executable, "-c", where], text=True, env=suite_variables(suite), cwd=suite)
    assert shown.splitlines() == [str(suite / "vitgate" / "__init__.py"), str(suite / "vitgate" / "fixtures")]


def test_suite_folder_within_a_copy_is_the_same(world: World) -> None:
    suite = suite_folder(world.cache)
    code = "import sys; from pathlib import Path; from vitgate.upgrade.runs import suite_folder\n"
    command = [sys.executable, "-c", f"{code}print(suite_folder(Path(sys.argv[1])))", str(world.cache)]
    assert subprocess.check_output(command, text=True, env=suite_variables(suite)).strip() == str(suite)


def test_the_copy_holds_the_data_files_of_this_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = suite_folder(world.cache)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cases.toml").write_text("# mine", encoding="utf-8")
    monkeypatch.setenv("VITGATE_FIXTURES", str(tmp_path / "mine"))
    changed = suite_folder(world.cache)
    assert changed != plain
    assert (changed / "vitgate" / "fixtures" / "cases.toml").read_text(encoding="utf-8") == "# mine"
    assert "VITGATE_FIXTURES" not in suite_variables(changed)


def test_interrupted_suite_copy_is_completed(world: World) -> None:
    suite = suite_folder(world.cache)
    suite.rename(suite.with_name(f".{suite.name}.tmp"))
    (suite.with_name(f".{suite.name}.tmp") / "rubbish").touch()
    assert suite_folder(world.cache) == suite
    assert not (suite / "rubbish").exists()


def test_old_suite_copies_are_removed(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = suite_folder(world.cache)
    os.utime(old, (1, 1))
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("VITGATE_FIXTURES", str(tmp_path / "mine"))
    suite_folder(world.cache)
    assert not old.exists()


def test_a_constraint_pins_what_a_requirement_leaves_open() -> None:
    assert is_pinned(Side("file", ("torch>=2", "torch==2.12.1")))


def test_side_without_exact_version_is_not_pinned() -> None:
    assert not is_pinned(Side("torch", ("torch",)))
    assert not is_pinned(Side("2.12", ("torch==2.12.*",)))
