"""The plugin from outside, as a user meets it: exit statuses, one clear line for each mistake, workers, narrowed runs.

Most runs here are of a made-up suite without any work, `suite`, whose tests only carry the claims' markers.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

import pytest
from unit.disk import SmallDisk

from vitgate.files.schemas import fixtures_folder
from vitgate.judge.table import parse
from vitgate.records.record import Record
from vitgate.spec.claims import Claim, read_claims

from .processes import Done, ROOT, run_pytest

pytestmark = pytest.mark.long

CELLS = ("--case", "digits", "--engine", "fbgemm")


# Mistakes end in one line


def _is_one_clear_line(done: Done, status: int, *words: str) -> None:
    __tracebackhide__ = True
    errors = [line for line in done.text.splitlines() if line.startswith(("ERROR", "Exit: ERROR", "!"))]
    assert done.status == status, done.text
    assert "Traceback" not in done.text
    assert any(all(word in line for word in words) for line in errors), done.text
    assert not done.record_file.exists(), "a run that could not be leaves no record"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--case", "deit_bas"), ("unknown case 'deit_bas'", "deit_base, digits")),
        (("--engine", "fbgem"), ("unknown engine 'fbgem'", "qnnpack")),
        (("--weights", "nonsense"), ("--weights 'nonsense'", "standin")),
        (("--assets", "no/such/folder"), ("no such asset directory", "no/such/folder")),
        (("--field", "no/such/folder"), ("no such folder of artifacts", "no/such/folder")),
        (("--field", "docs"), ("no .pt, .ptl, .pt2, .pte, .onnx file here", "docs")),
        (("--export", "docs"), ("not an empty folder", "docs", "--export")),
        (("--export-packed",), ("--export-packed without --export",)),
    ],
    ids=["case", "engine", "weights", "assets", "field", "empty field", "export", "export-packed"],
)
def test_invalid_option_value_is_usage_error(
    arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    _is_one_clear_line(run_pytest("tests/conformance", *arguments, folder=tmp_path), 4, *words)


def test_unreachable_hub_repository_is_environment_error(tmp_path: Path) -> None:
    nowhere: dict[str, Any] = {
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "",
        "no_proxy": "",
    }
    arguments = ("--case", "deit_tiny", "--weights", "hub")
    done = run_pytest("tests/conformance", *arguments, folder=tmp_path, TORCH_HOME=str(tmp_path), **nowhere)
    _is_one_clear_line(done, 6, "cannot download", "facebookresearch/deit", "7e160fe43f0252d17191b71cbb5826254114ea5b")


@pytest.fixture
def without_transformers(tmp_path: Path) -> str:
    """A folder for PYTHONPATH in which the library is not to be found, whatever is installed."""
    hide = "import importlib.util as u, sys\nreal = u.find_spec\n"
    hide += "u.find_spec = lambda name, *more: None if name == 'transformers' else real(name, *more)\n"
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(hide, encoding="utf-8")
    return os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")])


def test_missing_library_of_named_case_is_environment_error(without_transformers: str, tmp_path: Path) -> None:
    done = run_pytest("tests/conformance", "--case", "vit_base_hf", folder=tmp_path, PYTHONPATH=without_transformers)
    _is_one_clear_line(done, 6, "transformers is not installed", "vit_base_hf", 'pip install "vitgate[transformers]"')


def test_missing_library_among_all_cases_is_unsupported(
    without_transformers: str, tmp_path: Path, fixtures: Path
) -> None:
    """Here `all` are the small one and that one."""
    path = fixtures / "cases.toml"
    rows = path.read_text(encoding="utf-8").split("[[case]]")
    kept = [row for row in rows if 'id = "digits"' in row or 'id = "vit_base_hf"' in row]
    path.write_text("[[case]]" + "[[case]]".join(kept), encoding="utf-8")
    for tolerances in (fixtures / "tolerances").glob("*.toml"):
        known = re.sub(r'"deit_\w+"', '"digits"', tolerances.read_text(encoding="utf-8"))
        tolerances.write_text(known, encoding="utf-8")
    for folder in (fixtures / "field").iterdir():
        shutil.rmtree(folder)

    done = run_pytest(
        "tests/conformance", "--case", "all", "--claim", "parameters", "--engine", "fbgemm",
        folder=tmp_path, VITGATE_FIXTURES=str(fixtures), PYTHONPATH=without_transformers,
    )  # fmt: skip

    assert done.status == 0, done.text
    assert "vit_base_hf: left out, since transformers is not installed" in done.text
    statuses = {row.case: row.status for row in done.record.claims}
    assert statuses == {"digits": "passed", "vit_base_hf": "unsupported"}


def test_unknown_key_in_data_file_is_usage_error(fixtures: Path, tmp_path: Path) -> None:
    path = fixtures / "cases.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("title =", "tittle =", 1), encoding="utf-8")
    done = run_pytest("tests/conformance", folder=tmp_path, VITGATE_FIXTURES=str(fixtures))
    _is_one_clear_line(done, 4, "case.0.t", "cases.toml", "mend that entry")


def test_invalid_field_manifest_is_usage_error(fixtures: Path, tmp_path: Path) -> None:
    path = fixtures / "field" / "2.12.1" / "field.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"maker"', '"made_by"', 1), encoding="utf-8")
    done = run_pytest("tests/conformance", folder=tmp_path, VITGATE_FIXTURES=str(fixtures))
    _is_one_clear_line(done, 4, "maker", "field.json", "mend that entry")


def test_unwritable_artifact_cache_is_machine_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = str(tmp_path / "file" / "cache")
    done = run_pytest("tests/conformance", "--artifact-cache", cache, folder=tmp_path)
    _is_one_clear_line(done, 6, "cannot keep artifacts", "--artifact-cache")


def test_long_temporary_path_is_machine_error(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    done = run_pytest("tests/conformance", folder=tmp_path, TMPDIR=str(folder))
    _is_one_clear_line(done, 6, "too long for a socket", str(folder), "TMPDIR")


@pytest.mark.parametrize("option", ["--record", "--report", "--artifact-cache", "--export"])
def test_write_protected_folder_is_machine_error(option: str, small_disk: SmallDisk, tmp_path: Path) -> None:
    small_disk.protect()
    target = str(small_disk.folder / "x")
    done = run_pytest("tests/conformance", option, target, folder=tmp_path)
    _is_one_clear_line(done, 6, target, option)


def test_full_artifact_cache_is_machine_error_and_later_completed(small_disk: SmallDisk, tmp_path: Path) -> None:
    cache = small_disk.folder / "artifacts"
    command = ("tests/conformance/test_build.py", *CELLS, "-n", "1", "--artifact-cache", str(cache))
    small_disk.fill(leave=1 << 20)  # the weights find room, the files do not
    _is_one_clear_line(run_pytest(*command, folder=tmp_path), 6, "free disk space", str(cache))
    small_disk.clear()
    assert run_pytest(*command, folder=tmp_path).status == 0
    assert list(cache.glob(".*")) == []


# Machines that cannot: what every process imports first stands in for them

_NO_X86 = """
import vitgate.observe.environment as environment
environment.check_imports = lambda: None
environment.describe = lambda: {"torch": "2.12.1", "engines": ["qnnpack", "fbgemm"]}
"""
_OTHER_TORCHVISION = 'raise RuntimeError("operator torchvision::nms does not exist")'


def test_missing_engine_is_machine_error(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_NO_X86, encoding="utf-8")
    test = "tests/conformance/test_build.py"
    done = run_pytest(test, "--case", "digits", "--engine", "x86", folder=tmp_path, PYTHONPATH=str(tmp_path))
    _is_one_clear_line(done, 6, "this PyTorch build has no engine 'x86'", "choose from qnnpack, fbgemm")


def test_mismatched_torchvision_is_machine_error(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(_OTHER_TORCHVISION, encoding="utf-8")
    test = "tests/conformance/test_build.py"
    done = run_pytest(test, *CELLS, "-n", "1", folder=tmp_path, PYTHONPATH=str(tmp_path))
    _is_one_clear_line(done, 6, "torchvision::nms does not exist", "install torch and torchvision together")


# Nothing is lost on the way to the record


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """Return a copy of the data files, without the deviations: in the made-up suite every claim holds."""
    copy = tmp_path / "fixtures"
    shutil.copytree(fixtures_folder(), copy)
    (copy / "deviations.toml").write_text("deviation = []\n", encoding="utf-8")
    return copy


@pytest.fixture
def suite(tmp_path: Path, fixtures: Path) -> Callable[..., Done]:
    """Return a function that runs the made-up suite, with other bodies or without tests for some claims."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "conftest.py").write_text('pytest_plugins = ("vitgate.plugin",)\n', encoding="utf-8")

    def run(
        *arguments: str, without: str = "", environment: Mapping[str, str] = MappingProxyType({}), **bodies: str
    ) -> Done:
        for claim in read_claims().values():
            path = tmp_path / "suite" / f"test_{claim.id}.py"
            if claim.id == without:
                path.unlink(missing_ok=True)
            else:
                path.write_text(_made_up_test(claim, bodies.get(claim.id, "pass")), encoding="utf-8")
        variables = {"VITGATE_FIXTURES": str(fixtures), **environment}
        return run_pytest("suite", *CELLS, *arguments, folder=tmp_path, cwd=tmp_path, **variables)

    return run


