"""The latency of all variants of one case and engine, timed against each other by `vitgate.observe.latency`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vitgate.judge.findings import TUTORIAL_INT8
from vitgate.judge.latency_ratios import Bound, ROUNDS_AT_MOST
from vitgate.observe.artifacts import variant_of
from vitgate.observe.environment import default_engine, lacking
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver, observation, Observer
from vitgate.observe.outputs import outputs
from vitgate.observe.session_directory import counting
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import ClaimFailed, Evidence
from vitgate.spec.variants import SUCCESSORS, VARIANTS

if TYPE_CHECKING:
    from vitgate.observe.runtimes import Runnable

EAGER_CALLS = 2
"""Warm-up calls of an eager model: nothing of it is profiled and specialized in the first ones, as of a script."""

Edges = Mapping[str, tuple[float | None, float | None]]
"""By variant the lower and upper bound of its ratio, as JSON can carry them."""


def _group(cell: CellId, *_: object) -> str:
    return str(cell.group)


@observation(name_of=_group)
def warmed(observer: LocalObserver, cell: CellId) -> Evidence:
    """Load and warm every variant of the cell's case and engine that runs; return the profiler's ms of each."""
    import torch

    from vitgate.observe.latency import profiled_ms
    from vitgate.observe.latency_worker import WARM_UP_CALLS
    from vitgate.pipeline.stages import engine_set

    x = torch.from_numpy(observer.get(pictures, cell.case).arrays["x"][:1])
    calls, profiled = observer.pool.calls, {}
    with engine_set(cell.engine):
        for other, run in _running(observer, cell).items():
            needed = EAGER_CALLS if other.form.runtime == "eager" else WARM_UP_CALLS
            for _ in range(needed - 1 - calls[other.evidence_name]):  # the profiled call is one of them
                run(x)
            profiled[str(other.variant)] = profiled_ms(run, x)
            calls[other.evidence_name] += WARM_UP_CALLS
    return Evidence(profiled)


@observation(name_of=_group, alone=True)
def latency(observer: LocalObserver, cell: CellId, edges: Edges | None = None) -> Evidence:
    """Return the seconds of each call of every variant that runs (the clocks of `Times`), and `profiled_ms`.

    Args:
        observer: Gives the variants, warm.
        cell: One of the case and engine.
        edges: Bounds of the ratios to the original, which decide when sampling stops; by default none.
    """
    import torch

    from vitgate.observe.latency import sample
    from vitgate.pipeline.stages import engine_set

    x = torch.from_numpy(observer.get(pictures, cell.case).arrays["x"][:1])
    profiled = observer.get(warmed, cell).values
    with engine_set(cell.engine):
        runs = _running(observer, cell)
        warm = {str(other.variant): observer.pool.calls[other.evidence_name] for other in runs}
        named = {str(other.variant): run for other, run in runs.items()}
        bounds = {variant: Bound(*pair) for variant, pair in (edges or {}).items()}
        label = f"rounds of latency: {cell.group}"
        with counting(Path(observer.plan.session), label, ROUNDS_AT_MOST) as each:
            samples = sample(named, x, bounds, warm, each_round=each)
    return Evidence({name: {**rows, "profiled_ms": profiled.get(name)} for name, rows in samples.items()})


def latency_of(observer: Observer, cell: CellId, bounds: Mapping[str, Bound]) -> Evidence:
    """Return the samples of the cell's case and engine, taken until each variant's ratio is clear of its bounds.

    Everything is loaded and warm before the machine is taken alone.

    Args:
        observer: Makes the observations `warmed` and `latency`.
        cell: One of the case and engine.
        bounds: By variant, the bounds of its ratio to the original.
    """
    if latency.find(observer.store, cell) is None:
        observer.get(warmed, cell)
    return observer.get(latency, cell, {name: (bound.lower, bound.upper) for name, bound in bounds.items()})


def _running(observer: LocalObserver, cell: CellId) -> dict[CellId, Runnable]:
    """Return the variants that load; the claims about the others say why not."""
    runs: dict[CellId, Runnable] = {}
    for other in _timed_with(observer, cell):
        with suppress(ClaimFailed):
            runs[other] = variant_of(observer, other)
    return runs


def _timed_with(observer: LocalObserver, cell: CellId) -> list[CellId]:
    """Return the variants of the cell's case and engine; successors with the original, and the tutorial's int8."""
    if cell.engine != NO_ENGINE:
        return [cell.at(variant) for variant in VARIANTS]
    asked = [cell.at(name) for name in SUCCESSORS if observer.plan.has_variant(name)]
    there = [other for other in asked if not lacking(observer, other)]
    runs = [other for other in there if observer.get(outputs, other).outcome is None]
    return [cell.at("original"), CellId(cell.case, default_engine(observer), TUTORIAL_INT8), *runs]
