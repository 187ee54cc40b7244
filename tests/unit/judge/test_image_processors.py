"""Tensors of transformers' processors are judged by the worst and by the mean, and what is not there is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vitgate.judge.image_processors import differing, processor_steps
from vitgate.spec.outcome import Finding

OWN = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.float32) / 127.5 - 1
STEP = np.float32(2 / 255)
FILES = [{"decoded": "a", "mean": [1.0, 2.0, 3.0]}, {"decoded": "b", "mean": [4.0, 5.0, 6.0]}]


def about(*kinds: str, **other: Any) -> dict[str, Any]:
    files = {kind: [{**file, "reader": "transformers"} for file in FILES] for kind in kinds}
    classes = {kind: f"{kind}Processor" for kind in kinds}
    return {"release": "5.24.0", "classes": classes, "files": files, "unread": {kind: [] for kind in kinds}, **other}


def found(now: Any, **other: Any) -> dict[str, Finding]:
    """Return the findings of a fast processor alone, by statistic."""
    return {each.statistic: each for each in processor_steps(OWN, {"fast": now}, about("fast", **other))}


def test_each_processor_is_held_against_the_suites_own() -> None:
    findings = processor_steps(OWN, {"fast": OWN + STEP, "slow": OWN}, about("slow", "fast"))
    assert [(each.against, each.statistic) for each in findings if each.judged] == [
        ("slow", "steps"), ("slow", "mean"), ("fast", "steps"), ("fast", "mean"),
    ]  # fmt: skip
    assert [each.value for each in findings if each.judged] == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-4)
    assert {each.note for each in findings if each.against == "fast"} == {"fastProcessor of transformers 5.24.0"}


def test_scale_of_256_moves_the_mean_and_no_value_by_much() -> None:
    rows = found((OWN + 1) * np.float32(255 / 256) - 1)
    assert rows["steps"].value < 1.1
    assert rows["mean"].value == pytest.approx(-0.5, abs=0.05)


def test_processor_that_release_has_not_is_noted() -> None:
    assert found(OWN)["steps"].note == "fastProcessor of transformers 5.24.0, which has no slow one"


@pytest.mark.parametrize(
    ("unread", "words"), [(["a.bmp"], "does not take a.bmp"), (["a.bmp", "b.tiff"], "does not take a.bmp and 1 more")]
)
def test_files_that_processor_does_not_read_are_noted(unread: list[str], words: str) -> None:
    assert found(OWN, unread={"fast": unread})["mean"].note.endswith(words)


@pytest.mark.parametrize("now", [OWN[:, :2], OWN * math.nan])
def test_nothing_that_can_be_compared_is_no_number(now: Any) -> None:
    rows = found(now)
    assert [rows[name].ok for name in ("steps", "mean")] == [False, False]
    assert rows["steps"].note.startswith("fastProcessor")


def said(now: Any, **other: Any) -> str:
    made = ({"slow": OWN, "fast": now}, about("slow", "fast", **other))
    rows = [replace(each, lower=-2.5, upper=2.5) for each in processor_steps(OWN, *made)]
    return differing(rows, ["volcano", "pizza"], (OWN, FILES), made)


def test_picture_and_first_step_are_named_of_processor_that_is_too_far() -> None:
    start = "fast (fastProcessor), before being the suite's own: "
    assert said(OWN + STEP) == ""
    assert said(OWN[:, ::-1]).startswith(start)
    assert "colour order (the channels are 3, 2, 1" in said(OWN[:, ::-1])
    turned = OWN.copy()
    turned[1] = OWN[1, :, ::-1]
    other = {"fast": [FILES[0], {**FILES[1], "decoded": "c", "reader": "transformers"}]}
    assert said(turned, files=other).startswith(f"{start}pizza: ")
    assert "decode (transformers reads other pixels; red" in said(turned, files=other)


def test_few_levels_of_the_same_pixels_are_no_matter_of_the_decoder() -> None:
    here = np.random.default_rng(1).random(OWN.shape) < 0.5
    assert "resize or normalize (transformers reads the same pixels; by a few levels" in said(OWN + 3 * STEP * here)
