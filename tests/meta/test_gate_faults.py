"""Records that were edited, cut or are not of a whole run are found, and runs that did not end well.

The catalogues are in `gate_faults`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.cli import main
from vitgate.compare.verdict import Verdict
from vitgate.files.errors import MachineError, UsageError
from vitgate.records.record import read_record, Record
from vitgate.spec.claims import read_claims
from vitgate.upgrade import gate
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.record_cache import Place
from vitgate.upgrade.requirements import Side
from vitgate.upgrade.runs import Request, run_suite

from .gate_faults.lost import LOST
from .gate_faults.parts import PARTS, Parts, parts
from .gate_faults.records import Edit, EDITS, release
from .gate_faults.slowdowns import SLOWDOWNS
from .gate_faults.upgrades import OLD, red, WORSE

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
    release(OLD).write(path)
    return path


def test_sound_records_may_upgrade(command: Callable[..., tuple[int, str]], clean: Path) -> None:
    status, text = command("compare", clean, clean)
    assert status == 0 and "may upgrade; every claim holds as before" in " ".join(text.split()), text


@pytest.mark.parametrize("fault", [each for each in EDITS if each.says], ids=lambda fault: fault.id)
def test_edited_record_is_refused(
    fault: Edit, command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "edited.json"
    edited.write_text(fault.text(release(OLD)), encoding="utf-8")
    for pair in ((clean, edited), (edited, clean)):
        status, text = command("compare", *pair)
        assert (status, text.count("\n")) == (4, 1), f"{fault.what} {text}"
        assert [word for word in fault.says if word not in text] == [], f"{fault.what} {text}"


@pytest.mark.parametrize("fault", [each for each in EDITS if each.red], ids=lambda fault: fault.id)
def test_incomplete_record_is_red(
    fault: Edit, command: Callable[..., tuple[int, str]], clean: Path, tmp_path: Path
) -> None:
    edited, answer = tmp_path / "edited.json", tmp_path / "verdict.json"
    edited.write_text(fault.text(release(OLD)), encoding="utf-8")
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
    place.keep(release(OLD), "suite one")
    assert place.find("suite one") == release(OLD)
    assert place.find("suite two") is None
    place.record.write_text(place.record.read_text().replace('"cores":', '"cores": '), encoding="utf-8")
    assert place.find("suite one") is None


# The catalogues


def test_faults_are_named_once_and_described() -> None:
    faults: list[Any] = [*EDITS, *PARTS, *WORSE]
    ids = [fault.id for fault in (*faults, *LOST)] + list(SLOWDOWNS)
    assert len(ids) == len(set(ids))
    assert [fault.id for fault in faults if not fault.what] == []
