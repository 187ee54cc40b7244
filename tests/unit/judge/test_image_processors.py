"""Tensors of transformers' processors are judged by the worst and by the mean, and what is not there is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vitgate.judge.image_processors import differing, processor_steps
from vitgate.spec.outcome import Finding

OWN = np.random.default_rng(0).permutation(384).reshape(2, 3, 8, 8).astype(np.float32) % 256  # 0 to 255: a step is 1
FILES = [{"decoded": "a", "mean": [1.0, 2.0, 3.0]}, {"decoded": "b", "mean": [4.0, 5.0, 6.0]}]


def about(*kinds: str, **other: Any) -> dict[str, Any]:
    files = {kind: [{**file, "reader": "transformers"} for file in FILES] for kind in kinds}
    classes = {kind: f"{kind}Processor" for kind in kinds}
    return {"release": "5.24.0", "classes": classes, "files": files, "unread": {kind: [] for kind in kinds}, **other}


def found(now: Any, **other: Any) -> dict[str, Finding]:
    """Return the findings of a fast processor alone, by statistic."""
    return {each.statistic: each for each in processor_steps(OWN, {"fast": now}, about("fast", **other))}


def findings(kind: str, note: str, steps: float, pixels: float, mean: float) -> list[Finding]:
    return [
        Finding("steps", steps, "steps", against=kind, note=note),
        Finding("pixels", pixels, "1", against=kind, judged=False, note=note),
        Finding("mean", mean, "steps", against=kind, note=note),
    ]


def test_each_processor_is_held_against_the_suites_own() -> None:
    darker = OWN.copy()
    darker[1, 2, 0, 0] -= 2  # one value of 384, in one pixel of 128

    made = processor_steps(OWN, {"fast": darker, "slow": OWN + 1}, about("slow", "fast"))

    assert made == [
        *findings("slow", "slowProcessor of transformers 5.24.0", 1.0, 1.0, 1.0),
        *findings("fast", "fastProcessor of transformers 5.24.0", 2.0, 1 / 128, -2 / 384),
    ]


def test_scale_of_256_moves_the_mean_and_no_value_by_much() -> None:
    rows = found(OWN * np.float32(255 / 256))

    assert rows["steps"].value == pytest.approx(255 / 256, abs=1e-4)
    assert rows["mean"].value == pytest.approx(-OWN.mean() / 256, abs=1e-4)


def test_mean_is_counted_in_steps_whatever_the_range() -> None:
    own = (OWN / np.float32(127.5)) - np.float32(1)  # -1 to 1: a step is 2 / 255

    (mean,) = (
        each.value
        for each in processor_steps(own, {"fast": own + np.float32(1 / 255)}, about("fast"))
        if each.statistic == "mean"
    )

    assert mean == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(("kind", "other"), [("fast", "slow"), ("slow", "fast")])
def test_processor_that_release_has_not_is_noted(kind: str, other: str) -> None:
    note = f"{kind}Processor of transformers 5.24.0, which has no {other} one"

    assert processor_steps(OWN, {kind: OWN}, about(kind)) == findings(kind, note, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("unread", "words"),
    [
        (["a.bmp"], "; its own reader does not take a.bmp"),
        (["a.bmp", "b.tiff"], "; its own reader does not take a.bmp and 1 more"),
        (["a.bmp", "b.tiff", "c.ppm"], "; its own reader does not take a.bmp and 2 more"),
    ],
)
def test_files_that_processor_does_not_read_are_noted(unread: list[str], words: str) -> None:
    made = about("slow", "fast", unread={"fast": unread, "slow": ["other"]})

    assert processor_steps(OWN, {"fast": OWN}, made)[0].note == f"fastProcessor of transformers 5.24.0{words}"


@pytest.mark.parametrize(
    ("own", "now"), [(OWN, OWN[:, :2]), (OWN, OWN[:1]), (OWN[:0], OWN[:0])], ids=["channels", "pictures", "none"]
)
def test_other_shapes_are_no_number(own: Any, now: Any) -> None:
    note = "fastProcessor of transformers 5.24.0"

    assert processor_steps(own, {"fast": now}, about("slow", "fast")) == [
        Finding("steps", math.nan, "steps", against="fast", note=f"{note}; shapes {own.shape} and {now.shape}"),
        Finding("mean", math.nan, "steps", against="fast", note=note),
    ]


def test_values_that_are_no_numbers_are_no_mean() -> None:
    rows = found(OWN * math.nan)

    assert [math.isnan(each.value) for each in rows.values()] == [True, True, True]
    assert [each.ok for each in rows.values()] == [False, True, False]


def said(now: Any, slow: Any = OWN, **other: Any) -> str:
    """Return what is said of a fast and a slow processor, of which 2.5 steps are tolerated."""
    made = ({"slow": slow, "fast": now}, about("slow", "fast", **other))
    rows = [replace(each, lower=-2.5, upper=2.5) for each in processor_steps(OWN, *made)]
    return differing(rows, ["volcano", "pizza"], (OWN, FILES), made)


def too_far(kind: str, words: str) -> str:
    return f"{kind} ({kind}Processor), before being the suite's own: {words}"


def test_nothing_is_said_of_processors_that_are_near() -> None:
    assert said(OWN + 1) == ""


def test_picture_and_first_step_are_named_of_processor_that_is_too_far() -> None:
    assert said(OWN[:, ::-1]) == too_far(
        "fast",
        "pizza: 226 steps at most, in 64 of 64 pixels, and 1 other; first step that differs: "
        "colour order (the channels are 3, 2, 1 of those before)",
    )


def test_reader_that_decodes_other_pixels_is_named() -> None:
    turned = OWN.copy()
    turned[1] = OWN[1, :, ::-1]
    other = {"decoded": "c", "mean": [7.0, 8.0, 9.0], "reader": "transformers"}

    assert said(turned, files={"fast": [FILES[0], other], "slow": FILES}) == too_far(
        "fast",
        "pizza: 238 steps at most, in 64 of 64 pixels; first step that differs: "
        "decode (transformers reads other pixels; red, green, blue on average "
        "7.00, 8.00, 9.00, before 4.00, 5.00, 6.00)",
    )


def test_few_levels_of_the_same_pixels_are_no_matter_of_the_decoder() -> None:
    near = OWN + 3 * (np.random.default_rng(1).random(OWN.shape) < 0.5)
    words = (
        "volcano: 3 steps at most, in 54 of 64 pixels, and 1 other; first step that differs: "
        "resize or normalize (transformers reads the same pixels; by a few levels, as another rounding does)"
    )

    assert said(near, slow=near) == f"{too_far('slow', words)}; {too_far('fast', words)}"
