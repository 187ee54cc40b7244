"""Faults of the judging itself: what is declared, and tests that dodge."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from vitgate.judge.deviations import Deviation, Deviations, ExpectedNumber, read_deviations
from vitgate.plugin import expected_failures, tables
from vitgate.plugin.fixtures import Check

from ..conformance_tests import CASE
from ..scene import Scene
from .catalogue import ALL, fault


def _declare(scene: Scene, *rows: Deviation) -> None:
    _declare_all(scene, [*read_deviations().rows, *rows])


_DEVIATION = Deviation(
    id="made-up",
    claims=("label",),
    cases=(CASE,),
    variants=("lite_frozen",),
    torch=">=1.13,<3",
    outcome="failed",
    number=ExpectedNumber(statistic="right_labels", lower=0.0, upper=0.9),
    reason="Made up.",
    link="https://example.org",
    advice="None.",
    review=dt.date(2100, 1, 1),
)


@fault(label=("lite_frozen",), says="made-up")
def deviation_no_longer_true(scene: Scene) -> None:
    """What was declared to fail passes."""
    _declare(scene, _DEVIATION)


def _widened(name: str, **changes: Any) -> Any:
    """Return a declared deviation that covers more than it did."""
    return [row if row.id != name else replace_row(row, **changes) for row in read_deviations().rows]


def _declare_all(scene: Scene, rows: list[Deviation]) -> None:
    every = Deviations(rows, read_deviations().where, dt.date.today())
    for module in (expected_failures, tables):
        scene.patch.setattr(module, "read_deviations", lambda: every)


@fault(build=("optimized",), says="narrow its condition")
def deviation_covers_earlier_releases(scene: Scene) -> None:
    """A deviation's range was widened to releases on which the claim holds."""
    _declare_all(scene, _widened("xnnpack-gone", torch=">=1.13,<3"))


@fault(size=("lite", "lite_frozen"), says="narrow its condition", engine="qnnpack")
def deviation_covers_other_engines(scene: Scene) -> None:
    """A deviation's condition was widened to an engine on which the claim holds."""
    _declare_all(scene, _widened("lite-stored-twice", engines=None))


@fault(label=("lite_frozen",), says="review date")
def deviation_past_its_review(scene: Scene) -> None:
    """A deviation's review date is past, though what it declares is so."""
    scene.running("lite_frozen", lambda run: lambda x: run(x).roll(1, dims=1))
    _keep_all_but_label(scene)
    _declare(scene, replace_row(_DEVIATION, review=dt.date(2020, 1, 1)))


def _keep_all_but_label(scene: Scene) -> None:
    """Judge nothing but the label by what runs now: the other claims about this variant are not this fault's."""
    for claim in ("repeatable", "logits_original", "logits_parent", "accuracy", "images", "table"):
        scene.test_instead(claim, _passes)


def _passes(check: Check) -> None:
    check.assert_that(holds=True, message="")


def replace_row(row: Deviation, **changes: Any) -> Deviation:
    """Return a deviation with some fields changed."""
    return row.model_copy(update=changes)


@fault(label=("lite_frozen",), says="apply at once")
def two_deviations_at_once(scene: Scene) -> None:
    """Two deviations apply to one claim about one cell."""
    _declare(scene, _DEVIATION, replace_row(_DEVIATION, id="made-up-too"))


@fault(label=ALL, says="never skipped", everywhere=True)
def skips_itself(scene: Scene) -> None:
    """A claim's test calls pytest.skip instead of judging."""

    def skipping(check: Check) -> None:
        pytest.skip("not today")

    scene.test_instead("label", skipping)


@fault(label=ALL, says="nothing was compared", everywhere=True)
def nothing_compared(scene: Scene) -> None:
    """A test hands over no number at all."""
    scene.test_instead("label", lambda check: check.assert_within(findings=[]))


@fault(label=ALL, says="ZeroDivisionError", everywhere=True)
def breaks_itself(scene: Scene) -> None:
    """A test has an error of its own."""

    def broken(check: Check) -> None:
        raise ZeroDivisionError("division by zero")

    scene.test_instead("label", broken)
