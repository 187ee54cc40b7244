"""The command line: exit statuses, one line for each error, and a start without anything heavy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from vitgate import __version__
from vitgate.cli import main
from vitgate.compare.acceptance import Acceptances
from vitgate.compare.verdict import compare as compared
from vitgate.compare.verdict import Verdict
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record
from vitgate.upgrade.bisect import Bisected, Bisection, Found
from vitgate.upgrade.gate import Order
from vitgate.upgrade.sweep import Sweep, Swept

RECORDS = fixtures_folder() / "records"
OLD, NEW = str(RECORDS / "2.12.1.json"), str(RECORDS / "2.15.0.json")
CAUSES = ("xnnpack-gone", "xnnpack-gone-files", "xnnpack-gone-lite-files", "xnnpack-gone-call", "profiler-use-cuda")
ACCEPTED = tuple(word for cause in CAUSES for word in ("--accept", cause))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a helper that runs the command line and returns its exit status, output and error output."""

    def call(*arguments: Path | str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((OLD, NEW), 1, "Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break"),
        ((OLD, OLD), 0, "may upgrade; every claim holds as before"),
        ((NEW, OLD), 0, "are fixed"),
        ((OLD, NEW, *ACCEPTED), 0, "what breaks is accepted"),
        ((OLD, NEW, *ACCEPTED[:-2]), 1, "1 thing breaks"),
        ((OLD, OLD, *ACCEPTED[:2]), 1, "covers nothing"),
    ],
)
def test_comparison_ends_with_answer_and_status(
    run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], status: int, words: str
) -> None:
    code, out, err = run("compare", *arguments)

    assert (code, err) == (status, "")
    assert words in out.splitlines()[-1]


