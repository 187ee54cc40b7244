"""Two forms of the same pictures: how far apart, and the first step that differs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vitgate.files.schemas import fixtures_folder
from vitgate.judge.input_tensors import (
    detail,
    distance,
    first_step,
    golden_steps,
    of_projections,
    of_tensors,
    Pictures,
    projections,
    step,
    summary,
    worst,
)

Tensors = npt.NDArray[np.float32]
BICUBIC, BILINEAR, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PHOTOS = [fixtures_folder() / "images" / name for name in ("volcano.png", "pizza.png")]
DRAWINGS = sorted((Path(__file__).parents[3] / "examples" / "own_model" / "pictures").glob("*.png"))
SETS = {"golden": [fixtures_folder() / "golden" / "input.png"], "photos": PHOTOS, "drawings": DRAWINGS}


def resized(path: Path, how: Image.Resampling = BICUBIC, short: int = 48) -> Image.Image:
    """Return the picture, its shorter side made 48 pixels."""
    image = Image.open(path).convert("RGB")
    side = short / min(image.size)
    return image.resize((round(image.size[0] * side), round(image.size[1] * side)), how)


def pixels(image: Image.Image, right: int = 0) -> npt.NDArray[Any]:
    """Return its centre, 40 × 40, as [40, 40, 3]."""
    left, top = (image.size[0] - 40) // 2 + right, (image.size[1] - 40) // 2
    return np.asarray(image.crop((left, top, left + 40, top + 40)), np.float64)


def normalized(values: npt.NDArray[Any], mean: Any = MEAN, deviation: Any = DEVIATION, full: float = 255.0) -> Tensors:
    """Return float32 [3, 40, 40]."""
    return ((values / full - mean) / deviation).transpose(2, 0, 1).astype(np.float32)


def sound(path: Path) -> Tensors:
    """Return what a picture is."""
    return normalized(pixels(resized(path)))


def without_antialias(path: Path) -> Tensors:
    """Take the values of the four nearest pixels alone, as torchvision did of tensors before 0.17."""
    values = np.asarray(Image.open(path).convert("RGB"), np.float64)
    for axis in (0, 1):
        size = values.shape[axis]
        count = round(size * 48 / min(Image.open(path).size))
        at = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if place == axis else 1 for place in range(3)])
        high = np.minimum(low + 1, size - 1)
        values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return normalized(pixels(Image.fromarray(values.round().astype(np.uint8))))


def one_level_off(path: Path, share: float) -> Tensors:
    """Move that share of the pixels by one level."""
    values = pixels(resized(path))
    here = np.random.default_rng(0).random(values.shape[:2]) < share
    return normalized(np.clip(values + here[..., None], 0, 255))


ORDER = "colour order (the channels are"
TIMES = "normalize (each channel is the one before times"
CHANGES: dict[str, tuple[Callable[[Path], Tensors], str]] = {
    "bilinear": (lambda path: normalized(pixels(resized(path, BILINEAR))), "resize (edges are 0."),
    "lanczos": (lambda path: normalized(pixels(resized(path, LANCZOS))), "resize (edges are 1."),
    "no antialias": (without_antialias, "resize (edges are "),
    "blue first": (lambda path: sound(path)[::-1], f"{ORDER} 3, 2, 1 "),
    "green first": (lambda path: normalized(pixels(resized(path))[..., [1, 0, 2]]), f"{ORDER} 2, 1, 3"),
    "halves": (lambda path: normalized(pixels(resized(path)), 0.5, 0.5), f"{TIMES} 0.458, 0.448, 0.45, plus -0.03, "),
    "no mean": (lambda path: normalized(pixels(resized(path)), 0.0), f"{TIMES} 1, 1, 1, plus 2.1"),
    "up to 255": (lambda path: normalized(pixels(resized(path)), full=1.0), f"{TIMES} 255, 255, 255, plus "),
}  # fmt: skip


def both(paths: list[Path], change: Callable[[Path], Tensors]) -> tuple[Tensors, Tensors]:
    """Return the tensors of pictures before and after a change."""
    return np.stack(list(map(sound, paths))), np.stack(list(map(change, paths)))


def recorded(x: Tensors, files: list[dict[str, Any]]) -> Pictures:
    """Return the pictures as a record knows them."""
    rows = [summary(each) for each in x]
    return of_projections([row["projections"] for row in rows], x.shape[1:], [row["detail"] for row in rows], files)


def flat(x: Tensors) -> list[float]:
    """Return what a record keeps of a tensor's values."""
    projected: list[float] = projections(x).ravel().tolist()
    return projected


def said(before: Tensors, now: Tensors, form: Callable[[Tensors, list[dict[str, Any]]], Pictures]) -> str:
    """Return the step that is named."""
    files: list[dict[str, Any]] = [{} for _ in before]
    return first_step(form(before, files), form(now, files), step(float(before.min()), float(before.max())))


