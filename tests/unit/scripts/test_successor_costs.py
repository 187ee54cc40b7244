"""The page of successors: what each costs beside the tutorial's int8 file, from one record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.records.record import Record
from vitgate.records.rows import FindingRow
from vitgate.spec.variants import SUCCESSORS

PAGE = Path(__file__).parents[3] / "docs" / "successors.md"
COLUMNS = ("size_bytes", "latency_ratio", "sqnr_db", "label")


@pytest.fixture
def whole(
    record: Callable[..., Record], cell_row: Callable[..., Any], claim_row: Callable[..., Any]
) -> Callable[..., Record]:
    """Return a factory of records of the digits under x86 with all successors, of which `onnx` was not built."""

    def make(**fields: Any) -> Record:
        numbers = {"case": "digits", "size_bytes": 200_000, "latency_ratio": 0.4, "sqnr_db": 37.84, "label": 0}
        int8 = cell_row("scripted_quantized", engine="x86", **numbers)
        own = {**numbers, "size_bytes": 500_000, "engine": "none"}
        others = [cell_row(name, **own) for name in SUCCESSORS if name != "onnx"]
        gone = cell_row("onnx", engine="none", case="digits", outcome="unsupported", **dict.fromkeys(COLUMNS))
        ratio = FindingRow(statistic="ratio", value=0.64, unit="1", against="scripted_quantized")
        latency = claim_row("latency", "exported", engine="none", findings=(ratio,))
        cells = (int8, gone, *others)
        return record(**{"engines": ("x86", "none"), "cells": cells, "claims": (latency,), **fields})

    return make


def test_successors_are_compared_with_the_int8_file(
    run: Callable[..., Any], whole: Callable[..., Record], written: Callable[[Record], Path]
) -> None:
    lines = run("successor_costs", written(whole())).out.splitlines()

    title = "### a small ViT trained on handwritten digits, trained weights"
    assert lines[lines.index(title) + 4 :][:2] == [
        "| tutorial's `scripted_quantized`, x86 | 0.2 | 1.00 | 0.40 | 1.00 | 37.8 | 0 | passed |",
        "| `exported` | 0.5 | 2.50 | 0.40 | 0.64 | 37.8 | 0 | passed |",
    ]
    assert "| `onnx` | - | - | - | - | - | - | unsupported |" in lines


def test_committed_page_has_the_scripts_text(load: Callable[[str], Any]) -> None:
    script = load("successor_costs")

    assert PAGE.read_text(encoding="utf-8").startswith(script.HEAD + "\n".join(script._needs())), "make it again"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"engines": ("none",)}, "0 quantized engines: none"),
        ({"engines": ("x86", "fbgemm", "none")}, "2 quantized engines: x86, fbgemm"),
        ({"cells": ()}, "no row of digits-x86-scripted_quantized"),
    ],
)
def test_record_of_another_run_is_refused(
    refused: Callable[..., None],
    whole: Callable[..., Record],
    written: Callable[[Record], Path],
    fields: dict[str, Any],
    words: str,
) -> None:
    refused("successor_costs", written(whole(**fields)), words=(words, "--engine x86 --successors"))


def test_record_without_one_successor_is_refused(
    refused: Callable[..., None], whole: Callable[..., Record], written: Callable[[Record], Path]
) -> None:
    cells = tuple(row for row in whole().cells if row.variant != "inductor_int8")

    refused("successor_costs", written(whole(cells=cells)), words=("no row of digits-none-inductor_int8",))
