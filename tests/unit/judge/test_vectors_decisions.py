"""Decisions for several labels: what is judged, what the expected error excuses, what it does not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from vitgate.judge import vectors
from vitgate.judge.metrics import Array
from vitgate.spec.outcome import Evidence, Finding

from .made_evidence import by_name, outputs
from .near import near


def pictures(*decisions: tuple[list[int], bool]) -> Evidence:
    return Evidence({"names": ["wolf", "cat"], "decisions": [[labels, every] for labels, every in decisions]})


LOGITS = np.array([[2.0, -1.0, 0.5], [-2.0, -1.0, 3.0]], np.float32)
GIVEN = pictures(([0, 2], True), ([2], False))


def decided(own: npt.ArrayLike, expected: Array | None = None, shown: Evidence = GIVEN) -> dict[str, Finding]:
    return by_name(vectors.decisions(outputs(own), shown, outputs(LOGITS), expected, kind="own"))


def test_same_decisions_pass() -> None:
    found = decided(LOGITS * 1.5)

    assert {name: each.value for name, each in found.items()} == {
        "right_labels": 1.0,
        "same_decisions": 1.0,
        "all_decisions": 1.0,
    }
    assert found["same_decisions"].note == "6 of 6 are clear"


def test_flipped_decision_is_named_with_its_picture_and_label() -> None:
    flipped = LOGITS.copy()
    flipped[0, 1] = 0.25

    found = decided(flipped, LOGITS + np.float32(0.01))

    assert found["same_decisions"].value == pytest.approx(5 / 6)
    assert found["same_decisions"].note == "wolf: label 1 +0.25, was -1; 6 of 6 are clear"
    assert found["right_labels"].value == 0.5
    assert found["right_labels"].note == "wolf: got [0, 1, 2], expected [0, 2]"


def test_decision_within_the_expected_error_may_change() -> None:
    flipped = LOGITS.copy()
    flipped[0, 2] = -0.1

    found = decided(flipped, LOGITS + np.float32(0.2))  # four times 0.2 is more than 0.5

    assert (found["same_decisions"].value, found["right_labels"].value) == (1.0, 1.0)
    assert found["same_decisions"].note == "5 of 6 are clear"
    assert (found["all_decisions"].value, found["all_decisions"].judged) == (pytest.approx(5 / 6), False)


def test_nothing_clear_is_a_failure() -> None:
    found = decided(LOGITS, LOGITS + np.float32(9.0))["same_decisions"]

    assert math.isnan(found.value)


def test_one_label_may_have_others_beside_it() -> None:
    assert decided(LOGITS, shown=pictures(([2], False), ([2], False)))["right_labels"].value == 1.0


@pytest.mark.parametrize(
    ("given", "says"),
    [(([], True), "wolf: got [0, 2], expected []"), (([1], False), "wolf: got [0, 2], expected [1] among them")],
)
def test_labels_that_the_original_gets_wrong_are_named_and_judge_no_variant(
    given: tuple[list[int], bool], says: str
) -> None:
    shown = pictures(given, ([2], True))

    (own,) = vectors.decisions(outputs(LOGITS), shown, None, None, kind="own")

    assert (own.value, own.note) == (0.5, says)
    assert decided(LOGITS, shown=shown)["right_labels"] == Finding("right_labels", 1.0, "1")


def test_variant_is_judged_by_decisions_alone_where_every_label_is_wrong() -> None:
    assert [*decided(LOGITS, shown=pictures(([1], True), ([1], True)))] == ["same_decisions", "all_decisions"]


@pytest.mark.parametrize(
    ("own", "expected", "given", "note"),
    [
        (LOGITS[:1], None, GIVEN, "shapes (1, 3), original (2, 3)"),
        (LOGITS, LOGITS[:, :1], GIVEN, "shapes (2, 3), original (2, 3), (2, 1)"),
        (np.full_like(LOGITS, np.inf), None, GIVEN, "NaN or Inf among them"),
        (LOGITS, None, pictures(([3], True), ([2], True)), "a label beyond the 3 of the model"),
    ],
    ids=["fewer", "other labels expected", "infinite", "label beyond"],
)
def test_decisions_without_comparison_give_nan(own: Array, expected: Array | None, given: Evidence, note: str) -> None:
    found = vectors.decisions(outputs(own), given, outputs(LOGITS), expected, kind="own")

    assert found == near(Finding("right_labels", math.nan, "1", note=note))


def test_picture_without_labels_is_right_where_none_holds() -> None:
    found = vectors.decisions(outputs([[-1.0], [-2.0]]), pictures(([], True), ([], False)), None, None, kind="own")

    assert found == (Finding("right_labels", 1.0, "1"),)


def test_original_may_find_labels_beside_those_given_as_some() -> None:
    found = vectors.decisions(outputs(LOGITS), pictures(([2], False), ([2], False)), None, None, kind="own")

    assert found == (Finding("right_labels", 1.0, "1"),)


def test_every_wrong_picture_of_the_original_is_named() -> None:
    found = vectors.decisions(outputs(LOGITS * 0), GIVEN, None, None, kind="own")

    note = "wolf: got [], expected [0, 2], cat: got [], expected [2] among them"
    assert found == (Finding("right_labels", 0.0, "1", note=note),)


def test_logit_of_zero_decides_against_its_label() -> None:
    original, own = outputs([[2.0, -1.0, 0.0], [-2.0, -1.0, 3.0]]), outputs([[0.0, -1.0, -0.5], [-2.0, 0.0, 3.0]])

    found = vectors.decisions(own, pictures(([0], True), ([2], False)), original, None, kind="own")

    assert found == near(
        Finding("right_labels", 0.5, "1", note="wolf: got [], expected [0]"),
        Finding("same_decisions", 0.8, "1", against="original", note="wolf: label 0 +0, was +2; 5 of 6 are clear"),
        Finding("all_decisions", 5 / 6, "1", against="original", judged=False),
    )


def test_logits_of_zeros_are_no_decisions() -> None:
    zeros = outputs(LOGITS * 0)

    found = vectors.decisions(zeros, pictures(([0], True), ([0], True)), zeros, None, kind="own")

    note = "no logit is so far from 0 that the expected error cannot change its sign"
    assert found == near(Finding("same_decisions", math.nan, "1", against="original", note=note))