@pytest.mark.parametrize("form", [of_tensors, recorded], ids=["tensors", "record"])
@pytest.mark.parametrize("paths", SETS.values(), ids=SETS)
@pytest.mark.parametrize("change", CHANGES)
def test_changed_step_is_named(
    change: str, paths: list[Path], form: Callable[[Tensors, list[dict[str, Any]]], Pictures]
) -> None:
    make, words = CHANGES[change]
    before, now = both(paths, make)

    assert said(before, now, form).startswith(words)
    assert golden_steps(before, now)[0].value > 11.0, "far above what another rounding makes"
    one = step(float(before.min()), float(before.max()))
    assert min(distance(flat(old), flat(new), one) for old, new in zip(before, now, strict=True)) > 0.9


@pytest.mark.parametrize(("right", "words"), [(1, "+0 rows and +1 columns"), (-2, "+0 rows and -2 columns")])
def test_moved_crop_is_named(right: int, words: str) -> None:
    before, now = both(PHOTOS, lambda path: normalized(pixels(resized(path), right)))

    assert said(before, now, of_tensors) == f"crop (it starts {words} later)"
    assert "crop" in said(before, now, recorded)


@pytest.mark.parametrize(("share", "most"), [(0.02, 0.3), (0.1, 0.5)])
def test_one_level_here_and_there_stays_below_bounds(share: float, most: float) -> None:
    for paths in SETS.values():
        before, now = both(paths, lambda path: one_level_off(path, share))
        one = step(float(before.min()), float(before.max()))
        far = [distance(flat(old), flat(new), one) for old, new in zip(before, now, strict=True)]

        assert 0.9 < golden_steps(before, now)[0].value < 1.5
        assert 0.0 < max(far) < most
        assert said(before, now, of_tensors).startswith("decode or resize (by a few levels")


def test_projections_tell_the_distance() -> None:
    for make, _ in CHANGES.values():
        before, now = both(PHOTOS, make)
        for old, new in zip(before, now, strict=True):
            real = float(np.sqrt(np.mean((new.astype(np.float64) - old) ** 2)))
            assert distance(flat(old), flat(new), 1.0) == pytest.approx(real, rel=0.4)


def test_projections_are_the_same_everywhere() -> None:
    found = projections(np.arange(48.0).reshape(3, 4, 4))

    assert found.shape == (3, 32)
    assert found[0, :4].tolist() == [12.0, 9.5, -7.0, 12.5]


def test_decoder_is_named_before_all_else() -> None:
    before, now = both(PHOTOS, CHANGES["halves"][0])
    old, new = ([{"decoded": name, "mean": (1.0, 2.0, 3.0)}, {}] for name in ("a", "b"))

    text = first_step(of_tensors(before, old), of_tensors(now, new), 0.02)

    assert text.startswith("decode (Pillow reads other pixels; red, green, blue on average 1.00, 2.00, 3.00, before")


@pytest.mark.parametrize(
    ("decoded", "words"), [("ab", "resize or crop (Pillow reads the same"), ("", "decode, resize or")]
)
def test_another_size_is_told_from_a_decoder_where_it_was_seen(decoded: str, words: str) -> None:
    before = np.stack(list(map(sound, PHOTOS)))
    now = before[..., ::-1]
    files = [{"decoded": decoded}] * 2

    assert first_step(of_tensors(before, files), of_tensors(now, files), 0.02).startswith(words)


def test_worst_picture_is_named_with_its_pixels() -> None:
    before, _ = both(PHOTOS, sound)
    now = before.copy()
    now[1, 0, 3, :5] += 1.0

    text = worst(["volcano", "pizza"], of_tensors(before, [{}, {}]), of_tensors(now, [{}, {}]))

    assert text.startswith("pizza: 60.2")
    assert " steps at most, in 5 of 1600 pixels; first step that differs: " in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_never_within_bounds(value: float) -> None:
    before, now = both(PHOTOS, sound)
    now[0, 0, 0, 0] = value

    assert [finding.ok for finding in golden_steps(before, now)] == [False, True]
    assert "NaN or infinity" in said(before, now, of_tensors)
    assert set(summary(now[0])) == {"digest", "shape"}


def test_other_shape_is_never_within_bounds() -> None:
    before, now = both(PHOTOS, sound)

    assert [finding.value for finding in golden_steps(before, now[:, :2])] == [pytest.approx(math.nan, nan_ok=True)]
    assert worst(["a", "b"], of_tensors(before, [{}, {}]), of_tensors(now[:, :2], [{}, {}])) == "the shapes differ"


def test_picture_in_one_colour_has_a_step() -> None:
    plain = np.ones((1, 3, 8, 8), np.float32)

    assert golden_steps(plain, plain + 1)[0].value == pytest.approx(255.0)
    assert (
        said(plain, plain + 1, of_tensors) == "normalize (each channel is the one before times 1, 1, 1, plus 1, 1, 1)"
    )
    assert detail(plain) == 0.0
