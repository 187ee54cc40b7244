"""What the variants say of each picture of the user's folder, in one pass: a picture is read once for all of them.

Pictures go through one by one. A batch would share the scales of quantized activations, and leave a TorchScript module
specialized for other shapes than its latency is measured with; the float variants would gain a tenth by it
(`benchmarks/pictures.py`). Of the logits, three numbers a picture are kept, so that memory does not grow with classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vitgate.judge.picture_accuracy import CONFIDENCE, LABEL, of_variant, TOP
from vitgate.observe.artifacts import variant_of
from vitgate.observe.inputs import labelled
from vitgate.observe.observer import LocalObserver, observation, Observer
from vitgate.observe.outputs import logits_of, outputs
from vitgate.observe.session_directory import counting
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Evidence

if TYPE_CHECKING:
    from vitgate.judge.metrics import Array
    from vitgate.observe.runtimes import Runnable


@observation(name_of=lambda cell: cell.run_together()[0].evidence_name)
def images(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return the predictions of all variants of the cell's group for the user's folder; see `predicted`."""
    from vitgate.inputs.picture_folder import folder_from
    from vitgate.inputs.pictures import picture_of

    found = folder_from(observer.get(labelled))
    case = read_cases()[cell.case]
    return predict(observer, cell, (picture_of(case, found.folder / name) for name in found.names))


def predict(observer: LocalObserver, cell: CellId, pictures: Iterable[Array]) -> Evidence:
    """Run pictures through all variants of the cell's group; see `predicted`.

    Args:
        observer: Gives the variants, and the labels of the user's folder.
        cell: One of the group.
        pictures: float32 [C, H, W] each, in the folder's order; they are read one at a time.

    Raises:
        UsageError: The folder's labels cannot be those of the model.
    """
    from vitgate.inputs.picture_folder import check_classes, folder_from
    from vitgate.pipeline.stages import engine_set

    found = folder_from(observer.get(labelled))
    group = running(observer, cell)
    check_classes(found, observer.get(outputs, group[0]).arrays["logits"].shape[1], cell.case)
    label = f"pictures: {cell.case} {cell.engine if cell.form.quantized else 'float'}"
    with engine_set(cell.engine), counting(Path(observer.plan.session), label, len(found.names)) as each:
        runs = {str(own.variant): variant_of(observer, own) for own in group}
        return predicted(runs, pictures, found.labels, each)


def images_of(observer: Observer, cell: CellId) -> Evidence:
    """Return the variant's predictions for the user's folder, as `vitgate.judge.picture_accuracy` reads them.

    A runtime that crashes does so with the case's own pictures, for its variant alone; the others then go through the
    folder together.
    """
    if cell not in running(observer, cell):
        return observer.get(outputs, cell)
    return of_variant(observer.get(images, cell), cell.variant)


def running(observer: Observer, cell: CellId) -> list[CellId]:
    """Return the cells of the group that run."""
    asked = [each for each in cell.run_together() if observer.plan.has_variant(each.variant)]
    return [each for each in asked if observer.get(outputs, each).outcome is None]


def predicted(
    runs: Mapping[str, Runnable],
    pictures: Iterable[Array],
    labels: npt.NDArray[np.int64],
    each: Callable[[int], None],
) -> Evidence:
    """Run every picture through every variant.

    Args:
        runs: The variants by name.
        pictures: float32 [C, H, W] each.
        labels: int64 [N].
        each: Called with the number of pictures that are done.

    Returns:
        Arrays by `TOP-variant` and so on: top-1 int32 [N], its softmax, and the logarithm of the label's, float32 [N].
        A variant that fails at a picture runs no further one; values["outcomes"] has its outcome.
    """
    import torch

    alive, rows, outcomes = dict(runs), {name: np.full((len(labels), 3), np.nan) for name in runs}, {}
    for number, picture in enumerate(pictures):
        x = torch.from_numpy(picture[None])
        for name, run in [*alive.items()]:
            try:
                rows[name][number] = _row(logits_of(run, x.clone()), int(labels[number]))
            except ClaimFailed as failure:
                outcomes[name] = failure.outcome.to_json()
                del alive[name]
        each(number + 1)
    arrays = {name: _columns(rows[name], name) for name in alive}
    return Evidence({"outcomes": outcomes}, {key: column for own in arrays.values() for key, column in own.items()})


def _row(logits: Array, label: int) -> tuple[float, float, float]:
    """Return top-1, its softmax and the logarithm of the label's; NaN where the logits say nothing."""
    from vitgate.judge.metrics import by_class

    logits = by_class(logits)
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
