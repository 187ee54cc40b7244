"""Every judged number finds exactly one tolerance, of two sides where that means something, or the run stops."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.judge.tolerances import read_tolerances, Tolerance, Tolerances
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Finding

from ..conftest import Refuses

CELL = CellId("digits", "qnnpack", "lite")
FINDING = Finding("sqnr", 23.8, "dB", against="original")


def tolerance(id: str = "floor", **fields: Any) -> Tolerance:
    row = {
        "claim": "logits_original",
        "statistic": "sqnr",
        "unit": "dB",
        "against": "original",
        "lower": 20.0,
        "upper": 30.0,
        "reason": "int8 noise",
        "measured": "18 releases",
    }
    return Tolerance(id=id, **{**row, **fields})


def bounded(
    *rows: Tolerance,
    finding: Finding = FINDING,
    claim: str = "logits_original",
    cell: Any = CELL,
    machine: Any = "x86_64",
) -> Any:
    return Tolerances(list(rows), "tolerances.toml").bounded(claim, finding, cell, "standin", machine)


def row_text(**fields: Any) -> str:
    values = {"id": '"a"', "claim": '"label"', "statistic": '"right_labels"', "unit": '"1"', "lower": "1.0"}
    values |= {"reason": '"why"', "measured": '"where"', **fields}
    return "[[tolerance]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def test_matching_row_gives_bounds_and_name() -> None:
    found = bounded(tolerance())

    assert (found.value, found.lower, found.upper, found.tolerance) == (23.8, 20.0, 30.0, "floor")


@pytest.mark.parametrize(("claim", "judged_as"), [("processors", "logits_original"), ("artifacts", "field")])
def test_claim_that_is_judged_as_another_finds_its_bounds(claim: str, judged_as: str, refuses: Refuses) -> None:
    assert bounded(tolerance(claim=judged_as), claim=claim).tolerance == "floor"
    refuses(lambda: bounded(tolerance(claim=judged_as), claim="label"), "found: none")


@pytest.mark.parametrize(("value", "ok"), [(19.9, False), (20.0, True), (30.0, True), (30.1, False), (math.nan, False)])
def test_bounds_are_inclusive_on_both_sides(value: float, ok: bool) -> None:
    found = bounded(tolerance(), finding=Finding("sqnr", value, "dB", against="original"))

    assert found.ok is ok


@pytest.mark.parametrize(
    "fields",
    [
        {"claim": "logits_parent"},
        {"statistic": "cosine"},
        {"unit": "1"},
        {"against": "parent"},
        {"cases": ["deit_base"]},
        {"engines": ["fbgemm"]},
        {"variants": ["optimized"]},
        {"weights": ["pretrained"]},
        {"machines": ["aarch64"]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_number_without_a_tolerance_stops_the_run(fields: dict[str, Any], refuses: Refuses) -> None:
    refuses(lambda: bounded(tolerance(**fields)), "tolerances.toml", "sqnr", "digits-qnnpack-lite", "found: none")


def test_a_number_with_two_tolerances_stops_the_run_and_names_both(refuses: Refuses) -> None:
    refuses(lambda: bounded(tolerance("wide"), tolerance("narrow", engines=["qnnpack"])), "found: wide, narrow")


@pytest.mark.parametrize(
    "fields",
    [{"claim": ("label", "logits_original")}, {"statistic": ("cosine", "sqnr")}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_row_that_several_share_is_found_by_each(fields: dict[str, Any], refuses: Refuses) -> None:
    ((name, names),) = fields.items()

    assert bounded(tolerance(**fields)).tolerance == "floor"
    refuses(lambda: bounded(tolerance(**{name: names[:1]})), "found: none")


def test_each_claim_of_a_row_compares_with_what_the_row_says_of_it(refuses: Refuses) -> None:
    row = tolerance(claim=("logits_original", "logits_parent", "size"), against={"logits_parent": "parent", "size": ""})
    named = tolerance(claim=("logits_original", "size"), against={"logits_original": "original"})
    alone = replace(FINDING, against="")

    assert bounded(row, claim="logits_parent", finding=replace(FINDING, against="parent")).tolerance == "floor"
    assert [bounded(row, claim=claim, finding=alone).tolerance for claim in ("logits_original", "size")] == [
        "floor"
    ] * 2
    assert bounded(named).tolerance == "floor"
    refuses(lambda: bounded(row), "found: none")
    refuses(lambda: bounded(named, claim="size"), "found: none")


def test_a_row_of_both_claims_that_another_is_judged_as_is_one_row() -> None:
    assert bounded(tolerance(claim=("logits_original", "layers")), claim="processors").tolerance == "floor"


def test_own_cases_are_those_of_a_row_that_names_them(refuses: Refuses) -> None:
    rows = Tolerances([tolerance("small", cases=("digits", "own cases"))], "tolerances.toml")

    def found(cell: CellId | None, weights: str) -> str:
        return rows.find("logits_original", FINDING, cell, weights, "x86_64").id

    assert (found(CELL, "trained"), found(CellId("mine", "qnnpack", "lite"), "own")) == ("small", "small")
    refuses(lambda: found(CellId("mine", "qnnpack", "lite"), "standin"), "found: none")
    refuses(lambda: found(None, "own"), "found: none")


def test_selectors_tell_two_rows_apart() -> None:
    rows = (tolerance("others", engines=["fbgemm", "x86", "onednn"]), tolerance("here", engines=["qnnpack"]))

    assert bounded(*rows).tolerance == "here"


def test_a_number_about_no_cell_finds_only_rows_without_selectors(refuses: Refuses) -> None:
    assert bounded(tolerance("all"), tolerance("some", engines=["qnnpack"]), cell=None).tolerance == "all"
    refuses(lambda: bounded(tolerance(cases=["digits"]), cell=None), "found: none")


@pytest.mark.parametrize(
    "finding",
    [Finding("latency", 60.0, "ms", judged=False), Finding("holds", 1.0, "1", lower=1.0, tolerance="exact")],
    ids=["only-shown", "bounded-already"],
)
def test_unjudged_and_bounded_findings_are_unchanged(finding: Finding) -> None:
    assert bounded(finding=finding) is finding


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": " "}, "no reason"),
        ({"measured": ""}, "no reason or measurement"),
        ({"lower": None, "upper": None}, "bounds nothing"),
        ({"lower": 31.0}, "lower above upper"),
    ],
    ids=["no-reason", "not-measured", "no-bound", "crossed"],
)
def test_incomplete_row_is_refused(fields: dict[str, Any], words: str, refuses: Refuses) -> None:
    refuses(lambda: Tolerances([tolerance(**fields)], "tolerances.toml"), "tolerances.toml", "floor", words)


def test_duplicate_row_ids_are_refused(refuses: Refuses) -> None:
    refuses(lambda: Tolerances([tolerance(), tolerance()], "tolerances.toml"), "tolerances.toml", "'floor'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row_text(loewr="1.0"), "tolerance.0.loewr"),
        (row_text(reason=""), "tolerance.0.reason"),
        (row_text(lower="nan"), "tolerance.0.lower"),
        (row_text(upper="inf"), "tolerance.0.upper"),
        (row_text(lower='"much"'), "tolerance.0.lower"),
        (row_text(claim='"lable"'), "tolerance a: claim 'lable'"),
        (row_text(cases='["digit"]'), "'digit'"),
        (row_text(engines='["qnn"]'), "tolerance.0.engines.0"),
        (row_text(variants='["lit"]'), "tolerance.0.variants.0"),
        (row_text(claim='["label", "lable"]'), "tolerance a: claim 'lable'"),
        (row_text(against='{ lable = "original" }'), "tolerance a: against by claim 'lable' does not exist"),
        (row_text(statistic="[]"), "tolerance.0.statistic: Value should have at least 1 item"),
        (row_text(statistic='["sqnr", 3]'), "tolerance.0.statistic.1: Input should be a valid string"),
        (row_text() + row_text(), "'a'"),
    ],
    ids=[
        "unknown-key",
        "no-reason",
        "nan",
        "infinite",
        "no-number",
        "unknown-claim",
        "unknown-case",
        "unknown-engine",
        "unknown-variant",
        "unknown-claim-of-several",
        "against-of-no-claim-of-the-row",
        "no-statistic",
        "statistic-that-is-no-name",
        "duplicate",
    ],
)
def test_invalid_file_gives_one_line_with_file_and_key(
    text: str, words: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path: Path = data_file("tolerances.toml", text)

    refuses(lambda: read_tolerances(path), path, words)


def test_committed_file_is_valid() -> None:
    assert read_tolerances().rows()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"reason": " "}, "tolerance floor has no reason or measurement (t.toml): state both"),
        ({"lower": None, "upper": None}, "tolerance floor bounds nothing (t.toml): give it lower, upper or both"),
        ({"lower": 31.0}, "tolerance floor has lower above upper (t.toml): swap them"),
    ],
)
def test_refusal_names_what_where_and_remedy(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tolerances([tolerance(**fields)], "t.toml")

    assert str(caught.value) == text


@pytest.mark.parametrize(("against", "word"), [("original", "original"), ("", "nothing")])
def test_number_without_tolerance_is_named_in_full(against: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        bounded(finding=Finding("sqnr", 1.0, "dB", against=against), claim="label")

    what = f"label: sqnr [dB] against {word} of digits-qnnpack-lite needs exactly one tolerance, found: none"
    assert str(caught.value) == f"{what} (tolerances.toml): add or narrow a row"


@pytest.mark.parametrize(
    "fields",
    [
        {"cases": ("digits", "deit_base")},
        {"engines": ("x86", "qnnpack")},
        {"variants": ("lite",)},
        {"weights": ("standin",)},
        {"machines": ("x86_64",)},
        {"lower": 5.0, "upper": 5.0},  # exactly one number
    ],
    ids=str,
)
def test_a_row_with_a_selector_that_names_the_cell_is_found(fields: dict[str, Any]) -> None:
    assert bounded(tolerance(**fields)).tolerance == "floor"


@pytest.mark.parametrize(
    ("name", "words"),
    [("sizes.toml", "claim 'sizes' does not exist"), ("label.toml", "move it to size.toml")],
)
def test_bounds_file_of_another_claim_is_refused(name: str, words: str, tmp_path: Path, refuses: Refuses) -> None:
    folder = tmp_path / "tolerances"
    shutil.copytree(fixtures_folder() / "tolerances", folder)
    (folder / "size.toml").rename(folder / name)

    refuses(lambda: read_tolerances(folder), words, folder)


@pytest.mark.parametrize(
    ("file", "claim", "place"),
    [("label", '["label", "size"]', "shared"), ("shared", '"label"', "label"), ("label", '"size"', "size")],
    ids=["several-claims", "one-claim", "another-claim"],
)
def test_row_in_the_wrong_file_is_refused_with_the_right_one(
    file: str, claim: str, place: str, tmp_path: Path, refuses: Refuses
) -> None:
    folder = tmp_path / "tolerances"
    shutil.copytree(fixtures_folder() / "tolerances", folder)
    with (folder / f"{file}.toml").open("a", encoding="utf-8") as opened:
        opened.write("\n" + row_text(id='"new"', claim=claim))

    refuses(lambda: read_tolerances(folder), "tolerance new stands in the wrong file", f"move it to {place}.toml")


def test_single_bounds_file_is_refused_with_new_location(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "tolerances.toml").touch()

    refuses(
        lambda: read_tolerances(tmp_path / "tolerances"),
        f"bounds stand in a file for each claim now ({tmp_path / 'tolerances.toml'}): "
        "move its rows into tolerances/<claim>.toml",
    )


def test_a_folder_without_bounds_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with pytest.raises(UsageError) as caught:
        read_tolerances(tmp_path / "tolerances")

    assert str(caught.value) == f"no file of tolerances ({tmp_path / 'tolerances'}): copy all of fixtures/"
