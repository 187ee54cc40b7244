"""Embeddings and decisions for several labels: what is judged, what the expected error excuses, what it does not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from vitgate.judge import vectors
from vitgate.judge.metrics import Array
from vitgate.spec.outcome import Evidence, Finding

from .made_evidence import by_name

NAMES = ["wolf", "cat", "fox", "dog"]
RANDOM = np.random.default_rng(0)
EMBEDDINGS = RANDOM.standard_normal((4, 64)).astype(np.float32)


def outputs(logits: npt.ArrayLike) -> Evidence:
    return Evidence(arrays={"logits": np.asarray(logits, np.float32)})


def pictures(*decisions: tuple[list[int], bool]) -> Evidence:
    return Evidence({"names": NAMES, "decisions": [[labels, every] for labels, every in decisions]})


def noisy(rows: Array, noise: float, seed: int = 1) -> Array:
    scale = noise * np.linalg.norm(rows, axis=1, keepdims=True) / math.sqrt(rows.shape[1])
    return (rows + scale * np.random.default_rng(seed).standard_normal(rows.shape)).astype(np.float32)


def embedded(own: Array, expected: Array | None = None) -> dict[str, Finding]:
    return by_name(vectors.embeddings(outputs(own), pictures(), outputs(EMBEDDINGS), expected))


# Embeddings


def test_float_embedding_is_judged_by_cosine_and_neighbours() -> None:
    found = embedded(EMBEDDINGS * 2)

    assert [*found] == ["cosine", "same_neighbours"]
    assert (found["cosine"].value, found["cosine"].judged) == (pytest.approx(1.0), True)
    assert found["same_neighbours"].value == 1.0
    assert found["same_neighbours"].note == "4 of 4 have a clear one"


def test_int8_embedding_is_judged_by_the_expected_direction() -> None:
    found = embedded(noisy(EMBEDDINGS, 0.03, 2), noisy(EMBEDDINGS, 0.03))

    assert found["cosine_change"].value == 0.0
    assert not found["cosine"].judged
    assert found["cosine_change"].note.startswith("cosine 0.999")


def test_larger_error_than_expected_lowers_the_direction() -> None:
    found = embedded(noisy(EMBEDDINGS, 0.12), noisy(EMBEDDINGS, 0.03))

    assert found["cosine_change"].value < -9.0


@pytest.mark.parametrize("at", [0, 17, 63])
def test_zeroed_coordinate_is_seen(at: int) -> None:
    spoiled = noisy(EMBEDDINGS, 0.03)
    spoiled[:, at] = 0.0

    assert embedded(spoiled, noisy(EMBEDDINGS, 0.03, 2))["cosine_change"].value < -1.5


def test_other_nearest_picture_is_named() -> None:
    swapped = EMBEDDINGS[[1, 2, 3, 0]]

    found = embedded(swapped)["same_neighbours"]

    assert found.judged
    assert found.value < 1.0
    assert "wolf: got " in found.note and ", expected " in found.note


def test_neighbours_within_the_expected_error_are_not_judged() -> None:
    close = np.vstack([EMBEDDINGS[:1], noisy(np.repeat(EMBEDDINGS[1:2], 3, axis=0), 0.001)])
    other = noisy(close, 0.01)

    found = by_name(vectors.embeddings(outputs(other), pictures(), outputs(close), noisy(close, 0.01, 3)))

    assert not found["same_neighbours"].judged
    assert "0 of 4 have a clear one" in found["same_neighbours"].note


def test_two_pictures_have_no_neighbours_to_lose() -> None:
    found = vectors.embeddings(outputs(EMBEDDINGS[:2]), pictures(), outputs(EMBEDDINGS[:2]), None)

    assert [each.statistic for each in found] == ["cosine"]


def test_noise_below_the_clear_margin_never_changes_a_clear_neighbour() -> None:
    for seed in range(200):
        rows = np.random.default_rng(seed).standard_normal((4, 8)).astype(np.float32)
        found = by_name(
            vectors.embeddings(
                outputs(noisy(rows, 0.1, seed + 1)), pictures(), outputs(rows), noisy(rows, 0.3, seed + 2)
            )
        )
        assert found["same_neighbours"].value == 1.0 or not found["same_neighbours"].judged


@pytest.mark.parametrize(
    ("rows", "share"), [([[1.0, 0.0], [0.0, 1.0]], 1.0), ([[1.0, 0.0], [0.0, 0.0]], 0.5), ([[np.nan, 1.0]], 0.0)]
)
def test_original_embedding_is_finite_and_not_zero(rows: list[list[float]], share: float) -> None:
    assert vectors.embeddings(outputs(rows), pictures(), None, None) == (Finding("finite", share, "1"),)


@pytest.mark.parametrize(
    "own",
    [EMBEDDINGS[:2], EMBEDDINGS[:, :9], np.full_like(EMBEDDINGS, np.nan), EMBEDDINGS[0]],
    ids=["fewer", "shorter", "nan", "flat"],
)
def test_embeddings_without_comparison_give_nan(own: Array) -> None:
    found = embedded(own)

    assert [*found] == ["cosine"]
    assert math.isnan(found["cosine"].value)
    assert found["cosine"].note


def test_embedding_of_zeros_has_no_direction() -> None:
    assert math.isnan(embedded(np.zeros_like(EMBEDDINGS))["cosine"].value)
    assert math.isnan(embedded(np.zeros_like(EMBEDDINGS), noisy(EMBEDDINGS, 0.03))["cosine_change"].value)


# Decisions

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
    assert "no logit is so far from 0" in found.note


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


@pytest.mark.parametrize("own", [LOGITS[:1], np.full_like(LOGITS, np.inf)], ids=["fewer", "infinite"])
def test_decisions_without_comparison_give_nan(own: Array) -> None:
    assert math.isnan(decided(own)["right_labels"].value)


def test_label_beyond_the_model_gives_nan() -> None:
    assert (
        decided(LOGITS, shown=pictures(([3], True), ([2], True)))["right_labels"].note
        == "a label beyond the 3 of the model"
    )
