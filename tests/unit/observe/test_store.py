"""Evidence is made once, by whoever comes first, and is whole or absent."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from vitgate.files.atomic import replacing
from vitgate.observe.store import Store
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome

from ..conftest import Processes

STOPPED = Outcome("failed at", "script", "RuntimeError", "no")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "evidence")


def never() -> Evidence:
    raise AssertionError("made a second time")


def files(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def test_evidence_round_trips_with_values_and_arrays(store: Store) -> None:
    logits = np.array([[1.5, -2.0]], dtype=np.float32)

    made = store.get("outputs", "a", lambda: Evidence({"seconds": 0.5, "names": ["x"]}, {"logits": logits}))

    assert made.values == {"seconds": 0.5, "names": ["x"]}
    assert made.arrays["logits"].dtype == np.float32
    assert np.array_equal(made.arrays["logits"], logits)
    assert made.demand() is made


def test_evidence_is_made_once_and_then_read_by_every_store_of_the_folder(store: Store) -> None:
    store.get("build", "a", lambda: Evidence({"bytes": 3}))

    again = Store(store.folder).get("build", "a", never)

    assert again.values == {"bytes": 3}


def test_similar_names_and_kinds_are_distinct(store: Store) -> None:
    names = [("outputs", "a"), ("outputs", "a.b"), ("outputs", "a.c"), ("build", "a")]

    for kind, name in names:
        store.get(kind, name, lambda: Evidence({"is": f"{kind}/{name}"}, {"x": np.zeros(1)}))  # noqa: B023  # used at once

    assert [store.get(kind, name, never).values["is"] for kind, name in names] == [f"{k}/{n}" for k, n in names]


def test_missing_evidence_is_not_found(store: Store) -> None:
    assert store.find("build", "a") is None


def test_stored_evidence_is_found(store: Store) -> None:
    store.get("build", "a", lambda: Evidence({"bytes": 3}))

    found = store.find("build", "a")

    assert found is not None
    assert found.values == {"bytes": 3}


def test_failed_observation_is_stored_and_not_retried(store: Store) -> None:
    store.get("build", "a", lambda: Evidence(outcome=STOPPED))

    again = store.get("build", "a", never)

    assert again.outcome == STOPPED
    with pytest.raises(ClaimFailed) as caught:
        again.demand()
    assert caught.value.outcome == STOPPED


def test_raising_maker_leaves_nothing_and_can_be_retried(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        store.get("build", "a", lambda: Evidence({"x": 1 / 0}))

    assert store.find("build", "a") is None
    assert store.get("build", "a", lambda: Evidence({"x": 1})).values == {"x": 1}


def test_values_that_cannot_be_written_leave_nothing(store: Store) -> None:
    with pytest.raises(TypeError):
        store.get("build", "a", lambda: Evidence({"path": Path("x")}))

    assert store.find("build", "a") is None
    assert not [name for name in files(store) if name.endswith(".tmp")]


def test_leftovers_of_killed_writer_are_ignored(store: Store) -> None:
    folder = store.folder / "outputs"
    folder.mkdir()
    np.savez(folder / "a.npz", logits=np.zeros(3))  # arrays are written before the values that make them count
    (folder / ".a.json.1.tmp").write_text('{"values": {"x"')

    assert store.find("outputs", "a") is None
    made = store.get("outputs", "a", lambda: Evidence(outcome=STOPPED))

    assert (made.outcome, made.arrays) == (STOPPED, {})


def test_concurrent_processes_make_evidence_once(store: Store, processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "made"
    barrier = processes.context.Barrier(4)

    def make() -> Evidence:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.1)  # the others arrive while it is being made
        return Evidence({"by": os.getpid()}, {"x": np.arange(3)})

    def worker() -> None:
        barrier.wait()
        found = Store(store.folder).get("outputs", "a", make)
        assert found.values["by"] == int(log.read_text())
        assert len(found.arrays["x"]) == 3

    for _ in range(4):
        processes.start(worker)

    assert processes.statuses() == [0, 0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_killed_maker_releases_lock(store: Store, processes: Processes) -> None:
    making = processes.context.Event()

    def hang() -> Evidence:
        making.set()
        time.sleep(60)
        return Evidence()

    def take_over() -> None:
        assert store.get("build", "a", lambda: Evidence({"x": 1})).values == {"x": 1}

    first = processes.start(store.get, "build", "a", hang)
    assert making.wait(10)
    first.kill()
    processes.start(take_over)

    assert processes.statuses() == [-signal.SIGKILL, 0]


def test_file_is_replaced_atomically(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    untouched = path.read_text()
    with replacing(path) as temporary:
        temporary.write_text("after")

    assert (untouched, path.read_text()) == ("before", "after")
    assert [child.name for child in tmp_path.iterdir()] == ["a"]
