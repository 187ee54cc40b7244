"""Faults that show on a processor other than the machine's own."""

from __future__ import annotations

import numpy as np

from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence
from vitgate.spec.processors import lower_than

from ..scene import Scene
from .catalogue import fault, INT8


def _farther(scene: Scene, cell: CellId, times: float) -> Evidence:
    """Return what int8 should give, with an error that many times as large."""
    assert cell.scheme is not None
    should = scene.observer.get(expected_logits, cell.case, cell.scheme).arrays["logits"]
    original = scene.observer.get(outputs, cell.at("original")).arrays["logits"][: len(should)]
    return Evidence(arrays={"logits": original + times * (should - original)})


@fault(processors=INT8, says="Wrong on: ")
def sums_saturate_without_vnni(scene: Scene) -> None:
    """Products of whole 8-bit numbers overflow on the lowest processor: every int8 file is 20 dB worse there."""
    for variant in INT8:
        scene.on(lower_than("host")[-1], variant, _farther(scene, scene.cell(variant), 10.0))


@fault(processors=("lite_frozen",), says="sqnr_change")
def more_error_on_one_processor(scene: Scene) -> None:
    """One file's error is twice int8's on one processor."""
    scene.on(lower_than("host")[0], "lite_frozen", _farther(scene, scene.cell("lite_frozen"), 2.0))


@fault(processors=("scripted_quantized",), says="int8_layer")
def a_kernel_of_one_processor_is_off(scene: Scene) -> None:
    """One int8 Linear gives 0.2% too much on one processor."""
    layer = {"name": "blocks.0.mlp.fc1", "quantized": True, "exact": 54.0, "below_noise": 14.0}
    scene.on(lower_than("host")[0], "scripted_quantized", Evidence({"layers": [layer]}))


@fault(processors=("lite",), says="NaN or Inf")
def nothing_is_computed_on_one_processor(scene: Scene) -> None:
    """A file gives NaN on the lowest processor."""
    like = _farther(scene, scene.cell("lite"), 1.0).arrays["logits"]
    scene.on(lower_than("host")[-1], "lite", Evidence(arrays={"logits": np.full_like(like, np.nan)}))
