"""Faults of the pictures and the labels that they are known by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vitgate.observe.inputs import pictures
from vitgate.observe.outputs import outputs
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import VARIANTS

from ..scene import Scene
from .catalogue import ALL, fault, TABLE


@fault(label=ALL)
def labels_shifted(scene: Scene) -> None:
    """The table of labels is shifted by one class."""

    def shift(found: Evidence) -> Evidence:
        return replace(found, arrays={**found.arrays, "labels": (found.arrays["labels"] + 1) % 10})

    scene.alter(pictures, shift, scene.case)


@fault(accuracy=ALL)
def heldout_labels_shifted(scene: Scene) -> None:
    """The labels of the held-out pictures are off by one picture."""

    def shift(found: Evidence) -> Evidence:
        labels = np.roll(found.arrays["heldout_labels"], 1)
        return replace(found, arrays={**found.arrays, "heldout_labels": labels})

    scene.alter(pictures, shift, scene.case)


@fault(label=ALL, table=TABLE, may=("logits_original",))
def pictures_in_another_order(scene: Scene) -> None:
    """The pictures come in another order than their labels."""

    def turn(found: Evidence) -> Evidence:
        return replace(found, arrays={**found.arrays, "x": found.arrays["x"][::-1].copy()})

    scene.alter(pictures, turn, scene.case)
    for variant in VARIANTS:
        scene.forget(outputs, scene.cell(variant))


@fault(label=ALL)
def label_of_no_class(scene: Scene) -> None:
    """A label is larger than the number of classes."""

    def exceed(found: Evidence) -> Evidence:
        labels = found.arrays["labels"].copy()
        labels[-1] = 1000
        return replace(found, arrays={**found.arrays, "labels": labels})

    scene.alter(pictures, exceed, scene.case)
