"""The files that are built, the models behind them, and the variants as their users load them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from vitgate.observe.inputs import calibration, weights
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.session_directory import counting
from vitgate.spec.cases import OwnCase, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.model_output import ModelOutput
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import Runtime

if TYPE_CHECKING:
    from torch import nn

    from vitgate.observe.runtimes import Loaded
    from vitgate.pipeline.graph import Builder


@observation()
def artifact(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return path, bytes, digest and seconds of the cell's file, built with its parents if it is not cached."""
    return builder_of(observer).build(cell)


def path_of(observer: LocalObserver, cell: CellId) -> Path:
    """Return the path of the cell's file; ClaimFailed where it could not be built."""
    return Path(observer.get(artifact, cell).demand().values["path"])


def builder_of(observer: LocalObserver) -> Builder:
    """Return the builder of this process."""
    from vitgate.pipeline.graph import Builder

    def under_way(cell: CellId) -> AbstractContextManager[object]:
        return counting(Path(observer.plan.session), f"building: {cell.evidence_name}")

    if observer.pool.builder is None:
        observer.pool.builder = Builder(
            observer.cache,
            artifact=lambda cell: observer.get(artifact, cell),
            model=lambda case: uncalled_model_of(observer, case),
            weights=lambda case: str(observer.get(weights, case).values["digest"]),
            calibration=lambda case: observer.get(calibration, case).arrays["x"],
            under_way=under_way,
        )
    return observer.pool.builder


def model_of(observer: LocalObserver, case: str) -> nn.Module:
    """Return the case's eager model, created once per process; ClaimFailed where that fails."""
    return _created(observer, case, observer.pool.models)


def uncalled_model_of(observer: LocalObserver, case: str) -> nn.Module:
    """Return the model that files are built from: a user's may keep what a call computes, and save it."""
    own = isinstance(read_cases()[case], OwnCase)
    return _created(observer, case, observer.pool.uncalled if own else observer.pool.models)


def _created(observer: LocalObserver, case: str, models: dict[str, nn.Module]) -> nn.Module:
    from vitgate.pipeline.stages import create_model, stage
    from vitgate.pipeline.weights_file import load_state

    if case not in models:
        with stage("create_model"):
            models[case] = create_model(read_cases()[case], load_state(observer.get(weights, case)))
    return models[case]


def variant_of(observer: LocalObserver, cell: CellId) -> Loaded:
    """Return the cell as its users load it, loaded once per process; ClaimFailed where that fails."""
    from vitgate.observe import runtimes
    from vitgate.pipeline.stages import engine_set

    variants, name = observer.pool.variants, cell.evidence_name
    if name not in variants:
        if cell.variant == "original":
            variants[name] = runtimes.Loaded(
                model_of(observer, cell.case), output=output_of(observer, cell.case, "eager")
            )
        else:
            path = str(path_of(observer, cell))
            output = output_of(observer, cell.case, cell.form.runtime)
            with engine_set(cell.engine):  # loading packs the weights for the engine that is set
                variants[name] = runtimes.load(cell.form.runtime, path, output)
        observer.pool.calls[name] = 0
    return variants[name]


def output_of(observer: LocalObserver, case: str, runtime: Runtime) -> ModelOutput:
    """Return where the runtime has the case's logits in what a file of it returns.

    A runtime that gives a flat list has them where they stand in the flattened output of the eager model, which is
    called for it.

    Args:
        observer: Gives the eager model.
        case: Its id.
        runtime: Of the file.

    Raises:
        ClaimFailed: The eager model does not return what the case says.
    """
    import torch

    from vitgate.observe.runtimes import FLAT
    from vitgate.pipeline.stages import example, stage

    own = read_cases()[case]
    if runtime not in FLAT:
        return own.returns
    if own.returns.key is None:
        return ModelOutput(own.returns.kind, 0)
    model = model_of(observer, case)
    with stage("run"), torch.no_grad():
        return ModelOutput(own.returns.kind, own.returns.position(model(example(own))))
