"""The scripts that print tables and plots from records: right numbers, and one line for a record that lacks them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, FindingRow

DOCS = Path(__file__).parents[3] / "docs"
PROCESSORS = fixtures_folder() / "processors"
READERS = (
    "processors_table",
    "measure_ranges",
    "measure_expected",
    "successor_costs",
    "compatibility",
    "pairs_table",
    "successors_table",
    "serving_table",
)


def number(statistic: str, value: float | None, **fields: Any) -> FindingRow:
    return FindingRow(**{"statistic": statistic, "value": value, "unit": "dB", **fields})


@pytest.fixture
def of_label(record: Callable[..., Record], written: Callable[[Record], Path]) -> Path:
    """Return the file of a record whose one row has no number."""
    return written(record())


@pytest.fixture
def of_int8(
    record: Callable[..., Record], claim_row: Callable[..., Any], written: Callable[[Record], Path]
) -> Callable[..., Path]:
    """Return a factory of files of records: the int8 file's SQNR in dB, and that of its worst layer if there is one."""

    def make(torch: str, sqnr: float, *, layer: float | None = None) -> Path:
        own = (number("sqnr", sqnr), number("expected_sqnr", 40.0, against="expected"))
        rows = [claim_row("logits_original", "scripted_quantized", findings=own)]
        if layer is not None:
            worst = number("int8_layer", layer, against="expected", note="head")
            rows.append(claim_row("layers", "scripted_quantized", findings=(worst,)))
        made = record(claims=tuple(rows))
        return written(made.model_copy(update={"environment": made.environment.model_copy(update={"torch": torch})}))

    return make


@pytest.mark.parametrize("script", READERS)
def test_missing_file_gives_one_line_error(refused: Callable[..., None], tmp_path: Path, script: str) -> None:
    refused(script, tmp_path / "absent.json", words=("absent.json", "not a readable"))


def test_plot_of_missing_file_gives_one_line_error(refused: Callable[..., None], tmp_path: Path) -> None:
    refused("plot_expected", tmp_path / "plot.png", tmp_path / "absent.json", words=("absent.json", "not a readable"))


# ---- processors_table


@pytest.mark.parametrize("release", ["2.12.1", "2.15.0"])
def test_processors_page_shows_committed_records(run: Callable[..., Any], release: str) -> None:
    ended = run("processors_table", PROCESSORS / f"{release}.json")

    assert ended.status == 0
    assert ended.out.strip() in (DOCS / "processors.md").read_text(encoding="utf-8")


def test_record_without_processors_is_refused(refused: Callable[..., None], of_label: Path) -> None:
    refused("processors_table", of_label, words=("no number of `processors`", str(of_label), "--claim processors"))


def test_processor_without_number_has_empty_cell(
    run: Callable[..., Any],
    record: Callable[..., Record],
    claim_row: Callable[..., Any],
    written: Callable[[Record], Path],
) -> None:
    rows = (
        claim_row("processors", findings=(number("host", 37.84), number("avx2", 35.0))),
        claim_row("processors", "scripted", findings=(number("host", 30.0), number("avx2", None))),
    )
    on = [row.model_copy(update={"findings": tuple(_on_processor(each) for each in row.findings)}) for row in rows]

    lines = run("processors_table", written(record(claims=tuple(on)))).out.splitlines()

    assert lines[-3:-1] == ["| qnnpack | lite |  | 37.8 | 35.0 |", "| qnnpack | scripted |  | 30.0 |  |"]


def _on_processor(found: FindingRow) -> FindingRow:
    from vitgate.judge.computed import ON_PROCESSOR

    return found.model_copy(update={"statistic": f"{ON_PROCESSOR}{found.statistic}"})


# ---- measure_ranges


