"""Runs of the suite in another environment: the command, what decides it, and one line for each way to end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import Record
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.runs import command_line, Request, run_suite

from ..conftest import Refuses
from ..processes import alive, waited

RECORD = fixtures_folder() / "records" / "2.12.1.json"

# Stands in the place of pytest: says what it is told to, leaves a record or none, and ends as it is told to.
PYTEST = """
import json, os, shutil, signal, sys, time
told = json.loads(os.environ["TOLD"])
with open(os.environ["SAW"], "w") as file:
    json.dump({"variables": dict(os.environ), "folder": os.getcwd(), "pid": os.getpid()}, file)
print(told["says"], flush=True)
time.sleep(told["sleep"])
record = next(text.partition("=")[2] for text in sys.argv if text.startswith("--record="))
if told["record"] == "good":
    shutil.copyfile(told["source"], record)
elif told["record"]:
    open(record, "w").write(told["record"])
if told["status"] < 0:
    os.kill(os.getpid(), -told["status"])
sys.exit(told["status"])
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a helper that runs a suite which says, leaves and ends what it is told; returns its record."""
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "pytest.py").write_text(PYTEST, encoding="utf-8")
    source = Path(sys.modules["vitgate"].__file__ or "").parent
    (suite / "vitgate").symlink_to(source)
    monkeypatch.setenv("SAW", str(tmp_path / "saw.json"))
    environment = Environment("torch==2.12.1", Path(sys.executable), "2.12.1+cpu", {}, tmp_path, True, 0, None)

    def call(
        progress: Any = None,
        status: Any = 0,
        says: str = "",
        record: Any = "good",
        sleep: Any = 0,
    ) -> Any:
        told = {"status": status, "says": says, "record": record, "source": str(RECORD), "sleep": sleep}
        monkeypatch.setenv("TOLD", json.dumps(told))
        asked = Request(record=str(tmp_path / "gate" / "old.json"))
        return run_suite(environment, suite, asked, tmp_path / "gate" / "old.log", progress or (lambda part: None))

    return call


@pytest.fixture
def saw(tmp_path: Path) -> Any:
    """Return a helper that gives what the suite saw of its surroundings."""
    return lambda: json.loads((tmp_path / "saw.json").read_text(encoding="utf-8"))


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = Request(
        case=("digits",), engine=("qnnpack", "x86"), weights="mine.pth", assets="pictures", workers="2",
        field=("/g/old", "/f"), record="/g/new.json", export="/g/new",
    )  # fmt: skip

    command = command_line(Path("/env/bin/python"), Path("/suite"), request.absolute())

    assert command[:3] == [sys.executable, "-m", "vitgate.upgrade.watchdog"]
    assert command[3:8] == ["/env/bin/python", "-m", "pytest", "--color=no", "/suite/tests/conformance"]
    assert command[8:] == [
        *("-n", "2", "--case=digits", "--engine=qnnpack", "--engine=x86"),
        *(f"--weights={tmp_path}/mine.pth", f"--assets={tmp_path}/pictures"),  # the suite runs in another folder
        *("--field=/g/old", "--field=/f", "--export=/g/new", "--record=/g/new.json"),
    ]


def test_what_is_as_by_default_is_not_said() -> None:
    assert command_line(Path("python"), Path("/suite"), Request())[8:] == ["-n", "auto"]


@pytest.mark.parametrize("status", [0, 1])
def test_passed_or_failed_the_record_says_all(run: Callable[..., Any], status: int) -> None:
    found = run(status=status)

    assert isinstance(found, Record)
    assert found.environment.torch == "2.12.1+cu130"


def test_what_would_change_the_run_is_left_out(
    run: Callable[..., Any], saw: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = {"PYTEST_ADDOPTS", "PYTEST_PLUGINS", "COV_CORE_SOURCE", "VITGATE_FIXTURES"}
    for name in hidden:
        monkeypatch.setenv(name, "-k nothing")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    run()

    found = saw()
    assert not hidden & set(found["variables"])
    assert found["variables"]["PYTHONPATH"] == str(tmp_path / "suite")
    assert found["folder"] == str(tmp_path / "suite")


def test_progress_is_told(run: Callable[..., Any]) -> None:
    parts: list[Any] = []

    run(progress=parts.append, says="....... [  7%]\nno percent here\n.... [100%]\n50% of all")

    assert parts == [0.07, 1.0]


def test_the_log_holds_all_that_was_said(run: Callable[..., Any], tmp_path: Path) -> None:
    run(says="one\ntwo \x1b[31m\n")

    assert (tmp_path / "gate" / "old.log").read_text(encoding="utf-8").startswith("one\ntwo")


USAGE = """ERROR: usage: __main__.py [options] [file_or_dir] [file_or_dir] [...]
__main__.py: error: unrecognized arguments: --frobnicate
  inifile: /suite/pytest.ini
  rootdir: /suite
