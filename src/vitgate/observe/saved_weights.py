"""What stands in a saved file: its weights and its graph, compared with the original's."""

from __future__ import annotations

from dataclasses import asdict

from vitgate.observe.artifacts import model_of, path_of
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import cached
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence


@observation()
def readback(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return what the file's weights and its graph are, as `vitgate.observe.readback.Readback` says."""
    return cached(observer, "readback", cell, lambda: _read_back(observer, cell))[0]


def _read_back(observer: LocalObserver, cell: CellId) -> Evidence:
    from torch import nn

    from vitgate.observe import readback as reader
    from vitgate.pipeline.stages import engine_set, stage

    model = model_of(observer, cell.case)
    state, modules = model.state_dict(), dict(model.named_modules())
    order = _use_order(observer, cell.case)
    owners = dict.fromkeys(name.rpartition(".")[0] for name in order)
    linears = [name for name in owners if type(modules[name]) is nn.Linear]  # no subclass is quantized
    original = {name: state[name] for name in order}
    known = observer.pool.read_layers.setdefault(cell.case, {})
    path = path_of(observer, cell)
    with engine_set(cell.engine), stage("read_weights"):
        return Evidence(asdict(reader.read_back(path, original, linears, frozen=cell.form.frozen, known=known)))


def _use_order(observer: LocalObserver, case: str) -> list[str]:
    """Return the names of the model's state in the order of their use, found once per process."""
    import torch

    from vitgate.inputs.pictures import made_up_pictures
    from vitgate.observe.readback import in_use_order
    from vitgate.pipeline.stages import stage

    orders = observer.pool.use_order
    if case not in orders:
        with stage("run"):
            x = torch.from_numpy(made_up_pictures(read_cases()[case])[:1])
            orders[case] = in_use_order(model_of(observer, case), x)
    return orders[case]
