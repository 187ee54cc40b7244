"""Where a disk is full or write-protected: one clear line, nothing lost, and once there is room the same call works.

The disk is a real one, of 4 MB. What is full in the middle of a step is tested with that step too; here it is every
place into which something is written, but for downloads and environments, which have tests of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file as save_arrays

from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest_of
from vitgate.files.locks import MachineLock
from vitgate.files.outputs import check_target
from vitgate.observe.artifacts import artifact
from vitgate.observe.inputs import golden
from vitgate.observe.observer import LocalObserver
from vitgate.observe.remote import RemoteObserver
from vitgate.observe.store import Store
from vitgate.pipeline import weights_file
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.records.record import read_record, Record
from vitgate.report.field_export import export
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence
from vitgate.spec.run_config import RunConfig
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.record_cache import answered, Means, Place
from vitgate.upgrade.requirements import Side
from vitgate.upgrade.runs import Request

from ..disk import SmallDisk
from ..upgrade.fake_gate import Fake, order, run

CELL = CellId("digits", "qnnpack", "scripted")
TOO_LARGE = 8 << 20  # bytes; more than the disk has


@pytest.fixture(params=["full", "protected"])
def no_room(request: pytest.FixtureRequest, small_disk: SmallDisk) -> Callable[[], None]:
    """Return a helper that leaves the disk without room to write, in either way."""
    return small_disk.fill if request.param == "full" else small_disk.protect


def stopped(call: Callable[[], object], *words: object) -> None:
    """Expect a MachineError of one line that has all these words in it."""
    with pytest.raises(MachineError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and [word for word in words if str(word) not in text] == [], text


# ---- a run


def observer_of(plan: RunConfig, make: Callable[[], Evidence]) -> LocalObserver:
    """Return an observer that makes `golden` with this."""
    return LocalObserver(plan, {golden.kind: lambda _: make()})


def test_artifact_on_full_disk_leaves_no_partial_file(small_disk: SmallDisk, plan: Callable[..., RunConfig]) -> None:
    folder, size = small_disk.folder / "artifacts", [TOO_LARGE]
    cache = ArtifactCache(folder)
    earlier = cache.get("a", "m.pt", lambda path: path.write_bytes(b"model"))  # type: ignore[arg-type, return-value]

    def make() -> Evidence:
        return Evidence({"path": cache.get("b", "m.pt", lambda path: _write(path, size[0])).path})

    observer = observer_of(plan(artifact_cache=str(folder)), make)

    stopped(lambda: observer.get(golden), "No space left", "free disk space")
    size[0] = 1000
    made = observer.get(golden)

    assert Path(made.values["path"]).stat().st_size == 1000
    assert digest_of(Path(earlier.path)) == earlier.digest
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "locks"]


def _write(path: Path, size: int) -> None:
    path.write_bytes(b"\0" * size)


def test_evidence_on_full_disk_is_remade_later(small_disk: SmallDisk, plan: Callable[..., RunConfig]) -> None:
    size = [TOO_LARGE]
    asked = plan(session=str(small_disk.folder), artifact_cache=str(small_disk.folder / "artifacts"))
    observer = observer_of(asked, lambda: Evidence(arrays={"x": np.zeros(size[0], np.uint8)}))

    stopped(lambda: observer.get(golden), "No space left", "free disk space")
    size[0] = 3

    assert len(observer.get(golden).arrays["x"]) == 3


def test_weights_on_full_disk_are_machine_error(
    small_disk: SmallDisk, plan: Callable[..., RunConfig], tmp_path: Path
) -> None:
    def make() -> Evidence:
        path = small_disk.folder / "weights.safetensors"
        with weights_file.system_errors(path):
            save_arrays({"x": np.zeros(TOO_LARGE, np.uint8)}, path)
        return Evidence()

    stopped(lambda: observer_of(plan(), make).get(golden), "No space left", small_disk.folder)


def test_process_killed_on_full_disk_is_machine_error(small_disk: SmallDisk, plan: Callable[..., RunConfig]) -> None:
    """torch ends the whole process where it cannot write the end of a file."""
    observer = RemoteObserver(plan(artifact_cache=str(small_disk.folder)), MachineLock(small_disk.folder))

    stopped(lambda: observer._crashed(artifact, "digits-scripted"), "the disk is full", small_disk.folder)


def test_process_killed_with_free_space_is_failure(plan: Callable[..., RunConfig], tmp_path: Path) -> None:
    outcome = RemoteObserver(plan(artifact_cache=str(tmp_path)), MachineLock(tmp_path))._crashed(artifact, "x").outcome

    assert outcome is not None
    assert (str(outcome), outcome.error) == ("failed at run", "ProcessDied")


# ---- what a run leaves


def test_record_on_full_disk_keeps_previous_record(
    small_disk: SmallDisk, no_room: Callable[[], None], record: Callable[..., Record]
) -> None:
    path = small_disk.folder / "record.json"
    record(created="earlier").write(path)
    no_room()

    stopped(lambda: record(created="later").write(path), "cannot write the record", path, "--record")

    assert read_record(path).created == "earlier"
    assert [name.name for name in small_disk.folder.glob(".*")] == []


def test_record_is_written_after_space_is_freed(small_disk: SmallDisk, record: Callable[..., Record]) -> None:
    path = small_disk.folder / "record.json"
    small_disk.fill()
    stopped(lambda: record().write(path), path)

    small_disk.clear()
    record().write(path)

    assert read_record(path) == record()


def test_unwritable_record_path_is_reported_before_run(small_disk: SmallDisk) -> None:
    small_disk.protect()

    stopped(
        lambda: check_target(str(small_disk.folder / "record.json"), "--record", what="record"),
        "cannot write the record",
        "--record",
    )
    stopped(lambda: check_target(str(small_disk.folder), "--record", what="record"), "Is a directory")


def test_export_on_full_disk_keeps_previous_export(
    small_disk: SmallDisk, no_room: Callable[[], None], plan: Callable[..., RunConfig], tmp_path: Path
) -> None:
    store, folder = Store(tmp_path / "evidence"), small_disk.folder / "out"
    export(plan(), store, folder, packed=False)
    earlier = {path.name: path.read_bytes() for path in folder.iterdir()}
    store.get("pictures", "digits", lambda: Evidence(arrays={"x": np.random.default_rng(0).random((9, 100, 100))}))
    store.get("outputs", "digits-original", lambda: Evidence(arrays={"logits": np.zeros((9, 10))}))
    no_room()

    stopped(lambda: export(plan(), store, folder, packed=False), "cannot export", folder, "--export")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == earlier
    assert [path.name for path in small_disk.folder.iterdir() if path.name not in ("out", "filler")] == []


# ---- the gate


def test_full_keep_folder_is_unchanged_and_gate_resumes(
    small_disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(tmp_path / "cache")
    fake.install(monkeypatch)
    (small_disk.folder / "new.json").write_text("earlier", encoding="utf-8")
    small_disk.fill(leave=8192)
    asked = order(fake.cache, keep=small_disk.folder)

    stopped(lambda: run(asked), "cannot keep the records: No space left", small_disk.folder, "--keep")
    assert (small_disk.folder / "new.json").read_text(encoding="utf-8") == "earlier"
    small_disk.clear()
    verdict = run(asked)

    assert fake.steps() == ["old", "new", "crossing", "latency"]  # none of them twice
    assert verdict.exit_status == 1
    assert read_record(small_disk.folder / "new.json").claims


def test_write_protected_keep_folder_is_reported_first(
    small_disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(tmp_path / "cache")
    fake.install(monkeypatch)
    small_disk.protect()

    stopped(lambda: run(order(fake.cache, keep=small_disk.folder)), "cannot keep the records", "--keep")

    assert fake.steps() == []


def test_full_cache_stops_gate_which_resumes_later(small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(small_disk.folder)
    fake.install(monkeypatch)
    small_disk.fill(leave=64 << 10)  # the steps' list finds room, a record of 200 kB does not

    stopped(lambda: run(order(fake.cache)), "No space left")
    small_disk.clear()

    assert run(order(fake.cache)).exit_status == 1


def test_full_records_folder_gives_one_line_error(
    small_disk: SmallDisk, no_room: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment("2.12.1", Path(sys.executable), "2.12.1", {}, tmp_path, True, 0, None)
    monkeypatch.setattr(Means, "environment", lambda *_: environment)
    place, suite = Place(small_disk.folder, "2.12.1"), tmp_path / "suite"
    (suite / "vitgate").mkdir(parents=True)
    (suite / "pytest.py").write_text("print('x' * 100_000)", encoding="utf-8")
    no_room()

    def ask() -> object:
        return answered(Side("2.12.1"), Request(), Means(tmp_path), suite, place, Steps(lambda line: None))

    stopped(ask, "cannot keep the record", "--records")
