"""A user's own tolerances: about their own cases alone, and about statistics that the claim has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.judge.tolerances import own_tolerances, read_tolerances, Tolerance, Tolerances
from vitgate.spec.cases import read_own
from vitgate.spec.cells import CellId
from vitgate.spec.options import OWN
from vitgate.spec.outcome import Finding

from ..conftest import Refuses

CASE = """
[[case]]
id = "mine"
title = "mine"
build = "mine:build"
input = [3, 8, 8]
files = "mine"
picture = [{ file = "a.png", label = 1 }]
"""


def row(claim: str = "size", statistic: str = "size_ratio", against: str = "parent", more: str = "") -> str:
    about = f'claim = "{claim}"\nstatistic = "{statistic}"\nagainst = "{against}"\nunit = "1"\n{more}\n'
    return f'[[tolerance]]\nid = "mine.row"\n{about}upper = 3.0\nreason = "It is small."\nmeasured = "here"\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a helper that names a file of the case `mine` with these tolerances."""

    def write(tolerances: str) -> Path:
        path = tmp_path / "own.toml"
        path.write_text(CASE + tolerances, encoding="utf-8")
        monkeypatch.setenv(OWN, str(path))
        return path

    return write


@pytest.mark.parametrize("more", ["", 'cases = ["mine"]'], ids=["no-case", "own-case"])
def test_own_row_is_about_own_cases_alone(more: str, own: Callable[[str], Path]) -> None:
    path = own(row(more=more))

    assert [each.cases for each in own_tolerances(read_own(path), path)] == [("mine",)]


@pytest.mark.parametrize(
    ("claim", "statistic", "against"),
    [("size", "size_ratio", "parent"), ("size", "copies", ""), ("latency", "ratio", "original")],
    ids=["shown", "judged", "claim-that-shows-nothing"],
)
def test_own_row_decides_about_a_statistic_that_the_claim_has(
    claim: str, statistic: str, against: str, own: Callable[[str], Path]
) -> None:
    own(row(claim, statistic, against))
    finding = Finding(statistic, 1.0, "1", against=against)

    assert read_tolerances().find(claim, finding, CellId("mine", "qnnpack", "lite"), "own", "").id == "mine.row"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row(statistic="right_labels"), "tolerance mine.row: statistic 'right_labels' does not exist"),
        (row(claim="latency", against="parent"), "tolerance mine.row: statistic 'size_ratio' does not exist"),
        (row(against="scripted"), "tolerance mine.row: against 'scripted' does not exist"),
        (row("batch", "sqnr", "parent"), "tolerance mine.row: against 'parent' does not exist"),
        (row(claim="sizes"), "tolerance mine.row: claim 'sizes' does not exist"),
        (row(more='cases = ["digits"]'), "tolerance mine.row: case 'digits' does not exist"),
        (row(more='machine = "x86_64"'), "tolerance.0.machine"),
    ],
    ids=["statistic", "statistic-of-another-claim", "against", "against-of-another-claim", "claim", "case", "key"],
)
def test_own_row_about_what_does_not_exist_is_refused_with_its_file(
    text: str, words: str, own: Callable[[str], Path], refuses: Refuses
) -> None:
    path = own(text)

    refuses(read_tolerances, words, path)


SHOWN_ROW = Tolerance(
    id="mine.row",
    claim="size",
    statistic="size_ratio",
    unit="1",
    against="parent",
    cases=("mine",),
    weights=("own",),
    machines=("x86_64",),
    upper=3.0,
    reason="It is small.",
    measured="here",
)
SHOWN_NUMBER = Finding("size_ratio", 4.0, "1", against="parent", judged=False)


@pytest.mark.parametrize(
    ("claim", "case", "weights", "machine", "judged"),
    [
        ("size", "mine", "own", "x86_64", True),
        ("label", "mine", "own", "x86_64", False),
        ("size", "digits", "own", "x86_64", False),
        ("size", "mine", "standin", "x86_64", False),
        ("size", "mine", "own", "aarch64", False),
    ],
    ids=["selected", "claim", "case", "weights", "machine"],
)
def test_number_that_is_only_shown_is_judged_where_own_row_selects_it(
    claim: str, case: str, weights: str, machine: str, judged: bool
) -> None:
    tolerances = Tolerances([], "tolerances", own=[SHOWN_ROW])

    found = tolerances.bounded(claim, SHOWN_NUMBER, CellId(case, "qnnpack", "lite"), weights, machine)

    bounds: dict[str, Any] = {"upper": 3.0, "tolerance": "mine.row", "judged": True} if judged else {}
    assert found == replace(SHOWN_NUMBER, **bounds)
    assert found.ok is not judged