def test_range_spans_all_records(run: Callable[..., Any], of_int8: Callable[..., Path]) -> None:
    ended = run("measure_ranges", of_int8("2.13.0", 39.0), of_int8("2.14.0", 41.5))

    found = [line.split() for line in ended.out.splitlines()]
    cell = ["digits", "qnnpack", "scripted_quantized"]
    assert found == [
        ["logits_original", "expected_sqnr", "[dB]", "expected", *cell, "40", "40", "n=2"],
        ["logits_original", "sqnr", "[dB]", "-", *cell, "39", "41.5", "n=2"],
    ]


def test_range_without_records_is_a_usage_error(run: Callable[..., Any]) -> None:
    assert run("measure_ranges").status == 2


# ---- measure_expected


def test_extremes_name_their_cell_and_release(run: Callable[..., Any], of_int8: Callable[..., Path]) -> None:
    ended = run("measure_expected", of_int8("2.13.0", 39.0, layer=120.0), of_int8("2.14.0", 41.5, layer=90.5))

    assert ended.out.splitlines()[:3] == [
        "layers int8_layer: 2 values",
        "  least 90.50: digits-qnnpack-scripted_quantized on torch 2.14.0 (head)",
        "  most 120.00: digits-qnnpack-scripted_quantized on torch 2.13.0 (head)",
    ]


def test_table_marks_missing_layer(run: Callable[..., Any], of_int8: Callable[..., Path]) -> None:
    ended = run("measure_expected", "--table", of_int8("2.13.0", 39.0, layer=120.0), of_int8("2.14.0", 41.5))

    assert ended.out.splitlines()[2:] == [
        "| 2.13.0 | digits | qnnpack | 40.0 | 39.0 | 120.0 |",
        "| 2.14.0 | digits | qnnpack | 40.0 | 41.5 | - |",
    ]


# ---- plot_expected


def test_plot_is_written_and_farthest_file_printed(
    run: Callable[..., Any], of_int8: Callable[..., Path], tmp_path: Path
) -> None:
    target = tmp_path / "plot.png"

    ended = run("plot_expected", target, of_int8("2.13.0+cpu", 39.0), of_int8("2.14.0", 40.4))

    assert target.read_bytes().startswith(b"\x89PNG")
    assert ended.out.splitlines()[0] == "2 files, 1 models, 2 releases"
    assert ended.out.splitlines()[-1] == "| digits | 2 | -1.0 |"


def test_plot_without_expected_error_is_refused(refused: Callable[..., None], of_label: Path, tmp_path: Path) -> None:
    refused("plot_expected", tmp_path / "plot.png", of_label, words=("no record has the expected error", str(of_label)))