def _made_up_test(claim: Claim, body: str) -> str:
    subject = {"cell": "cell", "engine": "cell", "file": "item"}.get(claim.per, "")
    return f"import pytest\n\n@pytest.mark.claim({claim.id!r})\ndef test_{claim.id}({subject}):\n    {body}\n"


def test_whole_run_is_complete(suite: Callable[..., Done]) -> None:
    done = suite()
    assert (done.status, done.record.complete, done.record.missing) == (0, True, ()), done.text
    assert "fbgemm" in done.stdout
    assert " can carry the whole pipeline: every claim holds" in done.stdout


def test_report_is_written_beside_the_record_and_named(suite: Callable[..., Done], tmp_path: Path) -> None:
    done = suite("--report", "pages/report.html", label="assert 0, 'an injected fault'")
    page = (tmp_path / "pages" / "report.html").read_text(encoding="utf-8")
    assert done.status == 1 and "report: pages/report.html" in done.stdout, done.text
    assert "Claims failed</h1>" in page
    assert "an injected fault" in page


def test_report_on_full_disk_keeps_record(suite: Callable[..., Done], tmp_path: Path) -> None:
    body = "import pathlib; pathlib.Path('report.html').mkdir(exist_ok=True)"  # once the place has been looked at
    done = suite("--report", "report.html", label=body)
    assert done.status == 6 and "cannot write the report" in done.stdout and "--report" in done.stdout, done.text
    assert done.record.complete
    assert f"record: {done.record_file}" in done.stdout


