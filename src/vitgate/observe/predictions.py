"""What the variants say of each picture of the user's folder, in one pass: a picture is read once for all of them.

Pictures go through one by one. A batch would share the scales of quantized activations, and leave a TorchScript module
specialized for other shapes than its latency is measured with; the float variants would gain a tenth by it
(`benchmarks/pictures.py`). Of the logits, three numbers a picture are kept, so that memory does not grow with classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vitgate.judge.picture_accuracy import CONFIDENCE, LABEL, TOP
from vitgate.observe.runtimes import Runnable
from vitgate.spec.evidence import Evidence
from vitgate.spec.outcome import ClaimFailed


def predicted(
    runs: Mapping[str, Runnable],
    pictures: Iterable[npt.NDArray[np.float32]],
    labels: npt.NDArray[np.int64],
    each: Callable[[int], None],
) -> Evidence:
    """Run every picture, float32 [C, H, W], through every variant; `each` is told how many pictures are done.

    Arrays, by `TOP-variant` and so on: top-1 int32 [N], its softmax, and the logarithm of the label's, float32 [N]. A
    variant that fails at a picture runs no further one; values["outcomes"] has its outcome.
    """
    alive, rows, outcomes = dict(runs), {name: np.full((len(labels), 3), np.nan) for name in runs}, {}
    for number, picture in enumerate(pictures):
        x = torch.from_numpy(picture[None])
        for name, run in [*alive.items()]:
            try:
                rows[name][number] = _row(run(x.clone()).numpy(), int(labels[number]))
            except ClaimFailed as failure:
                outcomes[name] = failure.outcome.to_json()
                del alive[name]
        each(number + 1)
    arrays = {name: _columns(rows[name], name) for name in alive}
    return Evidence({"outcomes": outcomes}, {key: column for own in arrays.values() for key, column in own.items()})


def _row(logits: npt.NDArray[np.float32], label: int) -> tuple[float, float, float]:
    """Return top-1, its softmax and the logarithm of the label's; NaN where the logits say nothing."""
    if logits.ndim != 2 or len(logits) != 1 or not 0 <= label < logits.shape[1] or not np.isfinite(logits).all():
        return (-1.0, np.nan, np.nan)
    values = logits[0].astype(np.float64)
    logs = values - values.max()
    logs -= np.log(np.exp(logs).sum())
    top = int(values.argmax())
    return float(top), float(np.exp(logs[top])), float(logs[label])


def _columns(rows: npt.NDArray[np.float64], name: str) -> dict[str, npt.NDArray[Any]]:
    return {
        f"{TOP}-{name}": rows[:, 0].astype(np.int32),
        f"{CONFIDENCE}-{name}": rows[:, 1].astype(np.float32),
        f"{LABEL}-{name}": rows[:, 2].astype(np.float32),
    }