"""
BROKEN = """==== ERRORS ====
____ ERROR collecting tests/conformance/test_label.py ____
E   ImportError: libgomp.so.1: cannot open shared object file
=== short test summary info ===
ERROR tests/conformance/test_label.py
!!!! Interrupted: 1 error during collection !!!!
"""


@pytest.mark.parametrize(
    ("status", "says", "kind", "words"),
    [
        (
            4,
            "ERROR: unknown engine 'x' (--engine): use one of a, b",
            UsageError,
            ("unknown engine 'x' (--engine): use",),
        ),
        (4, USAGE, UsageError, ("unrecognized arguments: --frobnicate",)),
        (4, "ERROR: file or directory not found: x", UsageError, ("file or directory not found: x",)),
        (6, "ERROR: cannot write (/tmp): free disk space", MachineError, ("cannot write (/tmp): free disk space",)),
        (6, "Exit: ERROR: no network (x): try again", MachineError, ("no network (x): try again",)),
        (2, BROKEN, MachineError, ("status 2", "ImportError: libgomp.so.1")),
        (3, "INTERNALERROR> KeyError: 'x'", MachineError, ("status 3", "it said last: KeyError: 'x'")),
        (5, "no tests ran in 0.01s", MachineError, ("status 5", "no tests ran")),
        (1, "", MachineError, ("status 1", "it said nothing")),
        (0, "all passed", MachineError, ("status 0 and left no record", "all passed")),
        (77, "bye", MachineError, ("status 77", "bye")),
        (-9, "", MachineError, ("was ended by SIGKILL",)),
        (-11, "Fatal Python error: Segmentation fault", MachineError, ("was ended by SIGSEGV", "Segmentation fault")),
        (2, "x" * 5000, MachineError, ("x" * 300,)),
    ],
)
def test_an_end_without_a_record_is_one_line(
    run: Callable[..., Any],
    tmp_path: Path,
    status: int,
    says: str,
    kind: type[MachineError] | type[UsageError],
    words: tuple[str, ...],
) -> None:
    with pytest.raises(kind) as caught:
        run(status=status, says=says, record="")

    text = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in text
    assert len(text) < 1000
    for word in ("torch==2.12.1", "PyTorch 2.12.1+cpu", str(tmp_path / "gate" / "old.log"), *words):
        assert word in text, text


@pytest.mark.parametrize("status", [2, 3, 4, 5, 6, 77, -9])
def test_a_record_does_not_excuse_another_end(run: Callable[..., Any], status: int) -> None:
    with pytest.raises((MachineError, UsageError), match=r"torch==2\.12\.1"):
        run(status=status)


@pytest.mark.parametrize("record", ["{", '{"schema_version": 9}'])
def test_a_record_that_cannot_be_read_is_one_line(
    run: Callable[..., Any], refuses: Refuses, tmp_path: Path, record: str
) -> None:
    refuses(lambda: run(record=record), tmp_path / "gate" / "old.json")


def test_the_record_of_an_earlier_run_is_never_taken_for_this_ones(run: Callable[..., Any]) -> None:
    run()

    with pytest.raises(MachineError, match="left no record"):
        run(record="")


def test_an_interpreter_that_is_gone_is_one_line(run: Callable[..., Any], tmp_path: Path) -> None:
    environment = Environment("mine", tmp_path / "none", "2.12.1", {}, tmp_path, True, 0, None)

    with pytest.raises(MachineError, match="mine") as caught:
        run_suite(environment, tmp_path / "suite", Request(record=str(tmp_path / "r.json")), tmp_path / "r.log")

    assert "\n" not in str(caught.value)
    assert "No such file" in str(caught.value)


def test_nothing_is_left_running_where_the_gate_itself_stops(
    run: Callable[..., Any], saw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(part: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop, says="[ 10%]", sleep=120)

    assert waited(lambda: not alive(saw()["pid"]))
