"""Which claims, cells, releases, machines and files a deviation is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from vitgate.judge.deviations import Place
from vitgate.spec.claims import Claim
from vitgate.spec.outcome import Outcome
from vitgate.spec.versions import release

from .made_deviations import deviation, OPTIMIZED, place, STOPPED, XNNPACK


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


@pytest.mark.parametrize(
    ("per", "reached"),
    [("cell", False), ("engine", False), ("case", False), ("file", False), ("call", True), ("session", True)],
)
def test_deviation_reaches_selected_cells_and_claims_without_cells(per: str, reached: bool) -> None:
    claim = Claim(id="build", says="It builds.", per=per, variants=("scripted",))

    assert deviation().reaches(claim) is reached
    assert deviation(variants=("scripted",)).reaches(claim)


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
