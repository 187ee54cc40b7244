"""The gate and the suite's bookkeeping find what is wrong with records, upgrades, latencies and tests, and no more.

The catalogues are in `gate_faults`.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.cli import main
from vitgate.compare.acceptance import Acceptances
from vitgate.compare.pairing import names_of, PairedLatency
from vitgate.compare.verdict import compare, Verdict
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record, Record
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import NO_ENGINE
from vitgate.upgrade import gate
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.record_cache import Place
from vitgate.upgrade.requirements import Side
from vitgate.upgrade.runs import Request, run_suite

from .gate_faults import lost, upgrades
from .gate_faults.lost import LOST, Lost
from .gate_faults.parts import PARTS, Parts, parts
from .gate_faults.records import Edit, EDITS, release
from .gate_faults.slowdowns import compared, Machine, SLOWDOWNS
from .gate_faults.upgrades import TODAY, Upgrade, WORSE, Worse
from .processes import Done, run_pytest

BASE = upgrades.OLD


# Records


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a helper that runs a command of `vitgate`, and gives its exit status and what a user sees."""

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound record."""
    path = tmp_path_factory.mktemp("records") / "clean.json"
    release(BASE).write(path)
    return path


def test_sound_records_may_upgrade(command: Callable[..., tuple[int, str]], clean: Path) -> None:
    status, text = command("compare", clean, clean)
    assert status == 0 and "may upgrade; every claim holds as before" in " ".join(text.split()), text


@pytest.mark.parametrize("fault", [each for each in EDITS if each.says], ids=lambda fault: fault.id)
def test_edited_record_is_refused(
    fault: Edit, command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "edited.json"
    edited.write_text(fault.text(release(BASE)), encoding="utf-8")
    for pair in ((clean, edited), (edited, clean)):
        status, text = command("compare", *pair)
        assert (status, text.count("\n")) == (4, 1), f"{fault.what} {text}"
        assert [word for word in fault.says if word not in text] == [], f"{fault.what} {text}"


@pytest.mark.parametrize("fault", [each for each in EDITS if each.red], ids=lambda fault: fault.id)
def test_incomplete_record_is_red(
    fault: Edit, command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    edited, answer = tmp_path / "edited.json", tmp_path / "verdict.json"
    edited.write_text(fault.text(release(BASE)), encoding="utf-8")
    status, text = command("compare", clean, edited, "--json", answer)
    assert (status, red(Verdict.model_validate_json(answer.read_text()))) == (1, set(fault.red)), text


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_truncated_record_is_refused(
    share: float, command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    text = clean.read_text(encoding="utf-8")
    (tmp_path / "cut.json").write_text(text[: int(len(text) * share)], encoding="utf-8")
    status, text = command("compare", clean, tmp_path / "cut.json")
    assert status == 4
    assert "not a readable record" in text
    assert text.count("\n") == 1


def test_whitespace_and_key_order_in_record_do_not_matter(
    command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    data = json.loads(clean.read_text(encoding="utf-8"))
    (tmp_path / "other.json").write_text(json.dumps(dict(reversed(data.items()))), encoding="utf-8")
    assert command("compare", clean, tmp_path / "other.json")[0] == 0


def _merged(
    records: list[Record], command: Callable[..., tuple[int, str]], folder: Path
) -> tuple[int, str, Record | None]:
    paths = [folder / f"{number}.json" for number in range(len(records))]
    for path, record in zip(paths, records, strict=True):
        record.write(path)
    status, text = command("merge", *paths, "-o", folder / "merged.json")
    return status, text, read_record(folder / "merged.json") if (folder / "merged.json").exists() else None


def test_shards_of_one_run_merge_into_complete_record(
    command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = {row.claim for part in parts() for row in part.claims}  # claims that were added since are not its matter
    claims = {name: claim for name, claim in read_claims().items() if name in then}
    for module in ("spec.claims", "records.merge", "inputs.run_options"):
        monkeypatch.setattr(f"vitgate.{module}.read_claims", lambda: claims)
    status, text, record = _merged(parts(), command, tmp_path)
    assert status == 0 and record is not None and record.complete, text


@pytest.mark.parametrize("fault", PARTS, ids=lambda fault: fault.id)
def test_incomplete_shards_do_not_pass_for_complete_run(
    fault: Parts, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    status, text, record = _merged(fault.change(parts()), command, tmp_path)
    assert status == (4 if fault.refused else 0) and fault.says in text, f"{fault.what} {text}"
    assert record is None if fault.refused else record is not None and not record.complete


# Verdicts


def verdict_of(upgrade: Upgrade) -> Verdict:
    """Judge it as the gate does."""
    new = upgrade.with_crossing()
    matrix = list(gate._matrix(new, [upgrades.crossing_file()], *names_of(upgrade.old, new)))
    latency = [gate._paired_row("digits", "fbgemm", "lite_frozen", row) for row in upgrade.latency]
    accepted = Acceptances(tuple(upgrade.accepted), TODAY)
    return compare(upgrade.old, new, matrix=matrix, latency=latency, accepted=accepted)


def red(verdict: Verdict) -> set[str]:
    """Return the names of everything that stands in the way."""
    return {item.name for item in (*verdict.rows, *verdict.matrix, *verdict.latency) if item.red}


def test_equal_runs_may_upgrade() -> None:
    verdict = verdict_of(Upgrade())
    assert (red(verdict), verdict.exit_status) == (set(), 0), verdict.answer
    assert upgrades.CROSSING in {item.name for item in verdict.matrix}


@pytest.mark.parametrize("fault", WORSE, ids=lambda fault: fault.id)
def test_worse_run_is_red(fault: Worse) -> None:
    upgrade = Upgrade()
    fault.inject(upgrade)
    verdict = verdict_of(upgrade)
    assert (red(verdict), verdict.exit_status) == (set(fault.reds), fault.status), f"{fault.what} {verdict.answer}"
    said = " ".join([verdict.answer, *(f"{cause.id}: {cause.says}" for cause in verdict.causes)])
    assert fault.says in said, said


@pytest.mark.parametrize("versions", [("1.13.1", "2.2.2"), ("2.2.2", "2.6.0"), ("2.6.0", "2.9.1"), ("2.9.1", "2.12.1")])
def test_sound_releases_stay_within_growth_bounds(versions: tuple[str, str]) -> None:
    old, new = (release(version).model_copy(update={"inputs": release(BASE).inputs}) for version in versions)
    for verdict in (compare(old, new), compare(new, old)):
        assert [row.name for row in verdict.rows if row.note] == []


def test_accepted_row_covers_its_growth() -> None:
    upgrade = Upgrade()
    upgrade.number(upgrades.SIZE, "size", lambda size: 1.2 * size)
    upgrade.accept(upgrades.SIZE)
    assert verdict_of(upgrade).exit_status == 0


def test_reverted_growth_is_fixed_and_holds_better() -> None:
    upgrade = Upgrade()
    upgrade.number(upgrades.SIZE, "size", lambda size: size / 1.2)
    verdict = verdict_of(upgrade)
    assert Counter(row.word for row in verdict.rows)["fixed"] == 1
    assert verdict.exit_status == 0
    assert "1 claim holds better than before" in verdict.answer


def test_matrix_of_other_releases_is_refused() -> None:
    upgrade = Upgrade()
    new = upgrade.with_crossing()
    matrix = list(gate._matrix(new, [upgrades.crossing_file()], *names_of(upgrade.old, new)))
    with pytest.raises(UsageError, match="is about other versions"):
        compare(upgrade.old, release("2.15.0"), matrix=matrix)


# Runs that did not end well, and what they left


_RUN = """
import json, os, signal, sys
told = json.loads(open(os.path.join(os.path.dirname(__file__), "told.json")).read())
record = next(text.partition("=")[2] for text in sys.argv if text.startswith("--record="))
open(record, "w").write(told["record"]) if told["record"] else None
os.kill(os.getpid(), signal.SIGKILL) if told["killed"] else sys.exit(told["status"])
"""


@pytest.mark.parametrize(
    ("share", "status", "killed", "words"),
    [
        (0.0, 0, True, "was ended by SIGKILL"),
        (0.5, 0, True, "was ended by SIGKILL"),
        (1.0, 2, False, "ended with status 2"),
        (0.0, 0, False, "left no record"),
        (0.5, 1, False, "not a readable record"),
    ],
    ids=["killed", "killed while writing", "interrupted", "no record", "half a record"],
)
def test_crashed_run_is_an_error_despite_earlier_record(
    share: float, status: int, killed: bool, words: str, clean: Path, tmp_path: Path
) -> None:
    text = clean.read_text(encoding="utf-8")
    (tmp_path / "pytest.py").write_text(_RUN, encoding="utf-8")
    (tmp_path / "vitgate").symlink_to(Path(sys.modules["vitgate"].__file__ or "").parent)
    told = {"record": text[: int(len(text) * share)], "status": status, "killed": killed}
    (tmp_path / "told.json").write_text(json.dumps(told), encoding="utf-8")
    record, log = tmp_path / "gate" / "new.json", tmp_path / "gate" / "new.log"
    record.parent.mkdir()
    shutil.copyfile(clean, record)  # of an earlier run, which must not stand for this one
    environment = Environment("NEW", Path(sys.executable), "2.13.0", {}, tmp_path, True, 0, None)
    with pytest.raises((MachineError, UsageError), match=words):
        run_suite(environment, tmp_path, Request(record=str(record)), log)


@pytest.mark.parametrize("other", ["suite", "engine", "file"])
def test_gate_key_changes_with_inputs_of_comparison(other: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    order = gate.Order(Side("2.12.1"), Side("2.13.0"), Request(weights=str(weights)), tmp_path)
    old, new = (
        Environment(side.name, Path(sys.executable), side.name, {}, tmp_path, True, 0, None)
        for side in (order.old, order.new)
    )
    first = gate._key(order, old, new, Path("suites/one"))
    assert first == gate._key(order, old, new, Path("suites/one"))
    if other == "file":
        weights.write_bytes(b"another")
    if other == "engine":
        order = replace(order, request=replace(order.request, engine=("x86",)))
    assert first != gate._key(order, old, new, Path("suites/two" if other == "suite" else "suites/one"))


def test_cached_record_is_found_by_its_own_key_and_unedited_only(tmp_path: Path) -> None:
    place = Place(tmp_path, "2.12.1")
    place.keep(release(BASE), "suite one")
    assert place.find("suite one") == release(BASE)
    assert place.find("suite two") is None
    place.record.write_text(place.record.read_text().replace('"cores":', '"cores": '), encoding="utf-8")
    assert place.find("suite one") is None


# Latency


def rate(machine: Machine, comparisons: int) -> float:
    """Return the share of comparisons that say regressed."""
    rng = random.Random(4)
    return sum(compared(machine, rng).word == "regressed" for _ in range(comparisons)) / comparisons


@pytest.mark.parametrize("name", SLOWDOWNS)
def test_slowdown_is_found(name: str) -> None:
    assert rate(SLOWDOWNS[name], 60) >= 0.95


def test_eight_percent_slowdown_is_found_in_95_percent_of_comparisons() -> None:
    assert rate(Machine(cpu=1.08), 400) >= 0.95


def test_equal_latencies_are_never_regressed() -> None:
    assert rate(Machine(), 2000) == 0.0


@pytest.mark.parametrize("name", SLOWDOWNS)
def test_slowdown_turns_verdict_red_with_reason(name: str) -> None:
    upgrade = Upgrade()
    upgrade.latency = [compared(SLOWDOWNS[name], random.Random(1))]
    verdict = verdict_of(upgrade)
    assert red(verdict) == {"paired_latency[digits-fbgemm-lite_frozen]"}
    assert verdict.exit_status == 1
    words = {
        "sleeping": "time asleep (sleeps, locks, I/O) grew by",
        "one more thread": "more threads",
        "slow in the first calls only": "CPU time of the first calls grew",
        "slow in loading only": "CPU time of loading grew",
    }
    assert words.get(name, "times the latency") in verdict.causes[0].says
    row: PairedLatency = verdict.latency[0].row
    assert row.first is not None
    assert row.load is not None


# Tests that no longer check what they say: one run of a made-up suite with all of them


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


# The catalogues


def test_faults_are_named_once_and_described() -> None:
    faults: list[Any] = [*EDITS, *PARTS, *WORSE]
    ids = [fault.id for fault in (*faults, *LOST)] + list(SLOWDOWNS)
    assert len(ids) == len(set(ids))
    assert [fault.id for fault in faults if not fault.what] == []