def test_expired_acceptance_is_named_with_file_and_line(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    entry = '\n[[accept]]\nid = "xnnpack-gone"\nreason = "r"\nowner = "o"\nexpires = 2020-01-01\n'
    path = data_file("accepted.toml", entry)

    code, out, _ = run("compare", OLD, NEW, "--accept-file", path)

    assert code == 1
    assert f"{path}:3: the acceptance of xnnpack-gone expired on 2020-01-01" in out


def test_all_reports_are_written(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    options = [text for name in ("json", "junit", "markdown", "html") for text in (f"--{name}", tmp_path / name)]

    code, _, _ = run("compare", OLD, NEW, *options)

    assert code == 1
    assert {path.name for path in tmp_path.iterdir()} == {"json", "junit", "markdown", "html"}
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8"))["exit_status"] == 1


def test_json_is_alone_on_standard_output(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("compare", OLD, NEW, "--json", "-")

    assert json.loads(out)["answer"] == err.splitlines()[-1]
    assert code == 1


def test_report_of_several_records_is_about_newest(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    assert run("report", NEW, OLD, "-o", page) == (0, f"report: {page}\n", "")
    assert "<h1>PyTorch 2.15.0: " in page.read_text(encoding="utf-8")


def test_report_summary_is_written_as_json(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("report", NEW, OLD, "-o", tmp_path / "report.html", "--json", "-")

    about = json.loads(out)
    assert (code, err) == (0, f"report: {tmp_path / 'report.html'}\n")
    assert [version.partition("+")[0] for version in about["versions"]] == ["2.12.1", "2.15.0"]
    assert " cannot carry " in about["answer"]


def test_refused_report_keeps_previous_one(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    path = data_file("report.html", "earlier")

    assert run("report", OLD, OLD, "-o", path)[0] == 4
    assert path.read_text(encoding="utf-8") == "earlier"


def test_a_report_of_an_edited_record_is_refused(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "edited.json"
    path.write_text(Path(NEW).read_text(encoding="utf-8").replace('"label":269', '"label":207', 1), encoding="utf-8")

    code, out, err = run("report", path, "-o", tmp_path / "report.html")

    assert (code, out) == (4, "")
    assert "edited by hand" in err
    assert not (tmp_path / "report.html").exists()


def test_unwritable_page_is_status_6(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    code, out, err = run("report", NEW, "-o", data_file("file", "") / "report.html")

    assert (code, out) == (6, "")
    assert "name another file with -o" in err


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


def test_an_error_is_one_line_without_control_characters(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    data = json.loads((RECORDS / "2.15.0.json").read_text(encoding="utf-8"))
    data["claims"][0].update(subject="\x1b[31mx\n\x9b", outcome="failed")
    path = data_file("record.json", json.dumps(data))

    code, out, err = run("compare", OLD, path)

    assert (code, out) == (4, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert err.endswith("make the record again\n")
    assert "\x1b" not in err
    assert "\x9b" not in err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}'])
def test_file_that_is_no_record_is_status_4(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path], text: str
) -> None:
    path = data_file("record.json", text)

    code, _, err = run("compare", path, NEW)

    assert code == 4
    assert err.startswith("ERROR: ")
    assert str(path) in err
    assert err.count("\n") == 1


def test_missing_record_is_status_4(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert run("compare", OLD, tmp_path / "no.json")[0] == 4


def test_unwritable_report_is_status_6(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    path = data_file("file", "")

    code, out, err = run("compare", OLD, NEW, "--html", path / "page.html")

    assert code == 6
    assert err.startswith("ERROR: cannot write the report")
    assert err.count("\n") == 1
    assert out.splitlines()[-1].startswith("Do not upgrade")  # which may have taken half an hour to find


def test_records_merge_into_one(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("merge", OLD, OLD, "-o", tmp_path / "merged.json")

    assert (code, err) == (0, "")
    assert read_record(tmp_path / "merged.json") == read_record(Path(OLD))
    assert "complete" in out


def test_merge_summary_is_written_as_json(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("merge", OLD, "-o", tmp_path / "merged.json", "--json", "-")

    about = json.loads(out)
    assert code == 0
    assert "complete" in err
    assert (about["record"], about["complete"], about["missing"]) == (str(tmp_path / "merged.json"), True, [])
    assert about["claims"] == len(read_record(Path(OLD)).claims)


def test_records_of_two_releases_do_not_merge(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, err = run("merge", OLD, NEW, "-o", tmp_path / "merged.json")

    assert code == 4
    assert err.startswith("ERROR: the records are of different environments")
    assert list(tmp_path.iterdir()) == []


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


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fail whoever makes, or looks into, an environment."""

    def made(*arguments: object, **options: Any) -> None:
        raise AssertionError("an environment was made")

    monkeypatch.setattr("vitgate.upgrade.gate.make", made)
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "twice"):
        (tmp_path / name).mkdir()
    for name in ("a b.pt", "a_b.pt"):
        (tmp_path / "twice" / name).touch()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("OLD is missing",)),
        (("2.12.1",), ("NEW is missing",)),
        (("2.12.1", "2.13.0", "2.15.0"), ("one version too many: '2.15.0'",)),
        (("2.12.1", "newest"), ("NEW", "newest")),
        (("2.12.1", "2.15.0", "--engine", "cuda"), ("unknown engine 'cuda'", "qnnpack")),
        (("2.12.1", "2.15.0", "--case", "digit"), ("unknown case 'digit'", "digits")),
        (("2.12.1", "2.15.0", "--weights", "nonsense.pth"), ("--weights 'nonsense.pth'",)),
        (("2.12.1", "2.15.0", "--assets", "nowhere"), ("no such asset directory", "nowhere")),
        (("2.12.1", "2.15.0", "--field", "nowhere"), ("no such folder of artifacts", "nowhere", "--field")),
        (("2.12.1", "2.15.0", "--images", "nowhere"), ("cannot read this folder of pictures", "nowhere", "--images")),
        (("2.12.1", "2.15.0", "--images-accuracy", "0.8"), ("--images-accuracy without --images",)),
        (("2.12.1", "2.15.0", "--field", "empty"), ("no .pt, .ptl, .pt2, .pte, .onnx file here", "empty")),
        (("2.12.1", "2.15.0", "--field", "twice"), ("duplicate name 'own-a_b.pt'",)),
        (("--old-python", "nowhere/python", "2.15.0"), ("--old-python", "nowhere/python")),
        (("2.12.1", "2.15.0", "--accept-file", "nowhere.toml"), ("nowhere.toml",)),
        (("2.12.1", "2.15.0", "--accept", " "), ("--accept",)),
    ],
    ids=str,
)
def test_invalid_upgrade_is_status_4_before_environments_are_made(
    run: Callable[..., tuple[int, str, str]], no_environment: None, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    code, out, err = run("upgrade", *arguments)

    assert (code, out) == (4, ""), err
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize("option", ["--json", "--junit", "--markdown", "--html"])
def test_unwritable_report_is_reported_before_environments_are_made(
    run: Callable[..., tuple[int, str, str]], no_environment: None, option: str
) -> None:
    code, _, err = run("upgrade", "2.12.1", "2.15.0", option, "twice/a_b.pt/report")

    assert code == 6
    assert "cannot write the report" in err
    assert option in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--latency=yes",), ("--unknown",), ("--engine",)])
def test_unknown_options_are_status_4(
    run: Callable[..., tuple[int, str, str]], no_environment: None, arguments: tuple[str]
) -> None:
    code, out, err = run("upgrade", "2.12.1", "2.15.0", *arguments)

    assert (code, out) == (4, "")
    assert "Error: " in err


def test_upgrade_ends_with_answer_status_and_reports(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def gate(order: Order, accepted: Acceptances, echo: Callable[..., Any]) -> Verdict:
        asked.append(order)
        echo("a step")
        return compared(read_record(Path(OLD)), read_record(Path(NEW)), accepted=accepted)

    monkeypatch.setattr("vitgate.upgrade.gate.gate", gate)
    (tmp_path / "phone.ptl").touch()
    options = (
        "--engine",
        "qnnpack",
        "--field",
        tmp_path,
        "--field",
        tmp_path,
        "--no-latency",
        "--torch-backend",
        "cpu",
    )

    code, out, err = run("upgrade", "2.12.1", "2.15.0", *options, *ACCEPTED, "--json", tmp_path / "verdict.json")

    (order,) = asked
    assert (code, err) == (0, "a step\n")
    assert "what breaks is accepted" in out.splitlines()[-1]
    assert (order.old.name, order.new.name, order.request.engine, order.latency) == (
        "2.12.1",
        "2.15.0",
        ("qnnpack",),
        False,
    )
    assert (order.request.field, order.uv_args) == ((str(tmp_path),), ("--torch-backend=cpu",))
    assert json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["exit_status"] == 0


def test_ctrl_c_gives_one_line_and_status_130(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(*arguments: Acceptances | Order | Callable[..., Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vitgate.upgrade.gate.gate", gate)

    code, out, err = run("upgrade", "2.12.1", "2.15.0")

    assert (code, out) == (130, "")
    assert err.strip() == "ERROR: interrupted"


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


@pytest.mark.parametrize(("dask", "used"), [((), "alone"), (("--dask", "tcp://host:8786"), "tcp://host:8786")])
def test_sweep_shows_table_and_ends_with_status(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    dask: tuple[str, ...],
    used: str,
) -> None:
    asked = []

    def swept(order: Sweep, echo: Callable[..., Any], address: str = "alone") -> list[Swept]:
        asked.append((address, order))
        echo("a step")
        return [Swept("2.12.1", read_record(Path(OLD))), Swept("9.9.9", error="no such version")]

    monkeypatch.setattr("vitgate.upgrade.sweep.sweep", swept)
    monkeypatch.setattr("vitgate.upgrade.dask_sweep.sweep_on", lambda address, order, echo: swept(order, echo, address))

    arguments = ("2.12.1", "9.9.9", "--records", tmp_path, "--shard", "1/2", "--case", "digits", *dask)
    code, out, err = run("sweep", *arguments, "--json", tmp_path / "new" / "sweep.json")

    ((address, order),) = asked
    assert address == used
    assert [side.name for side in order.sides] == ["2.12.1", "9.9.9"]
    assert (order.request.shard, order.request.case, order.records) == ("1/2", ("digits",), tmp_path)
    assert (code, err) == (6, "a step\n")
    assert "environment error" in out
    assert json.loads((tmp_path / "new" / "sweep.json").read_text(encoding="utf-8"))["exit_status"] == 6


def test_unwritable_table_is_status_6(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("vitgate.upgrade.sweep.sweep", lambda order, echo: [Swept("2.12.1", read_record(Path(OLD)))])
    (tmp_path / "file").touch()

    code, _, err = run("sweep", "2.12.1", "--records", tmp_path, "--json", tmp_path / "file" / "sweep.json")

    assert code == 6
    assert "cannot write the report" in err
    assert "--json" in err


def test_bisection_reports_what_it_found(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def found(bisection: Bisection, echo: Callable[..., Any]) -> Bisected:
        asked.append(bisection)
        seen = {Version(name): {bisection.claim: name} for name in ("2.12.1", "2.13.0")}
        return Bisected(bisection.claim, Found(Version("2.12.1"), Version("2.13.0"), ()), seen)

    monkeypatch.setattr("vitgate.upgrade.bisect.bisect", found)

    arguments = ("2.12.1", "2.15.0", "--claim", "build[digits-qnnpack-optimized]", "--releases", "2.12.1,2.13.0,2.15.0")
    code, out, err = run("bisect", *arguments, "--records", tmp_path, "--json", "-")

    (bisection,) = asked
    assert code == 0
    assert err.startswith("2.13.0 is the first release on which")
    assert err.count("\n") == 1
    assert json.loads(out) == {
        "claim": arguments[3],
        "last_as_before": "2.12.1",
        "first_changed": "2.13.0",
        "skipped": [],
        "outcomes": {name: {arguments[3]: name} for name in ("2.12.1", "2.13.0")},
        "answer": err.strip(),
    }
    assert (bisection.good, bisection.bad, bisection.claim) == ("2.12.1", "2.15.0", arguments[3])
    assert (bisection.records, [str(each) for each in bisection.releases or ()]) == (
        tmp_path,
        ["2.12.1", "2.13.0", "2.15.0"],
    )
