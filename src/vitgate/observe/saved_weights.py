"""What stands in a saved file: its weights and its graph, compared with the original's."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vitgate.observe.artifacts import model_of, path_of
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import cached
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence

if TYPE_CHECKING:
    from vitgate.observe.model_state import ModelState


@observation()
def readback(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return what the file's weights and its graph are, as `vitgate.observe.readback.Readback` says."""
    return cached(observer, "readback", cell, lambda: _read_back(observer, cell))[0]


@observation()
def graph_operators(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return the `operators` that the graph of the cell's file calls, sorted, with overloads."""
    import torch

    from vitgate.observe.saved_file import operators
    from vitgate.pipeline.stages import engine_set, stage

    path = path_of(observer, cell)
    with engine_set(cell.engine), stage("load"):
        module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # untyped in torch
        return Evidence({"operators": sorted(operators(module))})


def _read_back(observer: LocalObserver, cell: CellId) -> Evidence:
    from vitgate.observe import readback as reader
    from vitgate.pipeline.stages import engine_set, stage

    original = state_of(observer, cell.case)
    known = observer.pool.read_layers.setdefault(cell.case, {})
    path, form = path_of(observer, cell), cell.form
    with engine_set(cell.engine), stage("read_weights"):
        found = reader.read_back(path, original, frozen=form.frozen, quantized=form.quantized, known=known)
    return Evidence(asdict(found))


def state_of(observer: LocalObserver, case: str) -> ModelState:
    """Return the model's tensors in the order of their use, found once per process."""
    import torch

    from vitgate.inputs.pictures import made_up_pictures
    from vitgate.observe.model_state import model_state
    from vitgate.pipeline.stages import stage

    states = observer.pool.states
    if case not in states:
        with stage("run"):
            x = torch.from_numpy(made_up_pictures(read_cases()[case])[:1])
            states[case] = model_state(model_of(observer, case), x)
    return states[case]
