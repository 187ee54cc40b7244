"""Tests that no longer check what they say are found: one run of a made-up suite has all of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from vitgate.compare.verdict import compare
from vitgate.files.schemas import fixtures_folder
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import NO_ENGINE

from .gate_faults import lost
from .gate_faults.lost import LOST, Lost
from .processes import Done, run_pytest


@dataclass(frozen=True)
class Suite:
    """A made-up suite without any work, whose tests carry the claims' markers."""

    folder: Path

    def write(self, claim: str, text: str | None) -> None:
        """Put a test there, or take it away."""
        path = self.folder / "suite" / f"test_{claim}.py"
        path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> Done:
        """Run it under one engine."""
        folder = self.folder / f"run-{len(list(self.folder.glob('run-*')))}"
        folder.mkdir()
        options = ("--case", "digits", "--engine", "fbgemm", *arguments)
        fixtures = str(self.folder / "fixtures")
        places = ("--rootdir", str(self.folder))  # wherever the temporary folder lies
        return run_pytest("suite", *places, *options, folder=folder, cwd=self.folder, VITGATE_FIXTURES=fixtures)


def _suite(folder: Path, conftest: str = "") -> Suite:
    made = Suite(folder)
    (folder / "suite").mkdir()
    (folder / "conftest.py").write_text(f'{conftest}\npytest_plugins = ("vitgate.plugin",)\n', encoding="utf-8")
    shutil.copytree(fixtures_folder(), folder / "fixtures")
    (folder / "fixtures" / "deviations.toml").write_text("deviation = []\n", encoding="utf-8")
    for claim in read_claims():
        made.write(claim, lost.sound(claim))
    return made


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return _suite(tmp_path)


@pytest.fixture(scope="module")
def lost_run(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Return the run of a suite in which every fault of the catalogue is injected, each into a claim of its own."""
    made = _suite(tmp_path_factory.mktemp("lost"), lost.OTHER_PLUGIN)
    for fault in LOST:
        made.write(fault.claim, fault.text(lost.sound(fault.claim)))
    return made.run()


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: fault.id)
def test_vacuous_test_is_found(fault: Lost, lost_run: Done) -> None:
    record = lost_run.record
    statuses = {row.status for row in record.claims if row.claim == fault.claim}
    missing = lost.names_of(fault.claim, record.missing)
    assert (statuses, bool(missing)) == (({"failed"}, False) if fault.failed else (set(), True)), lost_run.text


def test_vacuous_tests_fail_run_and_no_other_claim(lost_run: Done) -> None:
    record = lost_run.record
    faulty = [fault.claim for fault in LOST]
    assert len(faulty) == len(set(faulty))
    asked_for = {claim.id for claim in read_claims().values() if claim.option or claim.engines == (NO_ENGINE,)}
    elsewhere = {"artifacts", "inputs", "image_processor"}  # of files of the user's, and of a case that is no default
    assert set(faulty) | elsewhere | asked_for == set(read_claims())
    assert (lost_run.status, record.complete) == (1, False), lost_run.text
    assert not [row.name for row in record.claims if row.status != "failed"]


@pytest.mark.parametrize(
    "arguments",
    [("-m", "not alone"), ("suite/test_size.py",)],
    ids=["marker", "path"],
)
def test_deselected_tests_leave_run_incomplete(arguments: tuple[str, ...], suite: Suite) -> None:
    done = suite.run(*arguments)
    assert (done.status, done.record.complete) == (0, False), done.text
    assert "narrowed run" in done.stdout


def test_ignored_file_leaves_claims_missing(suite: Suite) -> None:
    done = suite.run("--ignore", "suite/test_label.py")
    assert (done.status, done.record.complete) == (1, False), done.text
    assert {name.partition("[")[0] for name in done.record.missing} == {"label"}


def test_narrowed_new_run_fails_comparison(suite: Suite) -> None:
    whole, narrowed = suite.run(), suite.run("--deselect", "suite/test_label.py")
    assert (whole.status, whole.record.complete) == (0, True), whole.text
    assert (narrowed.status, narrowed.record.complete) == (0, False), narrowed.text
    verdict = compare(whole.record, narrowed.record)
    assert verdict.exit_status == 1
    assert {row.claim for row in verdict.rows if row.red} == {"label"}


@pytest.mark.parametrize("marker", ["'lable'", ""], ids=["unknown", "none"])
def test_marker_of_unknown_claim_is_usage_error(marker: str, suite: Suite) -> None:
    suite.write("label", lost.sound("label").replace("'label'", marker))
    done = suite.run()
    assert done.status not in (0, 1) and not done.record_file.exists(), done.text
    assert "fixtures/claims.toml" in done.text
    assert "INTERNALERROR" not in done.text


@pytest.mark.parametrize("workers", ["1", "2"])
def test_crashed_worker_fails_run_with_its_claim_missing(workers: str, suite: Suite) -> None:
    body = "    import os\n    if cell.variant == 'lite':\n        os._exit(3)"
    suite.write("label", lost.sound("label").replace("    pass", body))
    done = suite.run("-n", workers)
    assert done.status == 1 and not done.record.complete, done.text
    assert done.record.missing == ("label[digits-fbgemm-lite]",), done.text


def test_removed_field_files_are_missing(suite: Suite) -> None:
    shutil.rmtree(suite.folder / "fixtures" / "field")
    done = suite.run()
    assert (done.status, done.record.missing) == (1, ("field",)), done.text
