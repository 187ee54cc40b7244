"""The gate: its four steps, what they are told, and what they leave become one verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.files.errors import MachineError
from vitgate.upgrade import gate as module
from vitgate.upgrade.gate import disk_line
from vitgate.upgrade.interpreters import Environment

from . import fake_gate
from .fake_gate import Fake, order, run, STEPS


def test_four_steps_make_one_verdict(fake: Fake) -> None:
    said: list[Any] = []

    verdict = run(order(fake.cache), said)

    assert fake.steps() == STEPS
    assert verdict.exit_status == 1
    crossed = {(item.row.maker, item.row.runner, item.row.variant): item for item in verdict.matrix}
    assert crossed["2.12.1", "2.15.0", "lite"].word == "regressed"
    assert crossed["2.12.1", "2.15.0", "lite"].cause == "xnnpack-gone-lite-files"
    assert crossed["2.12.1", "2.15.0", "lite_frozen"].word == crossed["2.15.0", "2.12.1", "lite_frozen"].word == "same"
    assert crossed["2.15.0", "2.12.1", "lite_frozen"].row.sqnr_db == 120.0
    assert ("2.15.0", "2.12.1", "lite") not in crossed
    assert [(item.row.variant, item.word) for item in verdict.latency] == [
        ("scripted_quantized", "same"),
        ("lite_frozen", "same"),
    ]
    assert said == [
        "old: the conformance suite on PyTorch 2.12.1",
        "new: the conformance suite on PyTorch 2.15.0",
        "crossing: the conformance suite on PyTorch 2.12.1",
        "latency: digits on qnnpack, pairs of processes",
    ]


def test_time_on_an_emulated_processor_is_not_compared(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fake_gate._record

    def emulated(torch: str) -> Any:
        record = real(torch)
        return record.model_copy(
            update={"environment": record.environment.model_copy(update={"cpu": "emulated aarch64"})}
        )

    monkeypatch.setattr(fake_gate, "_record", emulated)
    verdict = run(order(fake.cache))

    assert fake.steps() == ["old", "new", "crossing"]
    assert {(item.word, item.red) for item in verdict.latency} == {("not comparable", False)}
    assert "emulated aarch64 says nothing of the time" in verdict.latency[0].row.note


def test_latency_can_be_left_out(fake: Fake) -> None:
    assert run(order(fake.cache, latency=False)).latency == ()
    assert fake.steps() == STEPS[:3]


def test_empty_export_of_new_version_skips_crossing(fake: Fake) -> None:
    fake.nothing = "2.15.0"

    verdict = run(order(fake.cache))

    assert fake.steps() == ["old", "new", "latency"]
    assert verdict.exit_status == 1
    assert {(item.row.maker, item.row.runner) for item in verdict.matrix if item.row.sqnr_db} == {("2.12.1", "2.15.0")}


def test_empty_export_of_old_version_still_compares_records(fake: Fake) -> None:
    fake.nothing = "2.12.1"

    verdict = run(order(fake.cache))

    assert verdict.exit_status == 1
    assert verdict.latency == ()


@pytest.mark.parametrize("new", ["2.12.1", "2.12.1+cpu"])
def test_version_against_itself_may_upgrade(fake: Fake, new: str) -> None:
    verdict = run(order(fake.cache, new=new))

    assert verdict.exit_status == 0, verdict.answer
    assert fake.steps() == ["old", "new", "latency"]
    assert {item.word for item in verdict.matrix} == {"same"}


def test_user_file_that_no_longer_loads_is_regression_with_advice(fake: Fake, own: Path) -> None:
    verdict = run(order(fake.cache, field=(str(own),)))

    (row,) = [row for row in verdict.rows if row.name == "artifacts[own-phone-lite.ptl]"]
    assert row.new is not None
    assert (row.word, row.red, row.new.outcome_text) == ("regressed", True, "failed at load")
    (cause,) = [cause for cause in verdict.causes if row.name in cause.rows]
    assert cause.id == "failed at load like xnnpack-gone-lite-files"
    assert cause.advice
    assert any(row.name in cause.rows for cause in verdict.causes)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of one labelled picture."""
    (tmp_path / "pictures" / "3").mkdir(parents=True)
    (tmp_path / "pictures" / "3" / "a.png").touch()
    return tmp_path / "pictures"


def test_user_pictures_are_checked_on_both_sides_and_not_in_crossing(
    fake: Fake, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, real = {}, module.run_suite  # type: ignore[attr-defined]  # the fake's

    def run_suite(environment: Any, suite: Any, request: Any, log: Any, progress: Any) -> Any:
        said = (text for text in request.arguments() if not text.startswith(("--export", "--field", "--record")))
        told[Path(request.record).stem] = (*said,)
        return real(environment, suite, request, log, progress)

    monkeypatch.setattr(module, "run_suite", run_suite)
    run(order(fake.cache, images=str(pictures), images_accuracy=0.8))

    common = ("-n", "auto", "--case=digits", "--engine=qnnpack")
    own = (*common, "--no-latency", f"--images={pictures}", "--images-accuracy=0.8")
    assert told == {"old": own, "new": own, "crossing": (*common, "--claim=artifacts")}


def test_added_picture_restarts_gate(fake: Fake, pictures: Path) -> None:
    fake.fail = "new"
    for _ in range(2):
        with pytest.raises(MachineError):
            run(order(fake.cache, images=str(pictures)))
    assert fake.steps() == ["old", "new", "new"]
    (pictures / "3" / "b.png").touch()
    with pytest.raises(MachineError):
        run(order(fake.cache, images=str(pictures)))
    assert fake.steps() == ["old", "new", "new", "old", "new"]


def test_records_and_logs_are_kept_in_given_folder(fake: Fake, tmp_path: Path) -> None:
    run(order(fake.cache, keep=tmp_path / "a" / "kept"))

    assert sorted(path.name for path in (tmp_path / "a" / "kept").iterdir()) == [
        *("crossing.json", "crossing.log", "latency.json", "new.json", "new.log", "old.json", "old.log")
    ]


def test_unwritable_keep_folder_is_reported_first(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match="cannot keep the records: .*--keep"):
        run(order(fake.cache, keep=tmp_path / "file" / "kept"))

    assert fake.steps() == []


def test_full_disk_gives_one_line_error(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **keywords: Any) -> None:
        raise OSError(28, "No space left on device", str(fake.cache / "x"))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(MachineError, match="No space left on device") as caught:
        run(order(fake.cache))

    assert "\n" not in str(caught.value)
    assert "free disk space" in str(caught.value)


def test_disk_usage_counts_only_own_environments(tmp_path: Path) -> None:
    theirs = Environment("a", Path("python"), "2.12.1", {}, tmp_path, True, 0, None)
    ours = Environment("b", Path("python"), "2.12.1", {}, tmp_path, True, 0, tmp_path / "lock")

    assert disk_line([theirs, theirs]) == ""
    assert "GB on disk" in disk_line([theirs, ours])
