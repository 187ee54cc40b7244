"""From logits to numbers: labels, repetition, the native program, blocks, the anchor."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitgate.judge import findings
from vitgate.judge.metrics import sqnr
from vitgate.spec.outcome import Evidence, Finding, Outcome

from .made_evidence import by_name, LOGITS, outputs, pictures


def test_block_distances_are_shown_and_not_judged() -> None:
    found = findings.by_block(Evidence({"sqnr": {"patch_embed": 40.0, "blocks.0": math.nan, "head": 35.0}}))

    assert found == (
        Finding("sqnr at patch_embed", 40.0, "dB", against="original", judged=False),
        Finding("sqnr at blocks.0", math.nan, "dB", against="original", judged=False),
        Finding("sqnr at head", 35.0, "dB", against="original", judged=False),
    )


def test_model_without_blocks_shows_no_distance() -> None:
    assert findings.by_block(Evidence(outcome=Outcome("failed at", at="run", error="LookupError"))) == ()


def test_correct_labels_pass() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([1, 0]), outputs(LOGITS), kind="trained"))

    assert tuple(found.values()) == (
        Finding("right_labels", 1.0, "1"),
        Finding("smallest_margin", 0.5, "logits", judged=False, note="cat"),
        Finding("same_labels", 1.0, "1", against="original", judged=False),
    )


def test_a_wrong_label_is_named_with_its_picture() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([1, 2]), outputs(LOGITS), kind="trained"))

    assert found["right_labels"].value == 0.5
    assert found["right_labels"].note == "cat: got 0, expected 2"


def test_all_wrong_labels_are_named() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([0, 2]), outputs(LOGITS), kind="trained"))

    assert found["right_labels"] == Finding(
        "right_labels", 0.0, "1", note="wolf: got 1, expected 0, cat: got 0, expected 2"
    )


@pytest.mark.parametrize(("known", "labels", "right"), [(2, [1, 2], 0.5), (2, [1, 0], 1.0), (1, [1, 2], 1.0)])
def test_only_first_known_pictures_are_judged_without_true_labels(known: int, labels: list[int], right: float) -> None:
    shown = replace(pictures(labels), values={"names": ["wolf", "cat"], "known": known})

    found = by_name(findings.labels(outputs(LOGITS), shown, outputs(LOGITS), kind="pretrained"))

    assert found["right_labels"].value == right
    assert not found["same_labels"].judged


def test_reference_alone_is_judged_where_a_file_of_weights_comes_without_known_labels() -> None:
    shown = replace(pictures([1, 2]), values={"names": ["seven", "two"]})

    found = by_name(findings.labels(outputs(LOGITS), shown, outputs(LOGITS), kind="file"))

    assert (found["right_labels"].value, found["same_labels"].judged) == (1.0, False)


def test_unknown_labels_are_compared_with_original() -> None:
    shown = replace(pictures([0, 0]), values={"names": ["ball", "cat"], "known": 0})
    other = outputs(LOGITS[[0, 0]])

    assert findings.labels(other, shown, outputs(LOGITS), kind="pretrained") == (
        Finding("same_labels", 0.5, "1", against="original"),
    )


def test_only_reference_is_judged_without_true_labels() -> None:
    logits = np.vstack([LOGITS, LOGITS[:1]])
    original = outputs([[0.0, 1.0, 0.0], [0.0, 0.0, 9.0], [5.0, 0.0, 0.0]])

    found = by_name(findings.labels(outputs(logits), pictures([1, 0, 1]), original, kind="pretrained"))

    assert found["right_labels"].value == 1.0
    assert (found["same_labels"].value, found["same_labels"].judged) == (pytest.approx(1 / 3), False)


def test_reference_needs_its_label_without_true_labels() -> None:
    wrong = outputs([[9.0, 0.0, 0.0], [2.0, 0.0, 1.5]])

    found = by_name(findings.labels(wrong, pictures([1, 0]), wrong, kind="pretrained"))

    assert found["right_labels"].note == "wolf: got 0, expected 1"


@pytest.mark.parametrize("kind", ["trained", "pretrained", "own"])
@pytest.mark.parametrize(
    ("logits", "reference", "labels", "note"),
    [
        ([[0.0, math.nan, 1.0], [2.0, 0.0, 1.5]], LOGITS, [1, 0], "NaN or Inf among the logits"),
        ([[0.0, math.inf, 1.0], [2.0, 0.0, 1.5]], LOGITS, [1, 0], "NaN or Inf among the logits"),
        (LOGITS, [[0.0, 3.0, 1.0], [math.nan, 0.0, 1.5]], [1, 0], "NaN or Inf among the logits"),
        (LOGITS[:1], LOGITS, [1, 0], "logits of shape (1, 3), original (2, 3), 2 labels"),
        (LOGITS, LOGITS[:1], [1, 0], "logits of shape (2, 3), original (1, 3), 2 labels"),
        (LOGITS, LOGITS, [1], "logits of shape (2, 3), original (2, 3), 1 labels"),
        (LOGITS[0], LOGITS[0], [1, 0, 1], "logits of shape (3,), original (3,), 3 labels"),
        (np.empty((0, 3)), np.empty((0, 3)), [], "logits of shape (0, 3), original (0, 3), 0 labels"),
        (np.empty((2, 0)), np.empty((2, 0)), [1, 0], "logits of shape (2, 0), original (2, 0), 2 labels"),
        (LOGITS, LOGITS, [269, 0], "label 269 of 3 classes"),
        (LOGITS, LOGITS, [1, 3], "label 3 of 3 classes"),
    ],
    ids=[
        "nan",
        "inf",
        "nan-in-original",
        "fewer-outputs",
        "fewer-of-original",
        "fewer-labels",
        "one-dimension",
        "no-picture",
        "no-class",
        "label-of-another-model",
        "one-label-too-high",
    ],
)
def test_labels_of_invalid_logits_are_nan(
    logits: NDArray[Any] | list[list[float]],
    reference: NDArray[Any] | list[list[float]],
    labels: list[int],
    note: str,
    kind: str,
) -> None:
    found = findings.labels(outputs(logits), pictures(labels), outputs(reference), kind=kind)

    assert found == (Finding("right_labels", math.nan, "1", note=note),)  # math.nan is one object, so equal to itself


def test_repeated_equal_logits_differ_by_zero() -> None:
    assert findings.repeated(outputs(LOGITS)) == Finding("difference_on_repeat", 0.0, "logits")
    assert findings.repeated(outputs([[2.0]])).value == 0.0  # one number is enough


def test_different_logits_on_repeat_show_as_difference() -> None:
    assert findings.repeated(outputs(LOGITS, again=[[0.0, 3.25, 1.0]])).value == 0.25


@pytest.mark.parametrize(
    "again",
    [np.empty((0, 3)), [[0.0, 3.0]], [[math.nan, 3.0, 1.0]]],
    ids=["nothing", "other-shape", "nan"],
)
def test_incomparable_repetition_is_nan(again: NDArray[Any] | list[list[float]]) -> None:
    assert math.isnan(findings.repeated(outputs(LOGITS, again=again)).value)


@pytest.mark.parametrize(("other", "difference", "kept"), [(1.5, 0.0, 1.0), (2.25, 0.75, 0.5)], ids=["equal", "other"])
def test_native_program_shows_difference_and_kept_labels(other: float, difference: float, kept: float) -> None:
    found = findings.native(outputs(LOGITS), outputs([[0.0, 3.0, 1.0], [2.0, 0.0, other]]))

    assert found == (
        Finding("difference", difference, "logits", against="python"),
        Finding("same_labels", kept, "1", against="python", judged=False),
    )


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (LOGITS[:1], "logits of shape (1, 3), original (2, 3), 2 labels"),
        (LOGITS[:, :2], "logits of shape (2, 2), original (2, 3), 2 labels"),
        (LOGITS[:0], "logits of shape (0, 3), original (2, 3), 2 labels"),
        (LOGITS * np.nan, "NaN or Inf among the logits"),
    ],
    ids=["fewer-pictures", "fewer-classes", "nothing", "nan"],
)
def test_incomparable_native_logits_are_nan(other: NDArray[Any], note: str) -> None:
    found = findings.native(outputs(LOGITS), outputs(other))

    assert found == (Finding("difference", math.nan, "logits", against="python", note=note),)
    assert math.isnan(findings.native(outputs(other), outputs(LOGITS))[0].value)


def test_user_picture_mislabelled_by_original_is_not_held_against_variant() -> None:
    original = outputs([[0.0, 3.0, 1.0], [0.0, 2.0, 1.5]])
    shown = pictures([1, 0])

    assert by_name(findings.labels(original, shown, None, kind="own"))["right_labels"].value == 0.5
    assert by_name(findings.labels(original, shown, original, kind="own"))["right_labels"].value == 1.0
    lost = outputs([[3.0, 0.0, 1.0], [2.0, 0.0, 1.5]])
    found = by_name(findings.labels(lost, shown, original, kind="own"))["right_labels"]
    assert (found.value, found.note) == (0.0, "wolf: got 0, expected 1")


def test_sign_of_single_logit_is_its_label() -> None:
    found = by_name(findings.labels(outputs([[2.0], [-0.5]]), pictures([1, 0]), None, kind="own"))

    assert found["right_labels"].value == 1.0
    assert found["smallest_margin"].value == 0.5
    assert (
        by_name(findings.labels(outputs([[2.0], [0.5]]), pictures([1, 0]), None, kind="own"))["right_labels"].value
        == 0.5
    )


def test_anchor_is_distance_from_committed_logits() -> None:
    committed = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)

    assert findings.anchor(committed, committed) == (
        Finding("finite", 1.0, "1"),
        Finding("sqnr", sqnr(committed, committed), "dB", against="committed"),
    )
    (_, found) = findings.anchor(committed * np.float32(1.1), committed)
    assert found.value == pytest.approx(20.0, abs=1e-3)


def test_uncommitted_anchor_must_be_finite() -> None:
    for shape in ((2, 2), (1, 1)):
        assert findings.anchor(np.ones(shape, np.float32), None) == (Finding("finite", 1.0, "1"),)


@pytest.mark.parametrize("logits", [np.empty((0, 2), np.float32), np.array([[1.0, np.nan]], np.float32)])
def test_nan_anchor_is_not_finite(logits: NDArray[Any]) -> None:
    assert findings.anchor(logits, None) == (Finding("finite", 0.0, "1"),)


def test_anchor_of_another_shape_names_both_shapes() -> None:
    (_, found) = findings.anchor(np.ones((1, 2), np.float32), np.ones((2, 2), np.float32))
    assert found.note == "shapes (2, 2) and (1, 2)"
    assert math.isnan(found.value)
