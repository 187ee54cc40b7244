"""Declared deviations: only the exact outcome is expected; all else turns the run red with a line to change."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.judge.deviations import Deviation, Deviations, ExpectedNumber, Place, read_deviations, Settled
from vitgate.spec.cells import CellId
from vitgate.spec.claims import Claim
from vitgate.spec.outcome import Finding, Outcome
from vitgate.spec.variants import VariantName
from vitgate.spec.versions import release

from ..conftest import Refuses

TODAY = dt.date(2026, 7, 1)
OPTIMIZED = CellId("deit_base", "qnnpack", "optimized")
XNNPACK = "Mobile optimization only available with XNNPACK"
STOPPED = Outcome("failed at", "optimize_for_mobile", "RuntimeError", f"{XNNPACK} at this point")
PASSED = Outcome("passed")

FILE = """# Known differences.

[[deviation]]
id = "another"

[[deviation]]
  id = 'gone'  # a comment
"""


def deviation(id: str = "gone", **fields: Any) -> Deviation:
    row = {
        "claims": ("build",),
        "variants": ("optimized",),
        "torch": ">=2.13",
        "outcome": "failed at optimize_for_mobile",
        "error": "RuntimeError",
        "message": XNNPACK,
        "reason": "Built without XNNPACK.",
        "link": "https://example.org/1",
        "advice": "Freeze instead.",
        "review": TODAY,
    }
    return Deviation(id=id, **{**row, **fields})


def number(**fields: Any) -> Deviation:
    expected = ExpectedNumber(statistic="size_ratio", lower=1.9, upper=2.0)
    row = {"claims": ("size",), "outcome": "failed", "error": "", "message": "", "number": expected, "variants": None}
    return deviation(**{**row, **fields})


def place(
    claim: str = "build", cell: CellId | None = OPTIMIZED, torch: str = "2.13.0", machine: str = "x86_64"
) -> Place:
    return Place(claim, str(cell) if cell else "test_something", cell, torch, machine)


def off(statistic: str, value: float) -> Finding:
    return Finding(statistic, value, "1", lower=0.5, upper=1.5, tolerance="t")


def failed(*findings: Finding, **fields: Any) -> Outcome:
    return Outcome("failed", findings=findings, message="size_ratio: 1.96", **fields)


@pytest.fixture
def where(data_file: Callable[[str, str], Path]) -> Path:
    return data_file("deviations.toml", FILE)


@pytest.fixture
def settle(where: Path) -> Callable[..., Any]:
    def call(outcome: Outcome, *rows: Deviation, at: Place | None = None) -> Any:
        return Deviations(list(rows), where, TODAY).settle(at or place(), outcome)

    return call


def test_undeclared_pass_passes(settle: Callable[..., Any]) -> None:
    assert settle(PASSED).status == "passed"


def test_undeclared_failure_keeps_its_message(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED)

    assert (settled.status, settled.deviation, settled.message) == ("failed", "", STOPPED.message)


def test_the_exact_outcome_is_declared_with_reason_advice_and_link(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED, deviation())

    assert (settled.status, settled.deviation) == ("declared", "gone")
    assert settled.message == (
        "failed at optimize_for_mobile: Built without XNNPACK. Freeze instead. (https://example.org/1)"
    )


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("failed at", "save", "RuntimeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "TypeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "RuntimeError", "out of registers"),
        Outcome("failed", "", "RuntimeError", XNNPACK),
        Outcome("failed at", "optimize_for_mobile", "RuntimeError", XNNPACK, (off("size", 9.0),)),
    ],
    ids=["another-stage", "another-error", "another-message", "no-stage", "a-number-besides"],
)
def test_failure_other_than_declared_is_red(outcome: Outcome, settle: Callable[..., Any]) -> None:
    settled = settle(outcome, deviation())

    assert settled.status == "failed"
    assert "deviation gone (deviations.toml:7)" in settled.message
    assert f"expects 'failed at optimize_for_mobile with RuntimeError ({XNNPACK})'" in settled.message
    assert str(outcome) in settled.message
    assert outcome.message in settled.message


def test_unexpected_pass_is_red_and_names_line_to_change(settle: Callable[..., Any]) -> None:
    settled = settle(PASSED, deviation())

    assert settled.status == "failed"
    assert "deviation gone (deviations.toml:7)" in settled.message
    assert "but the claim holds: narrow its condition or delete it" in settled.message


def test_deviation_expires_after_review_date(where: Path) -> None:
    on_time, late = (Deviations([deviation()], where, day) for day in (TODAY, TODAY + dt.timedelta(days=1)))

    assert on_time.settle(place(), STOPPED).status == "declared"
    settled = late.settle(place(), STOPPED)

    assert settled.status == "failed"
    assert "deviations.toml:7" in settled.message
    assert f"review date {TODAY} is past" in settled.message


def test_two_matching_deviations_are_red(settle: Callable[..., Any]) -> None:
    rows = (deviation("gone"), deviation("wide", variants=None))

    for outcome in (STOPPED, PASSED):
        settled = settle(outcome, *rows)
        assert settled.status == "failed"
        assert "gone, wide apply at once" in settled.message


@pytest.mark.parametrize(
    ("specifier", "version", "applies"),
    [
        (">=2.13", "2.13.0", True),
        (">=2.13", "2.13.0.dev20260101+cpu", True),
        (">=2.13", "2.13.0+cu130", True),
        (">=2.13", "2.13.0rc1", True),
        (">=2.13", "2.12.1", False),
        (">=2.13", "2.12.1+cpu", False),
        ("==2.12.1", "2.12.1+cpu", True),
        ("<2.13", "2.13.0.dev20260101", False),
        (">=2.9,<2.13", "2.10.0a0+git123", True),
        (">=0", "1.13.1", True),
    ],
)
def test_version_specifier_matches_release(
    specifier: str, version: str, applies: bool, settle: Callable[..., Any]
) -> None:
    settled = settle(STOPPED, deviation(torch=specifier), at=place(torch=version))

    assert (settled.status == "declared") is applies


def test_release_drops_dev_suffix_and_local_version() -> None:
    assert str(release("2.13.0.dev20260101+cpu")) == "2.13.0"


@pytest.mark.parametrize(
    ("selectors", "at"),
    [
        ({"claims": ("size",)}, place()),
        ({"subjects": ("deit_base-x86-optimized",)}, place()),
        ({"cases": ("digits",)}, place()),
        ({"engines": ("x86",)}, place()),
        ({"variants": ("lite",)}, place()),
        ({"machines": ("aarch64",)}, place()),
        ({"engines": ("qnnpack",), "variants": None}, place("build", None)),
    ],
    ids=["claim", "subject", "case", "engine", "variant", "machine", "no-cell"],
)
def test_unrelated_deviation_does_not_apply(selectors: dict[str, Any], at: Place, settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED, deviation(**selectors), at=at)

    assert (settled.status, settled.deviation) == ("failed", "")


def test_a_deviation_may_name_a_subject_that_is_no_cell(settle: Callable[..., Any]) -> None:
    row = deviation(claims=("calls",), subjects=("test_something",), variants=None, outcome="failed", error="TypeError")
    outcome = Outcome("failed", error="TypeError", message=f"{XNNPACK}: unexpected keyword")

    settled = settle(outcome, row, at=place("calls", None))

    assert settled.status == "declared"


# A number out of its bounds


@pytest.mark.parametrize("value", [1.9, 1.96, 2.0])
def test_number_inside_declared_range_is_declared(value: float, settle: Callable[..., Any]) -> None:
    settled = settle(failed(off("size", 1.0), off("size_ratio", value)), number(), at=place("size"))

    assert settled.status == "declared"


@pytest.mark.parametrize(
    "outcome",
    [
        failed(off("size_ratio", 1.89)),
        failed(off("size_ratio", 2.01)),
        failed(off("size_ratio", math.nan)),
        failed(off("size", 1.96)),
        failed(off("size_ratio", 1.96), off("size", 9.0)),
        failed(off("size_ratio", 1.96), off("size_ratio", 3.0)),
        failed(off("size_ratio", 1.0)),
        failed(),
        failed(off("size_ratio", 1.96), error="KeyError"),
    ],
    ids=[
        "below-the-window",
        "above-the-window",
        "nan",
        "another-number",
        "a-number-besides",
        "twice-once-outside",
        "all-within-tolerance",
        "no-number",
        "an-error",
    ],
)
def test_number_outside_declared_range_is_red(outcome: Outcome, settle: Callable[..., Any]) -> None:
    settled = settle(outcome, number(), at=place("size"))

    assert settled.status == "failed"
    assert "failed with size_ratio in [1.9, 2]" in settled.message


# What a failed build stops


@pytest.mark.parametrize("claim", ["build", "label", "size"])
def test_blocked_claim_is_covered_by_deviation_of_blocking_build(claim: str, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=f"optimized could not be built: {STOPPED.message}")

    settled = settle(blocked, deviation(), at=place(claim, OPTIMIZED.at("lite")))

    assert (settled.status, settled.deviation) == ("declared", "gone")
    assert settled.message.startswith("blocked by optimized: ")


@pytest.mark.parametrize(
    "row",
    [
        deviation(claims=("label",), variants=("lite",)),
        deviation(variants=("lite",)),
        deviation(variants=("scripted_quantized",)),
        deviation(engines=("x86",)),
        deviation(torch="<2.13"),
    ],
    ids=["of-the-claim", "of-the-child", "of-the-grandparent", "of-another-engine", "of-another-torch"],
)
def test_no_other_deviation_covers_a_blocked_claim(row: Deviation, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=f"optimized could not be built: {STOPPED.message}")

    settled = settle(blocked, row, at=place("label", OPTIMIZED.at("lite")))

    assert (settled.status, settled.deviation) == ("failed", "")


def test_a_build_that_blocks_for_another_reason_is_not_covered(settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message="optimized could not be built: out of registers")

    settled = settle(blocked, deviation(), at=place("label", OPTIMIZED.at("lite")))

    assert settled.status == "failed"
    assert "out of registers" in settled.message


@pytest.mark.parametrize("cell", [None, OPTIMIZED.at("scripted")], ids=["no-cell", "no-ancestor"])
def test_claim_blocked_by_non_ancestor_is_red(cell: CellId | None, settle: Callable[..., Any]) -> None:
    blocked = Outcome("blocked by", "optimized", message=STOPPED.message)

    settled = settle(blocked, deviation(claims=("build", "label"), variants=None), at=place("label", cell))

    assert settled.status == "failed"


@pytest.mark.parametrize("variant", ["optimized", "lite"])
def test_claim_stopped_by_failed_build_is_covered_by_its_deviation(
    variant: VariantName, settle: Callable[..., Any]
) -> None:
    settled = settle(STOPPED, deviation(), at=place("logits_parent", OPTIMIZED.at(variant)))

    assert (settled.status, settled.deviation) == ("declared", "gone")


def test_a_stage_after_the_build_is_not_covered_by_the_deviation_of_the_build(settle: Callable[..., Any]) -> None:
    unloadable = Outcome("failed at", "load", "RuntimeError", XNNPACK)

    settled = settle(unloadable, deviation(), at=place("label", OPTIMIZED))

    assert (settled.status, settled.deviation) == ("failed", "")


# The file


def row_text(**fields: str) -> str:
    values = {
        "id": '"a"',
        "claims": '["build"]',
        "variants": '["optimized"]',
        "torch": '">=2.13"',
        "outcome": '"failed at optimize_for_mobile"',
        "error": '"RuntimeError"',
        "message": '"XNNPACK"',
        "reason": '"why"',
        "link": '"https://example.org"',
        "advice": '"what to do"',
        "review": "2027-01-01",
        **fields,
    }
    return "[[deviation]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


WINDOW = '{ statistic = "size", lower = 2.0, upper = 1.0 }'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row_text(enginse='["x86"]'), "deviation.0.enginse"),
        (row_text(torch='"2.13 or so"'), "'2.13 or so' is not a version specifier"),
        (row_text(review=""), "deviation.0.review"),
        (row_text(review='"soon"'), "deviation.0.review"),
        (row_text(claims='["biuld"]'), "'biuld'"),
        (row_text(cases='["digit"]'), "'digit'"),
        (row_text(engines='["qnn"]'), "deviation.0.engines.0"),
        (row_text(variants='["original"]'), "selects no cell about which 'build' is claimed"),
        (row_text(outcome='"fails"'), "'fails'"),
        (row_text(outcome='"failed at optimizing"'), "'failed at optimizing'"),
        (row_text(outcome='"passed"'), "'passed'"),
        (row_text(outcome='"blocked by optimized"'), "'blocked by optimized'"),
        (row_text(error=""), "names no exact outcome"),
        (row_text(message=""), "names no exact outcome"),
        (row_text(outcome='"failed"', error="", message=""), "names no exact outcome"),
        (row_text(outcome='"failed"', number=WINDOW), "lower is above upper"),
        (row_text(number=WINDOW.replace("2.0", "-inf")), "deviation.0.number.lower"),
        (row_text() + row_text(), "'a'"),
    ],
    ids=[
        "unknown-key",
        "no-specifier",
        "no-review",
        "no-date",
        "unknown-claim",
        "unknown-case",
        "unknown-engine",
        "no-such-cell",
        "unknown-outcome",
        "unknown-stage",
        "expects-a-pass",
        "expects-a-block",
        "no-error",
        "no-message",
        "no-number",
        "crossed-window",
        "open-window",
        "duplicate",
    ],
)
def test_invalid_file_gives_one_line_with_file_and_key(
    text: str, words: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("deviations.toml", text)

    refuses(lambda: read_deviations(path), path, words)


def test_committed_file_is_valid() -> None:
    rows = read_deviations()

    assert [rows.line_of(row) for row in rows.rows] == sorted({rows.line_of(row) for row in rows.rows})


@pytest.mark.parametrize(
    ("per", "reached"), [("cell", False), ("engine", False), ("file", False), ("call", True), ("session", True)]
)
def test_deviation_reaches_selected_cells_and_claims_without_cells(per: str, reached: bool) -> None:
    claim = Claim(id="build", says="It builds.", per=per, variants=("scripted",))

    assert deviation().reaches(claim) is reached
    assert deviation(variants=("scripted",)).reaches(claim)


def test_claim_with_two_deviations_names_first(settle: Callable[..., Any]) -> None:
    settled = settle(STOPPED, deviation("gone"), deviation("another"))

    assert (settled.status, settled.deviation) == ("failed", "gone")
    assert settled.message == "deviation gone (deviations.toml:7): gone, another apply at once: narrow all but one"


@pytest.mark.parametrize(
    ("fields", "at", "applies"),
    [
        ({"machines": ("x86_64",)}, {"machine": "x86_64"}, True),
        ({"machines": ("x86_64",)}, {"machine": "aarch64"}, False),
        ({"makers": "<2.13"}, {"maker": "2.12.1"}, True),
        ({"makers": "<2.13"}, {"maker": "2.13.0"}, False),
        ({"makers": "<2.13"}, {"maker": ""}, False),
        ({"subjects": (str(OPTIMIZED),)}, {}, True),
        ({"subjects": (str(OPTIMIZED.at("lite")),)}, {}, False),  # what stopped is the build of its parent
    ],
)
def test_deviation_is_selected_by_machine_maker_and_subject(
    settle: Callable[..., Any], fields: dict[str, Any], at: dict[str, Any], applies: bool
) -> None:
    where = dataclasses.replace(place("label", OPTIMIZED.at("lite")), **at)

    settled = settle(STOPPED, deviation(variants=None, **fields), at=where)

    assert settled.status == ("declared" if applies else "failed")


@pytest.mark.parametrize(
    ("outcome", "got"),
    [
        (Outcome("failed at", "save", "OSError", "disk full"), "failed at save with OSError: disk full"),
        (Outcome("failed", message="size: 3"), "failed: size: 3"),
    ],
)
def test_message_has_full_expected_and_actual_outcome(settle: Callable[..., Any], outcome: Outcome, got: str) -> None:
    expected = f"failed at optimize_for_mobile with RuntimeError ({XNNPACK})"

    settled = settle(outcome, deviation())

    assert settled == Settled(
        "failed", "gone", f"deviation gone (deviations.toml:7): it expects '{expected}', but got: {got}"
    )


def test_id_in_other_notation_is_located_at_line_1(
    data_file: Callable[[str, str], Path],
) -> None:
    path = data_file("deviations.toml", 'a = 1\n\n[[deviation]]\nid = "g\\u006fne"\n')

    assert Deviations([deviation()], path, TODAY).line_of(deviation()) == 1


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ({"cases": ("deit_base",), "engines": ("x86", "qnnpack")}, True),
        ({"cases": ("digits",)}, False),
        ({"engines": ("x86",)}, False),
        ({"variants": ("lite",)}, False),
        ({"makers": ">=0"}, False),  # it is about files, and this is none
        ({"claims": ("label", "build")}, True),
        ({"claims": ("label",)}, False),
    ],
)
def test_every_given_selector_must_match(fields: dict[str, Any], applies: bool) -> None:
    assert deviation(**fields).applies(place()) is applies


def test_cell_selectors_never_match_subject_without_cell() -> None:
    selectors: tuple[dict[str, Any], ...]
    selectors = ({"cases": ("deit_base",)}, {"engines": ("qnnpack",)}, {"variants": ("optimized",)})
    for fields in selectors:
        row = deviation(**{"variants": None, **fields})
        assert not row.applies(place(cell=None))
    assert deviation(variants=None).applies(place(cell=None))
