"""Faults that show over a folder of the user's pictures: accuracy, agreement, calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vitgate.judge.picture_accuracy import CONFIDENCE, LABEL, TOP
from vitgate.observe.predictions import images
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import VariantName, VARIANTS

from ..scene import Scene
from .catalogue import ALL, fault, INT8

Column = npt.NDArray[np.floating]


def _alter(scene: Scene, variant: VariantName, name: str, change: Callable[[Column], Column]) -> None:
    """Change one column of what a variant said of the pictures."""

    def altered(found: Evidence) -> Evidence:
        key = f"{name}-{variant}"
        if key not in found.arrays:  # this release cannot build it
            return found
        return replace(found, arrays={**found.arrays, key: change(found.arrays[key].copy())})

    scene.alter(images, altered, scene.cell(variant))


@fault(images=("lite_frozen",), says="accuracy_change_high")
def images_loses_every_tenth(scene: Scene) -> None:
    """A variant takes every tenth picture for something else."""
    _alter(scene, "lite_frozen", TOP, lambda top: np.where(np.arange(len(top)) % 10 == 0, 99, top))


@fault(images=("scripted",), says="labels changed: ")
def images_float_changes_few_labels(scene: Scene) -> None:
    """The scripted float model gives six of 400 pictures another label; as many are right as before."""

    def swap(top: Column) -> Column:
        wrong = top.copy()
        wrong[[3, 50, 110, 200, 300, 390]] = 99
        return wrong

    _alter(scene, "scripted", TOP, swap)


@fault(images=("scripted_quantized",), says="calibration_change_least")
def images_confidence_halved(scene: Scene) -> None:
    """A variant gives the right labels with half the confidence: a temperature got into the logits."""
    _alter(scene, "scripted_quantized", CONFIDENCE, lambda confidence: confidence / 2)


@fault(images=("lite_frozen",), says="NaN or Inf for 1 pictures")
def images_one_picture_is_nan(scene: Scene) -> None:
    """A variant gives NaN for a single picture of the folder."""

    def spoil(confidence: Column) -> Column:
        confidence[77] = np.nan
        return confidence

    _alter(scene, "lite_frozen", CONFIDENCE, spoil)


@fault(images=ALL, says="NaN or Inf")
def images_original_is_nan(scene: Scene) -> None:
    """The original gives nothing for one picture, so that nothing can be compared with it."""

    def spoil(label: Column) -> Column:
        label[0] = -np.inf
        return label

    _alter(scene, "original", LABEL, spoil)


@fault(images=INT8, says="(399,) predictions for (400,) labels")
def images_stop_early(scene: Scene) -> None:
    """The last picture of the folder never went through the quantized variants."""
    for variant in (name for name in VARIANTS if name in INT8):
        for name in (TOP, CONFIDENCE, LABEL):
            _alter(scene, variant, name, lambda column: column[:-1])