def test_lost_test_fails_run(suite: Callable[..., Done]) -> None:
    done = suite(without="accuracy")
    missing = {f"accuracy[{cell}]" for cell in read_claims()["accuracy"].cells() if cell.engine == "fbgemm"}
    assert (done.status, set(done.record.missing)) == (1, missing), done.text
    assert "were not checked" in done.stdout


def test_narrowed_run_is_named_in_answer(suite: Callable[..., Done]) -> None:
    done = suite("-k", "label or size")
    assert (done.status, done.record.complete, done.record.missing) == (0, False, ()), done.text
    assert "narrowed run" in done.stdout


def test_skip_in_a_claims_test_is_a_failure(suite: Callable[..., Done]) -> None:
    done = suite(label='pytest.skip("not today")')
    assert {row.claim for row in done.record.claims if row.status == "failed"} == {"label"}
    assert done.status == 1 and "a claim is never skipped" in done.stdout, done.text


def test_skip_marker_of_a_claims_test_is_a_failure(suite: Callable[..., Done], tmp_path: Path) -> None:
    done = suite(label="pass\n\ntest_label = pytest.mark.skip(reason='not today')(test_label)")
    assert {row.claim for row in done.record.claims if row.status == "failed"} == {"label"}
    assert done.status == 1, done.text


def test_evidence_on_full_disk_is_not_judged(suite: Callable[..., Done]) -> None:
    done = suite(label='raise OSError(28, "No space left on device", "/evidence")')
    _is_one_clear_line(done, 6, "cannot write: No space left on device (/evidence): free disk space")


def test_expected_failure_by_marker_is_a_failure(suite: Callable[..., Done]) -> None:
    done = suite(label="assert 0\n\ntest_label = pytest.mark.xfail(reason='not today')(test_label)")
    assert {row.claim for row in done.record.claims if row.status == "failed"} == {"label"}
    assert done.status == 1, done.text


