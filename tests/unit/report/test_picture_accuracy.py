"""The table of the user's pictures, and the list of every label that changed."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from vitgate.files.errors import MachineError
from vitgate.judge.picture_accuracy import CONFIDENCE, LABEL, TOP
from vitgate.observe.store import Store
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.report.picture_accuracy import check_list, COLUMNS, list_beside, tables, write_list
from vitgate.spec.outcome import Evidence, Outcome
from vitgate.spec.run_config import RunConfig

NAMES = ["7/a.png", "7/b,\n.png", "9/c.png"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with a folder of three pictures that two groups of variants of deit_tiny went through."""
    made = Store(tmp_path / "evidence")
    folder = Evidence({"names": NAMES}, {"labels": np.array([7, 7, 9])})
    made.get("labelled", "labelled", lambda: folder)
    said = {"original": [7, 8, 9], "scripted": [7, 8, 9]}
    made.get("images", "deit_tiny-original", lambda: predictions(said))
    quantized = {"scripted_quantized": [7, 8, 9], "lite": [1, 7, 9]}
    failed = {"optimized": Outcome("failed at", "run").to_json()}
    made.get("images", "deit_tiny-qnnpack-scripted_quantized", lambda: predictions(quantized, failed))
    return made


def predictions(tops: dict[str, list[int]], failed: dict[str, Any] | None = None) -> Evidence:
    arrays: dict[str, Any] = {}
    for variant, top in tops.items():
        columns = {TOP: np.array(top), CONFIDENCE: np.array([0.5, 0.25, 0.125]), LABEL: np.full(3, -1.0)}
        arrays |= {f"{name}-{variant}": column for name, column in columns.items()}
    return Evidence({"outcomes": failed or {}}, arrays)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def asked(plan: Callable[..., RunConfig]) -> Any:
    """Return a plan about the case of the store."""
    return plan(cases=("deit_tiny",), images="/pictures")


def test_each_changed_label_is_a_line(store: Store, asked: Any, tmp_path: Path) -> None:
    path = write_list(asked, store, tmp_path / "run.json")

    assert path == tmp_path / "run-images.csv"
    assert rows(path) == [
        list(COLUMNS),
        ["deit_tiny-qnnpack-lite", "7/a.png", "7", "7", "0.5000", "1", "0.5000"],
        ["deit_tiny-qnnpack-lite", "7/b,\n.png", "7", "8", "0.2500", "7", "0.2500"],
    ]


def test_run_without_pictures_writes_empty_list(asked: Any, tmp_path: Path) -> None:
    assert rows(write_list(asked, Store(tmp_path / "none"), tmp_path / "run.json")) == [list(COLUMNS)]


def test_undecodable_name_is_written_as_bytes(
    store: Store, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Evidence({"names": [os.fsdecode(b"7/\xff.png"), "b", "c"]}, {"labels": np.array([7, 7, 9])})
    real = store.find
    monkeypatch.setattr(store, "find", lambda kind, name: folder if kind == "labelled" else real(kind, name))

    assert b"7/\xff.png" in write_list(asked, store, tmp_path / "run.json").read_bytes()


def test_failed_write_keeps_previous_list(
    store: Store, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_list(asked, store, tmp_path / "run.json")
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vitgate.files.atomic.os.replace", full)
    with pytest.raises(MachineError, match="cannot write the list of changed labels: No space left on device"):
        write_list(asked, store, tmp_path / "run.json")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_unwritable_list_path_is_reported_before_run(tmp_path: Path) -> None:
    list_beside(tmp_path / "run.json").mkdir()

    with pytest.raises(MachineError, match="--record"):
        check_list(tmp_path / "run.json")
    check_list(tmp_path / "other.json")


def test_the_table_has_a_line_for_each_variant(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    def finding(statistic: str, value: float | None) -> FindingRow:
        return FindingRow(statistic=statistic, value=value, unit="1")

    pairs = {"accuracy": 0.8, "accuracy_low": 0.75, "accuracy_high": 0.85, "calibration_error": 0.03, "nll": 0.9}
    found = tuple(finding(*pair) for pair in pairs.items())
    more = (*found, finding("accuracy_change", -0.01), finding("agreement", 0.97), finding("changed_labels", 3.0))
    claims = tuple(
        claim_row("images", variant, case="deit_tiny", findings=findings)
        for variant, findings in (("lite", more), ("original", found), ("scripted", (finding("accuracy", None),)))
    )

    (table,) = tables(record(claims=(claim_row(), *claims)))

    file = io.StringIO()
    console = Console(file=file, width=160)
    console.print(table)
    text = file.getvalue()
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    assert "deit_tiny on qnnpack, your pictures" in text
    assert lines == [
        ["original", "0.8000", "0.7500 to 0.8500", "-", "-", "-", "0.0300", "0.9000"],
        ["scripted", "-", "- to -", "-", "-", "-", "-", "-"],
        ["lite", "0.8000", "0.7500 to 0.8500", "-0.0100", "0.9700", "3", "0.0300", "0.9000"],
    ]


def test_a_run_without_pictures_has_no_table(record: Callable[..., Record]) -> None:
    assert list(tables(record())) == []
