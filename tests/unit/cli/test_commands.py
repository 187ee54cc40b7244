"""All commands: wrong usage, help, and a start without anything heavy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate import __version__

from .two_releases import NEW, OLD, RECORDS


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", OLD),
        ("compare", OLD, NEW, OLD),
        ("compare", OLD, NEW, "--color", "sometimes"),
        ("compare", OLD, NEW, "--unknown"),
        ("compare", OLD, str(RECORDS)),
        ("merge", OLD),
        ("merge", "-o", "x"),
        ("frobnicate",),
        ("report", OLD),
        ("report", "-o", "x.html"),
        ("report", OLD, OLD, "-o", "x.html"),
        ("report", "no/such/record.json", "-o", "x.html"),
        ("sweep",),
        ("sweep", "2.12.1", "--shard", "3/2"),
        ("sweep", "no/such/file.txt"),
        ("sweep", "2.12.1", "--case", "nothing"),
        ("bisect", "2.9.1"),
        ("bisect", "2.9.1", "2.15.0"),
        ("bisect", "2.9.1", "2.15.0", "--claim", "nothing"),
        ("bisect", "2.15.0", "2.9.1", "--claim", "build"),
        ("bisect", "2.9.1", "2.15.0", "--claim", "build", "--releases", "newest"),
    ],
    ids=lambda arguments: " ".join(argument.rpartition("/")[2] for argument in arguments),
)
def test_wrong_usage_is_status_4(
    run: Callable[..., tuple[int, str, str]],
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # a folder of records is made where the command is given
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, err = run(*arguments)

    assert (code, out) == (4, "")
    assert "Error: " in err or err.startswith("ERROR: ")


@pytest.mark.parametrize(
    "arguments",
    [("--help",), *((name, "--help") for name in ("compare", "merge", "upgrade", "sweep", "bisect")), ("--version",)],
    ids=str,
)
def test_help_is_status_0_and_names_the_exit_statuses(
    run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...]
) -> None:
    code, out, _ = run(*arguments)

    assert code == 0
    assert "Exit status:\n" in out or __version__ in out
    assert "\b" not in out
    assert "\\b" not in out


def test_starting_command_imports_nothing_heavy() -> None:
    script = (
        "import sys, vitgate.cli as cli\n"
        "try: cli.main(['compare', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'rich', 'jinja2', 'pytest', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_comparing_needs_no_torch_and_survives_a_narrow_encoding(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom vitgate.cli import main\n"
        f"try: main(['compare', {OLD!r}, {OLD!r}])\n"
        "except SystemExit as ended: print('torch' in sys.modules, ended.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii", **_path()}
    )

    assert done.stdout.splitlines()[-1] == b"False 0"
    assert b"PyTorch 2.12.1 ? 2.12.1: may upgrade" in done.stdout


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": str(shutil.which("env"))}


def test_python_m_vitgate_runs_the_command(tmp_path: Path) -> None:
    record = str(RECORDS / "2.12.1.json")
    block = "import sys; [sys.modules.__setitem__(name, None) for name in ('torch', 'torchvision', 'timm')]; "
    run = "import runpy; runpy.run_module('vitgate', run_name='__main__')"
    code = f"{block}sys.argv[1:] = ['compare', {record!r}, {record!r}]; {run}"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "may upgrade" in done.stdout.splitlines()[-1]
