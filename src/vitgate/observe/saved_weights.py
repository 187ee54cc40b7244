"""What stands in a saved file: its weights and its graph, compared with the original's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, TYPE_CHECKING

from vitgate.observe.artifacts import model_of, path_of, uncalled_model_of
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import cached
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence

if TYPE_CHECKING:
    from vitgate.observe.linear_layers import Layer
    from vitgate.observe.model_state import ModelState
    from vitgate.observe.readback import Readback


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


@observation()
def scripted_arithmetic(observer: LocalObserver, case: str, form: Literal["modules", "frozen"]) -> Evidence:
    """Return what the graph of the float model computes, scripted or traced here as the case says.

    Args:
        observer: Gives the model.
        case: Its id.
        form: As it is converted, or frozen besides.

    Returns:
        Values as those of `vitgate.observe.arithmetic.arithmetic`.
    """
    import torch

    from vitgate.observe.arithmetic import arithmetic
    from vitgate.observe.saved_file import executed_graph, walk
    from vitgate.pipeline import stages

    own, model = read_cases()[case], uncalled_model_of(observer, case)
    with stages.stage(own.conversion):
        module = torch.jit.script(model) if own.conversion == "script" else stages.trace(model, own)
        graph = executed_graph(torch.jit.freeze(module) if form == "frozen" else module)
        return Evidence({"arithmetic": arithmetic(walk(graph))})


@observation()
def parameters(observer: LocalObserver, case: str) -> Evidence:
    """Return how many numbers the model's parameters are, `count`, its whole state, `numbers`, and `modules`.

    `used` are the numbers of the state that a call reads, `linear` those that are weights of a Linear, which int8
    quantizes.
    """
    from torch import nn

    model, state = model_of(observer, case), state_of(observer, case)
    linears = {module.weight for module in model.modules() if type(module) is nn.Linear}
    kinds = {
        "count": model.parameters(),
        "numbers": model.state_dict().values(),
        "used": (state.tensors[name] for name in state.tensors.keys() & state.used),
        "linear": linears,
    }
    numbers = {name: sum(tensor.numel() for tensor in tensors) for name, tensors in kinds.items()}
    return Evidence({**numbers, "modules": sum(1 for _ in model.modules())})


@observation()
def lite_info(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `bytecode_version` and `operators` of a lite file."""
    return cached(observer, "lite_info", cell, lambda: _lite_info(observer, cell))[0]


def _lite_info(observer: LocalObserver, cell: CellId) -> Evidence:
    from vitgate.observe.lite_info import lite_info as read_lite_info
    from vitgate.pipeline.stages import engine_set, stage

    path = path_of(observer, cell)
    with engine_set(cell.engine), stage("load"):
        return Evidence(asdict(read_lite_info(path)))


def _read_back(observer: LocalObserver, cell: CellId) -> Evidence:
    return Evidence(asdict(_read(observer, cell)[0]))


def linears_of(observer: LocalObserver, cell: CellId) -> dict[str, Layer | None]:
    """Return the Linear of the cell's file for each one of the original's, None for one that it lacks.

    Those of the file that was read last are there already: `readback` and `layers` of a file follow each other.
    """
    last, found = observer.pool.linears
    return found if last == cell.evidence_name else _read(observer, cell)[1]


def _read(observer: LocalObserver, cell: CellId) -> tuple[Readback, dict[str, Layer | None]]:
    from vitgate.observe.readback import read_back
    from vitgate.pipeline.stages import engine_set, stage

    original, observer.pool.linears = state_of(observer, cell.case), ("", {})
    known = observer.pool.read_layers.setdefault(cell.case, {})
    path, form = path_of(observer, cell), cell.form
    with engine_set(cell.engine), stage("read_weights"):
        found = read_back(path, original, frozen=form.frozen, quantized=form.quantized, known=known)
    observer.pool.linears = (cell.evidence_name, found[1])
    return found


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