@pytest.mark.parametrize("name", ["absent/plot.png", "plot.unknown"])
def test_plot_that_cannot_be_written_is_refused(
    refused: Callable[..., None], of_int8: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    refused("plot_expected", tmp_path / name, of_int8("2.13.0", 39.0), words=("cannot write the plot", name))


# ---- compatibility


def test_record_without_shown_cell_is_refused(
    refused: Callable[..., None], of_label: Path, data_file: Callable[[str, str], Path]
) -> None:
    readme = data_file("README.md", "<!-- made by scripts/compatibility.py -->\n<!-- end -->")

    refused("compatibility", "--readme", readme, of_label, words=("no row of deit_base-fbgemm", "(2.13.0)"))


def test_readme_without_markers_is_refused(
    refused: Callable[..., None], of_label: Path, data_file: Callable[[str, str], Path]
) -> None:
    refused("compatibility", "--readme", data_file("README.md", "# x"), of_label, words=("markers", "(--readme)"))


def test_missing_readme_is_refused(refused: Callable[..., None], of_label: Path, tmp_path: Path) -> None:
    refused("compatibility", "--readme", tmp_path / "absent.md", of_label, words=("cannot read", "absent.md"))


# ---- successors_table


def test_successor_releases_page_is_current(run: Callable[..., Any]) -> None:
    ended = run("successors_table", *sorted((fixtures_folder() / "successors").glob("*.json")))

    assert ended.out == (fixtures_folder().parent / "docs" / "successor-releases.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("status", "fields", "shown"),
    [
        ("passed", {"outcome": "passed", "sqnr_db": 36.0, "expected_sqnr_db": 36.5}, "36.0 of 36.5 dB"),
        ("passed", {"outcome": "passed", "sqnr_db": 130.0}, "works"),
        ("failed", {"outcome": "failed", "failed": ("size",)}, "**FAILED: size**"),
        ("unsupported", {"outcome": "unsupported"}, "-"),
    ],
)
def test_successor_is_shown_by_its_outcome(
    load: Callable[[str], Any],
    record: Callable[..., Any],
    claim_row: Callable[..., Any],
    status: str,
    fields: dict[str, Any],
    shown: str,
) -> None:
    build = claim_row("build", "onnx_int8", engine="none", status=status)
    row = CellRow(case="digits", engine="none", variant="onnx_int8", **fields)

    assert load("successors_table").outcome(record(cells=(row,), claims=(build,)), "onnx_int8") == shown
    assert load("successors_table").outcome(record(cells=(), claims=()), "onnx_int8") == "-"


# ---- serving_table


def test_batches_that_are_alike_share_a_line(
    run: Callable[..., Any], record: Callable[..., Record], claim_row: Callable[..., Any], written: Callable[..., Path]
) -> None:
    int8 = (
        number("sqnr_change", 0.0, against="expected", note="8: 35.2 of 35.3 dB expected"),
        number("sqnr", 34.2, against="alone", note="1: 200.0 dB; 8: 34.2 dB"),
    )
    rows = [claim_row("batch", variant, engine="x86", findings=int8) for variant in ("scripted_quantized", "lite")]
    rows.append(
        claim_row("batch", "scripted", status="failed", outcome="failed at run", message="fixed to a batch of 1")
    )
    for changed, claim in ((3.0, "concurrent"), (1.0, "native_concurrent")):
        rows.append(claim_row(claim, "scripted", findings=(number("changed_answers", changed, note="of 80"),)))

    printed = run("serving_table", written(record(claims=tuple(rows)))).out

    int8_said = (
        "| x86 | `scripted_quantized`, `lite` | 8: 35.2 of 35.3 dB expected | 8: 34.2 | not claimed | not claimed |"
    )
    assert f"{int8_said} not checked |  |  |" in printed
    callers = "3 of 80 changed | 1 of 80 changed"
    assert f"| `scripted` | failed at run: fixed to a batch of 1 |  | {callers} | not checked |  |  |" in printed


def test_times_of_variants_that_are_alike_are_a_range(
    run: Callable[..., Any], record: Callable[..., Record], claim_row: Callable[..., Any], written: Callable[..., Path]
) -> None:
    variants, rows = ("scripted_quantized", "lite"), []
    for index, variant in enumerate(variants):
        near = number("sqnr", 34.2, against="alone", note="8: 34.2 dB")
        time = number("time_per_picture", 0.25 + 0.2 * index, judged=False)
        split = (number("sqnr", 200.0, note="bit for bit"), number("speedup", 1.5, judged=False))
        rows += [claim_row("batch", variant, findings=(near, time)), claim_row("threads", variant, findings=split)]
    rows.append(claim_row("batch", "lite_frozen", findings=(number("sqnr", 34.2, note="8: 34.2 dB"),)))
    rows.append(claim_row("threads", "lite_frozen", status="failed", findings=(number("sqnr", 94.0),)))

    printed = run("serving_table", written(record(claims=tuple(rows)))).out

    unclaimed = "float | 8: 34.2 | not claimed | not claimed"
    assert f"| `scripted_quantized`, `lite` | {unclaimed} | bit for bit | 0.25 to 0.45 | 1.50 |" in printed
    assert f"| `lite_frozen` | {unclaimed} | 94.0 dB |  |  |" in printed


def test_record_without_batches_gives_one_line_error(refused: Callable[..., None], of_label: Path) -> None:
    refused("serving_table", of_label, words=("no row of `batch`", "--claim batch"))
