"""Embeddings: what is judged of them, what the expected error excuses, what it does not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from vitgate.judge import vectors
from vitgate.judge.metrics import Array
from vitgate.spec.outcome import Evidence, Finding

from .made_evidence import by_name, outputs
from .near import near

PICTURES = Evidence({"names": ["wolf", "cat", "fox", "dog"]})
RANDOM = np.random.default_rng(0)
EMBEDDINGS = RANDOM.standard_normal((4, 64)).astype(np.float32)


def noisy(rows: Array, noise: float, seed: int = 1) -> Array:
    scale = noise * np.linalg.norm(rows, axis=1, keepdims=True) / math.sqrt(rows.shape[1])
    return (rows + scale * np.random.default_rng(seed).standard_normal(rows.shape)).astype(np.float32)


def embedded(own: Array, expected: Array | None = None) -> dict[str, Finding]:
    return by_name(vectors.embeddings(outputs(own), PICTURES, outputs(EMBEDDINGS), expected))


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


def test_neighbours_within_the_expected_error_are_not_judged() -> None:
    close = np.vstack([EMBEDDINGS[:1], noisy(np.repeat(EMBEDDINGS[1:2], 3, axis=0), 0.001)])
    other = noisy(close, 0.01)

    found = by_name(vectors.embeddings(outputs(other), PICTURES, outputs(close), noisy(close, 0.01, 3)))

    assert not found["same_neighbours"].judged
    assert "0 of 4 have a clear one" in found["same_neighbours"].note


@pytest.mark.parametrize("seed", range(20))
def test_equal_and_opposite_pictures_are_as_clear_as_rounding_allows(seed: int) -> None:
    one = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    same = outputs([one, one, -one])  # the third has two that are equally near

    found = by_name(vectors.embeddings(same, PICTURES, same, None))["same_neighbours"]

    assert found.note == "2 of 3 have a clear one"


def test_two_pictures_have_no_neighbours_to_lose() -> None:
    found = vectors.embeddings(outputs(EMBEDDINGS[:2]), PICTURES, outputs(EMBEDDINGS[:2]), None)

    assert [each.statistic for each in found] == ["cosine"]


def test_noise_below_the_clear_margin_never_changes_a_clear_neighbour() -> None:
    for seed in range(200):
        rows = np.random.default_rng(seed).standard_normal((4, 8)).astype(np.float32)
        found = by_name(
            vectors.embeddings(outputs(noisy(rows, 0.1, seed + 1)), PICTURES, outputs(rows), noisy(rows, 0.3, seed + 2))
        )
        assert found["same_neighbours"].value == 1.0 or not found["same_neighbours"].judged


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("rows", "share"),
    [
        (np.eye(2), 1.0),
        ([[1.0, 0.0], [0.0, 0.0]], 0.5),
        ([[1.0, 0.0], [np.nan, 1.0]], 0.5),
        (np.zeros((2, 0)), 0.0),
        (np.zeros((0, 2)), math.nan),
        (np.ones(2), math.nan),
    ],
    ids=["sound", "zeros", "nan", "no numbers", "no pictures", "flat"],
)
def test_original_embedding_is_finite_and_not_zero(rows: npt.ArrayLike, share: float) -> None:
    assert vectors.embeddings(outputs(rows), PICTURES, None, None) == near(Finding("finite", share, "1"))


@pytest.mark.parametrize(
    ("own", "expected", "note"),
    [
        (EMBEDDINGS[:2], None, "shapes (2, 64), original (4, 64)"),
        (EMBEDDINGS[:, :9], None, "shapes (4, 9), original (4, 64)"),
        (EMBEDDINGS[0], None, "shapes (64,), original (4, 64)"),
        (EMBEDDINGS, EMBEDDINGS[:0], "shapes (4, 64), original (4, 64), (0, 64)"),
        (EMBEDDINGS, EMBEDDINGS[:, :1], "shapes (4, 64), original (4, 64), (4, 1)"),
        (np.full_like(EMBEDDINGS, np.nan), None, "NaN or Inf among them"),
        (EMBEDDINGS, np.full_like(EMBEDDINGS, np.inf), "NaN or Inf among them"),
    ],
    ids=["fewer", "shorter", "flat", "nothing expected", "shorter expected", "nan", "infinite expected"],
)
def test_embeddings_without_comparison_give_nan(own: Array, expected: Array | None, note: str) -> None:
    found = vectors.embeddings(outputs(own), PICTURES, outputs(EMBEDDINGS), expected)

    assert found == near(Finding("cosine", math.nan, "1", against="original", note=note))


def test_no_embeddings_are_no_comparison() -> None:
    none = outputs(np.zeros((0, 3)))
    note = "shapes (0, 3), original (0, 3)"

    found = vectors.embeddings(none, PICTURES, none, None)

    assert found == near(Finding("cosine", math.nan, "1", against="original", note=note))


def test_embedding_of_one_number_has_a_direction() -> None:
    found = vectors.embeddings(outputs([[2.0]]), PICTURES, outputs([[-3.0]]), None)

    assert found == near(Finding("cosine", -1.0, "1", against="original"))


@pytest.mark.filterwarnings("error")
def test_embedding_of_zeros_has_no_direction() -> None:
    assert math.isnan(embedded(np.zeros_like(EMBEDDINGS))["cosine"].value)
    assert math.isnan(embedded(np.zeros_like(EMBEDDINGS), noisy(EMBEDDINGS, 0.03))["cosine_change"].value)


def turned(*degrees: float) -> Array:
    """Return vectors of length 1/2 in these directions."""
    angles = np.radians(degrees)
    return (np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2).astype(np.float32)


def test_direction_and_neighbours_are_judged_by_the_expected_turn() -> None:
    found = vectors.embeddings(
        outputs(turned(10, 20, 110, 130)), PICTURES, outputs(turned(0, 10, 90, 110)), turned(1, 11)
    )

    assert found == near(
        Finding(
            "cosine_change",
            20 * math.log10(math.sin(math.radians(1)) / math.sin(math.radians(10))) + 13.02883,  # of four numbers
            "dB",
            against="expected",
            note="cosine 0.939693, 0.999848 expected",  # of 20 degrees and of 1
        ),
        Finding("cosine", 0.939693, "1", against="original", judged=False),
        Finding("same_neighbours", 1.0, "1", against="original", note="4 of 4 have a clear one"),
    )


def test_float_embedding_with_another_neighbour_is_named() -> None:
    found = vectors.embeddings(outputs(turned(0, 10, 30, 110)), PICTURES, outputs(turned(0, 10, 90, 110)), None)

    note = "fox: got cat, expected dog; 4 of 4 have a clear one"
    assert found == near(
        Finding("cosine", 0.5, "1", against="original"),
        Finding("same_neighbours", 0.75, "1", against="original", note=note),
    )


CHANGED = "cat: got fox, expected wolf; "


@pytest.mark.parametrize(
    ("turn", "finding"),
    [
        (2.4, Finding("same_neighbours", 2 / 3, "1", note=f"{CHANGED}3 of 3 have a clear one")),
        (2.6, Finding("same_neighbours", 1.0, "1", note="2 of 3 have a clear one")),
        (4.1, Finding("same_neighbours", 1.0, "1", note="2 of 3 have a clear one")),
        (4.2, Finding("same_neighbours", 1.0, "1", note="1 of 3 have a clear one")),
        (6.6, Finding("same_neighbours", 1.0, "1", note="1 of 3 have a clear one")),
        (6.8, Finding("same_neighbours", 2 / 3, "1", judged=False, note="0 of 3 have a clear one")),
    ],
)
def test_neighbour_is_judged_while_the_expected_turn_cannot_change_it(turn: float, finding: Finding) -> None:
    """At 0, 10 and 30 degrees a neighbour's lead is taken by a turn of 6.7, 2.5 and 4.2 degrees.

    That is where the sine of the turn is cos(q, a) - cos(q, b) divided by |a - b| + sin(q, a) + sin(q, b).
    """
    expected = turned(*(at + turn for at in (0, 10, 30)))

    found = vectors.embeddings(outputs(turned(0, 16, 30)), PICTURES, outputs(turned(0, 10, 30)), expected)

    assert found[2:] == near(replace(finding, against="original"))