# The real suite on one cell, several times


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the artifact cache that the runs share."""
    return str(tmp_path_factory.mktemp("artifacts"))


def test_number_of_workers_changes_no_outcome(cache: str, tmp_path: Path) -> None:
    records = []
    for workers in ("0", "1", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        options = ("-n", workers, "-m", "not alone", "--artifact-cache", cache)
        done = run_pytest("tests/conformance", *CELLS, *options, folder=folder)
        assert done.status == 0, done.text
        records.append(done.record)
    first, *others = [_outcomes(record) for record in records]
    assert len(first) > 60
    assert all(other == first for other in others)


def _outcomes(record: Record) -> dict[str, object]:
    """Return what no machine, hour or number of workers may change."""
    claims = {row.name: (row.status, row.outcome_text, row.deviation, row.test) for row in record.claims}
    cells = {
        str((row.case, row.engine, row.variant)): (row.outcome_text, row.label, row.sqnr_db) for row in record.cells
    }
    return {**claims, **cells, "inputs": record.inputs, "missing": record.missing, "complete": record.complete}


def test_snapshot_update_writes_only_tables_of_the_run(cache: str, tmp_path: Path) -> None:
    copy = tmp_path / "fixtures"
    shutil.copytree(fixtures_folder(), copy)
    shutil.rmtree(copy / "tables", ignore_errors=True)
    (copy / "tables").mkdir()
    others = {name: f"{name} as it was" for name in ("digits-fbgemm.txt", "deit_base-qnnpack.txt", "notes.txt")}
    for name, text in others.items():
        (copy / "tables" / name).write_text(text, encoding="utf-8")
    done = run_pytest(
        "tests/conformance/test_table.py", "--case", "digits", "--engine", "qnnpack", "--snapshot-update",
        "--artifact-cache", cache, folder=tmp_path, VITGATE_FIXTURES=str(copy),
    )  # fmt: skip
    found = {path.name: path.read_text(encoding="utf-8") for path in (copy / "tables").iterdir()}
    table = parse(found.pop("digits-qnnpack.txt"))
    assert done.status == 0, done.text
    assert found == others
    assert (table.about["engine"], len(table.lines)) == ("qnnpack", 6)
    assert not list((ROOT / "tests" / "conformance").glob("__snapshots__"))


# What a CI reads


def test_junit_xml_has_claims_as_properties(suite: Callable[..., Done], tmp_path: Path) -> None:
    xml = tmp_path / "junit.xml"
    done = suite("-n", "1", f"--junitxml={xml}", label="assert 0")
    (root,) = ElementTree.fromstring(xml.read_text(encoding="utf-8"))  # noqa: S314  # pytest's own, just written
    (case,) = root.findall("testcase[@name='test_label[digits-fbgemm-lite]']")
    shown = {each.get("name"): each.get("value") for each in case.iter("property")}
    expected = {"claim": "label", "case": "digits", "engine": "fbgemm", "variant": "lite", "status": "failed"}
    assert done.status == 1 and shown.items() >= expected.items(), done.text
    about = {each.get("name"): each.get("value") for each in root.findall("properties/property")}
    assert {"torch", "cases", "engines"} <= set(about)
    assert about["engines"] == "fbgemm"
    assert "vitgate_row" not in xml.read_text(encoding="utf-8")
    assert "findings" not in xml.read_text(encoding="utf-8")


def test_github_annotates_each_failed_claim(suite: Callable[..., Done], fixtures: Path, tmp_path: Path) -> None:
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    done = suite("-n", "0", environment=variables, label="assert 0, 'a, b: 100%'")
    claims = (fixtures / "claims.toml").read_text(encoding="utf-8").splitlines()
    lines = [line for line in done.stdout.splitlines() if line.startswith("::error ")]
    assert len(lines) == sum(row.status == "failed" for row in done.record.claims) > 0
    number = claims.index('id = "label"') + 1
    place = f"file=fixtures/claims.toml,line={number},title=vitgate%3A label[digits-fbgemm-lite]"
    assert f"::error {place}::a, b: 100%25 assert 0" in lines


def test_colours_follow_color_option_and_no_color(suite: Callable[..., Done]) -> None:
    assert "\x1b[" not in suite("-n", "0", "--color=no").text
    assert "\x1b[" not in suite("-n", "0", environment={"NO_COLOR": "1"}).text
    assert "\x1b[" in suite("-n", "0", "--color=yes", environment={"NO_COLOR": "1"}).text
