"""Small tensors whose distances and differing steps are known exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vitgate.files.hashing import digest
from vitgate.judge.input_tensors import (
    detail,
    distance,
    File,
    first_step,
    golden_steps,
    of_projections,
    of_tensors,
    projections,
    step,
    summary,
    worst,
)
from vitgate.spec.outcome import Finding

Values = npt.NDArray[Any]

BEFORE = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 9)).astype(np.float32)
BEFORE[0, 0, 0, :2] = 0, 255  # so that a step is 1
UNSEEN: list[File] = [{}, {}]
NO_OTHER = "neither another order of channels nor another normalization explains it"
OTHER_SIZE = f"decode, resize or crop ({NO_OTHER})"
FEW_LEVELS = "decode or resize (by a few levels, as another decoder or another rounding does)"


def changed(*places: tuple[int, ...], by: float = 2.0, of: Values = BEFORE) -> Values:
    """Return the values with some of them changed."""
    now = of.copy()
    for place in places:
        now[place] += by if now[place] < 128 else -by
    return now


def said(before: Values, now: Values, old: list[File] = UNSEEN, new: list[File] = UNSEEN, one: float = 1.0) -> str:
    return first_step(of_tensors(before, old), of_tensors(now, new), one)


# Numbers


def test_step_is_a_level_of_the_range() -> None:
    assert [step(-1.0, 1.0), step(0.0, 510.0), step(3.0, 3.0)] == [2 / 255, 2.0, 1 / 255]


@pytest.mark.parametrize(
    ("rows", "value"),
    [([[0, 1], [3, 7]], 2.5 + 4.5), ([[0, 1, 3]], 1.5), ([[0], [1], [3]], 1.5), ([[5]], 0.0)],
    ids=["both directions", "one row", "one column", "one pixel"],
)
def test_detail_is_mean_difference_of_neighbours(rows: list[list[int]], value: float) -> None:
    assert detail(np.array([rows], np.float64)) == value


def test_pictures_are_rows_of_channels_one_after_another() -> None:
    found = of_tensors(np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2), UNSEEN)

    assert found.rows.tolist() == [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]]
    assert (found.ones.tolist(), found.detail, found.files) == ([1.0] * 8, 3.0, UNSEEN)
    assert found.values is not None and found.values.dtype == np.float64


def test_projected_pictures_are_rows_of_channels_one_after_another() -> None:
    kept = [projections(each) for each in BEFORE]

    found = of_projections([each.ravel().tolist() for each in kept], (3, 9, 9), [1.0, 4.0], UNSEEN)

    ones = projections(np.ones((1, 9, 9)))[0].tolist()
    assert found.rows.tolist() == np.concatenate(kept, axis=1).tolist()
    assert (found.ones.tolist(), found.detail, found.files, found.values) == (ones * 2, 2.5, UNSEEN, None)


def test_summary_is_of_float32_and_rounded() -> None:
    values = np.array([[[1 / 3, 2 / 3]], [[-1.0, 0.0]]])
    projected = tuple(float(f"{value:.6g}") for value in projections(values.astype(np.float32)).ravel())

    assert summary(values) == {
        "digest": digest(values.astype(np.float32).tobytes()),
        "shape": (2, 1, 2),
        "low": -1.0,
        "high": 0.666667,
        "detail": 0.666667,
        "projections": projected,
    }


@pytest.mark.parametrize("values", [np.zeros((3, 0, 4)), np.full((3, 1, 1), np.inf)], ids=["empty", "infinite"])
def test_what_holds_no_numbers_is_summed_up_by_its_digest(values: Values) -> None:
    assert summary(values) == {"digest": digest(values.astype(np.float32).tobytes()), "shape": values.shape}


def test_distance_is_root_mean_square_in_steps() -> None:
    assert distance([0.0, 3.0], [4.0, 3.0], 0.5) == pytest.approx(math.sqrt(8.0) / 0.5)
    assert distance([1.0], [3.0], 0.5) == 4.0
    assert math.isnan(distance([], [], 1.0))
    assert math.isnan(distance([1.0], [1.0, 2.0], 1.0))


# Golden tensors


def test_largest_step_is_judged_and_share_of_pixels_shown() -> None:
    now = changed((0, 0, 4, 4), (0, 1, 4, 4), (1, 2, 8, 8), by=2.0)
    now[0, 0, 0, 0] = 0.01  # a hundredth of a step is no other pixel

    assert golden_steps(BEFORE, now) == [
        Finding("steps", 2.0, "steps", against="golden"),
        Finding("pixels", 2 / 162, "1", against="golden", judged=False),
    ]
    assert golden_steps(2 * BEFORE, 2 * now, against="slow", note="a word") == [
        Finding("steps", 2.0, "steps", against="slow", note="a word"),
        Finding("pixels", 2 / 162, "1", against="slow", judged=False, note="a word"),
    ]


def test_infinite_value_has_no_share_of_pixels() -> None:
    now = BEFORE.copy()
    now[0, 0, 0, 0] = math.inf

    assert golden_steps(BEFORE, now) == [
        Finding("steps", math.inf, "steps", against="golden"),
        Finding("pixels", math.nan, "1", against="golden", judged=False),
    ]


@pytest.mark.parametrize(("note", "start"), [("", ""), ("a word", "a word; ")])
@pytest.mark.parametrize(("before", "now"), [(BEFORE, BEFORE[:1]), (BEFORE[:0], BEFORE[:0])], ids=["fewer", "none"])
def test_shapes_that_cannot_be_compared_are_noted(before: Values, now: Values, note: str, start: str) -> None:
    shapes = f"{start}shapes {before.shape} and {now.shape}"

    found = golden_steps(before, now, against="slow", note=note)

    assert found == [Finding("steps", math.nan, "steps", against="slow", note=shapes)]


# The worst picture


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([(0, 0, 4, 4), (0, 1, 4, 4)], "a: 2 steps at most, in 1 of 81 pixels"),
        ([(0, 0, 4, 4), (1, 0, 4, 4), (1, 1, 5, 5)], "a: 2 steps at most, in 1 of 81 pixels, and 1 other"),
        ([(0, 0, 4, 4), (1, 0, 4, 4), (2, 1, 5, 5)], "a: 2 steps at most, in 1 of 81 pixels, and 2 others"),
    ],
    ids=["one", "two", "three"],
)
def test_other_pictures_that_differ_are_counted(places: list[tuple[int, ...]], words: str) -> None:
    before, files = np.concatenate([BEFORE, BEFORE]), UNSEEN * 2
    now = changed(*places, of=before)
    now[3, 0, 0, 1] -= 0.0099  # less than a hundredth of a step is the same

    text = worst("abcd", of_tensors(before, files), of_tensors(now, files))

    assert text == f"{words}; first step that differs: {FEW_LEVELS}"


def test_picture_with_nan_is_the_worst() -> None:
    now = changed((0, 0, 4, 4))
    now[1, 0, 4, 4] = math.nan

    text = worst("ab", of_tensors(BEFORE, UNSEEN), of_tensors(now, UNSEEN))

    assert text == (
        "b: inf steps at most, in 1 of 81 pixels, and 1 other; first step that differs: a tensor holds NaN or infinity"
    )


def test_worst_step_counts_in_the_range_before() -> None:
    now = changed((1, 0, 4, 4), by=3.0)

    text = worst("ab", of_tensors(2 * BEFORE, UNSEEN), of_tensors(2 * now, UNSEEN))

    assert text == f"b: 3 steps at most, in 1 of 81 pixels; first step that differs: {FEW_LEVELS}"


def test_pictures_without_tensors_have_no_worst() -> None:
    known = of_tensors(BEFORE, UNSEEN)
    unknown = replace(known, values=None)

    assert [worst("ab", *pair) for pair in ((known, unknown), (unknown, known))] == ["the shapes differ"] * 2


# The first step that differs


def test_decoder_is_named_by_first_picture_that_it_reads_otherwise() -> None:
    old: list[File] = [{"decoded": "a", "mean": (1.0, 2.0)}, {"decoded": "b", "mean": (3.0, 4.125)}]
    new: list[File] = [old[0], {"decoded": "c", "mean": (5.0, 6.0), "reader": "torchvision"}]

    assert said(BEFORE, BEFORE, old, new) == (
        "decode (torchvision reads other pixels; red, green, blue on average 5.00, 6.00, before 3.00, 4.12)"
    )
    assert said(BEFORE, BEFORE, [{"decoded": "a"}], [{"decoded": "b"}]) == (
        "decode (Pillow reads other pixels; red, green, blue on average , before )"
    )


@pytest.mark.parametrize(("old", "new"), [("a", ""), ("", "a"), ("a", None), (None, "a")])
def test_decoder_is_not_named_where_only_one_was_seen(old: str | None, new: str | None) -> None:
    before, now = ([{} if each is None else {"decoded": each}] * 2 for each in (old, new))

    assert said(BEFORE, changed((0, 0, 4, 4)), list(before), list(now)) == FEW_LEVELS


@pytest.mark.parametrize("order", [(1, 0), (1, 2, 0), (2, 1, 0), (3, 0, 1, 2)])
def test_order_of_up_to_four_channels_is_named(order: tuple[int, ...]) -> None:
    before = np.random.default_rng(1).integers(0, 256, (2, len(order), 9, 9)).astype(np.float64)

    words = ", ".join(str(place + 1) for place in order)
    assert said(before, before[:, order]) == f"colour order (the channels are {words} of those before)"


def test_order_of_five_channels_is_not_looked_for() -> None:
    before = np.random.default_rng(1).integers(0, 256, (2, 5, 9, 9)).astype(np.float64)

    assert said(before, before[:, ::-1]) == OTHER_SIZE


def test_order_of_channels_that_are_nearly_alike_is_not_named() -> None:
    noise = np.random.default_rng(1).normal(size=BEFORE.shape)
    before = BEFORE[:, :1] + 0.5 * noise  # of a variation of 74, each channel leaves less than a hundredth

    assert said(before, before[:, ::-1]) == FEW_LEVELS


def test_order_that_fits_hardly_better_is_not_named() -> None:
    before = np.random.default_rng(1).normal(100, 30, (2, 2, 9, 9))
    now = before[:, ::-1] + np.random.default_rng(2).normal(0, 30, before.shape)  # leaves 0.7 of it

    assert said(before, now).startswith(("resize (edges are 1.", "decode, resize"))


@pytest.mark.parametrize("down", [-3, 0, 3])
@pytest.mark.parametrize("right", [-3, 1, 3])
def test_crop_is_found_up_to_three_pixels_away(down: int, right: int) -> None:
    whole = np.random.default_rng(1).integers(0, 256, (1, 3, 13, 13)).astype(np.float64)
    before, now = whole[..., 3:10, 3:10], whole[..., 3 + down : 10 + down, 3 + right : 10 + right] + 1.0  # one step

    assert said(before, now) == f"crop (it starts {down:+d} rows and {right:+d} columns later)"


def test_nearest_crop_is_named() -> None:
    period = np.random.default_rng(1).integers(0, 256, (1, 3, 4, 1)).astype(np.float64)
    whole = np.tile(period, (1, 1, 3, 9)) + np.arange(9) * 20.0  # each fourth row is the same

    assert said(whole[..., 0:9, :], whole[..., 1:10, :]) == "crop (it starts +1 rows and +0 columns later)"
    assert said(whole[..., 1:10, :], whole[..., 0:9, :]) == "crop (it starts -1 rows and +0 columns later)"


@pytest.mark.parametrize(("side", "lacking"), [(9, "before"), (9, "now"), (6, "")])
def test_crop_is_not_looked_for_in_what_is_small_or_not_there(side: int, lacking: str) -> None:
    whole = np.random.default_rng(1).integers(0, 256, (1, 3, side + 1, 9)).astype(np.float64)
    pair = {"before": of_tensors(whole[:, :, :-1], UNSEEN), "now": of_tensors(whole[:, :, 1:], UNSEEN)}
    pair.update({name: replace(pair[name], values=None) for name in pair if name == lacking})

    assert not first_step(pair["before"], pair["now"], 1.0).startswith("crop")


NORMALIZED = "normalize (each channel is the one before times "


@pytest.mark.parametrize(
    ("scale", "offset", "words"),
    [
        ((2.0, 1.0, 1.0), (0.0, 0.0, 5.0), f"{NORMALIZED}2, 1, 1, plus 0, 0, 5)"),
        ((1.0, 1.006, 1.0), (0.0, 0.0, 0.0), f"{NORMALIZED}1, 1.006, 1, plus 0, 0, 0)"),
        ((1.0, 0.994, 1.0), (0.0, 0.0, 0.0), f"{NORMALIZED}1, 0.994, 1, plus 0, 0, 0)"),
        ((1.0, 1.0, 1.0), (0.0, 2.75, 0.0), f"{NORMALIZED}1, 1, 1, plus 0, 2.75, 0)"),
        ((1.0, 1.0, 1.0), (0.0, -2.75, 0.0), f"{NORMALIZED}1, 1, 1, plus 0, -2.75, 0)"),
        ((1.0, 1.004, 0.996), (0.0, 2.5, -2.5), FEW_LEVELS),
        ((0.0, 1.0, 1.0), (7.0, 0.0, 0.0), f"{NORMALIZED}0, 1, 1, plus 7, 0, 0)"),
    ],
    ids=["both", "scale", "smaller", "offset", "negative", "neither", "constant"],
)
def test_normalization_is_named_from_half_a_percent_on(scale: Any, offset: Any, words: str) -> None:
    """A step is 2 here, so that half a percent of the range is 2.55."""
    before = 2 * BEFORE.astype(np.float64)
    column = [np.array(each)[:, None, None] for each in (scale, offset)]

    text = said(before, before * column[0] + column[1], one=2.0)

    if words.startswith(NORMALIZED):
        numbers = [float(each) for each in text.removeprefix(NORMALIZED).rstrip(")").replace(" plus ", " ").split(", ")]
        assert numbers == pytest.approx([*scale, *offset], abs=1e-9)
    else:
        assert text == words


def test_channel_of_one_colour_only_moves() -> None:
    before = BEFORE.copy()
    before[:, 1] = 7.0
    now = before.copy()
    now[:, 1] = 107.0
    varied = before.copy()
    varied[:, 1] = BEFORE[:, 1]

    assert said(before, now) == f"{NORMALIZED}1, 1, 1, plus 0, 100, 0)"
    assert not said(before, varied).startswith(NORMALIZED)


@pytest.mark.parametrize("seen", ["", "Pillow", "transformers"])
def test_up_to_four_levels_are_told_from_another_size(seen: str) -> None:
    places = [(each, channel, 4, 4) for each in (0, 1) for channel in (0, 1, 2)]
    reader = {} if seen == "Pillow" else {"reader": seen}
    files: list[File] = [{"decoded": "a", **reader}, {"decoded": "b"}] if seen else UNSEEN

    few, more = (said(2 * BEFORE, 2 * changed(*places, by=by), files, files, one=2.0) for by in (4.0, 4.5))

    same = f"{seen} reads the same pixels"
    assert few == (f"resize or normalize ({same}; by a few levels, as another rounding does)" if seen else FEW_LEVELS)
    assert more == (f"resize or crop ({same}, and {NO_OTHER})" if seen else OTHER_SIZE)


@pytest.mark.parametrize(("sharp", "named"), [(1.03, True), (0.97, True), (1.01, False), (0.99, False)])
def test_sharpness_is_named_from_two_percent_on(sharp: float, named: bool) -> None:
    before = of_tensors(BEFORE, UNSEEN)
    now = replace(of_tensors(BEFORE[..., ::-1], UNSEEN), detail=before.detail * sharp)

    words = f"resize (edges are {sharp:.2f} times as sharp as before: antialias, interpolation or size)"
    assert first_step(before, now, 1.0) == (words if named else OTHER_SIZE)


@pytest.mark.parametrize("lacking", ["before", "now"])
def test_few_levels_are_not_seen_without_tensors(lacking: str) -> None:
    pair = {"before": of_tensors(BEFORE, UNSEEN), "now": of_tensors(changed((0, 0, 4, 4)), UNSEEN)}
    pair[lacking] = replace(pair[lacking], values=None)

    assert first_step(pair["before"], pair["now"], 1.0) == OTHER_SIZE


def test_picture_without_edges_has_no_sharpness() -> None:
    plain = replace(of_tensors(BEFORE, UNSEEN), detail=0.0)

    assert first_step(plain, of_tensors(BEFORE[..., ::-1], UNSEEN), 1.0) == OTHER_SIZE
