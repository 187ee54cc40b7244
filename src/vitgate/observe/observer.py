"""Observations: what can be measured of a case or a cell, each a function that is registered with `@observation`.

To add one, write a function in the module of its theme (`vitgate.observe.outputs` and its neighbours) that takes the
`LocalObserver` and the arguments, and returns `Evidence`. A check asks for it with `observer.get(outputs, cell)`, a
report reads it with `outputs.find(store, cell)`. Nothing else lists the observations. Modules that hold observations
import torch inside their functions, since the test workers and the reports import them for their names.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, TYPE_CHECKING

from vitgate.files.errors import MachineError, NO_ROOM, VitgateError
from vitgate.files.text import reason, short
from vitgate.observe.store import Store
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome
from vitgate.spec.processors import Processor
from vitgate.spec.run_config import RunConfig

if TYPE_CHECKING:
    from torch import nn

    from vitgate.expected.layers import References
    from vitgate.observe.linear_layers import Layer, ReadLayers
    from vitgate.observe.model_state import ModelState
    from vitgate.observe.runtimes import Loaded
    from vitgate.pipeline.graph import Builder

P = ParamSpec("P")


@dataclass(frozen=True)
class Observation(Generic[P]):
    """One kind of evidence.

    `name_of` gives the name under which evidence is stored for these arguments. `alone` marks what must have the
    machine for itself; `required` what every claim needs, so that the run stops where a process dies over it.
    """

    kind: str
    module: str
    make: Callable[Concatenate[LocalObserver, P], Evidence]
    name_of: Callable[..., str]
    alone: bool = False
    required: bool = False

    def find(self, store: Store, *arguments: P.args, **named: P.kwargs) -> Evidence | None:
        """Return the evidence for these arguments if the store has it."""
        return store.find(self.kind, self.name(*arguments, **named))

    def name(self, *arguments: P.args, **named: P.kwargs) -> str:
        """Return the name of the evidence for these arguments; without arguments there is one, called as its kind."""
        return self.name_of(*arguments, **named) or self.kind


def observation(
    *, name_of: Callable[..., str] | None = None, alone: bool = False, required: bool = False
) -> Callable[[Callable[Concatenate[LocalObserver, P], Evidence]], Observation[P]]:
    """Register the decorated function as the observation of its name.

    Args:
        name_of: Gives the name of the evidence from the arguments; by default they are joined with hyphens.
        alone: No other test may run meanwhile.
        required: No claim can be judged without it.
    """

    def register(make: Callable[Concatenate[LocalObserver, P], Evidence]) -> Observation[P]:
        return Observation(make.__name__, make.__module__, make, name_of or _joined, alone, required)

    return register


def _joined(*arguments: object) -> str:
    return "-".join(each.evidence_name if isinstance(each, CellId) else str(each) for each in arguments)


def registered(module: str, kind: str) -> Observation[...]:
    """Return the observation of that kind in that module; TypeError where it is none."""
    found = getattr(importlib.import_module(module), kind)
    if not isinstance(found, Observation):
        raise TypeError(f"{module}.{kind} is not an observation")
    return found


class Observer(ABC):
    """What a check asks for evidence. Subclasses say how evidence that the store lacks is made."""

    def __init__(self, plan: RunConfig) -> None:
        """Use the store in the plan's session directory; nothing heavy happens yet."""
        self.plan = plan
        self.store = Store(Path(plan.session) / "evidence")

    @abstractmethod
    def get(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        """Return the evidence for these arguments, made now unless the store has it.

        Raises:
            UsageError: The user's input does not allow the observation.
            MachineError: The machine does not, as where its disk is full.
        """

    def held_to(self, processor: Processor) -> Observer:
        """Return an observer of the same inputs and files whose kernels are held to that processor.

        That takes other processes, which only an observer that asks some has.
        """
        raise TypeError(f"this process cannot be held to {processor}")


@dataclass
class ModelPool:
    """What one process has loaded: eager models by case, variants by evidence name, and what is derived from them once.

    `uncalled` are users' models from which files are built, and which nothing calls.
    `calls` counts the calls that each variant has had. `states` has the tensors of a model in the order of
    their use, `read_layers` the packed weights that were read last, `linears` the Linears of the file that was read
    last with its evidence name, `references` what int8 layers are held against, with the case and the arithmetic.
    """

    models: dict[str, nn.Module] = field(default_factory=dict)
    uncalled: dict[str, nn.Module] = field(default_factory=dict)
    variants: dict[str, Loaded] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    states: dict[str, ModelState] = field(default_factory=dict)
    read_layers: dict[str, ReadLayers] = field(default_factory=dict)
    linears: tuple[str, dict[str, Layer | None]] = ("", {})
    references: tuple[str, References] = ("", {})
    builder: Builder | None = None


class LocalObserver(Observer):
    """Makes evidence in this process; models and loaded variants stay in `pool` for as long as it lives.

    In a run of the suite this is a process of `vitgate.observe.server`, one for each case and engine, so that the test
    workers stay light and outlive a crash of the runtime. `instead` overrides how a kind of evidence is made.
    """

    def __init__(self, plan: RunConfig, instead: dict[str, Callable[..., Evidence]] | None = None) -> None:
        """Open the artifact cache; torch is imported when the first observation needs it."""
        super().__init__(plan)
        self.cache = ArtifactCache(Path(plan.artifacts))
        self.pool = ModelPool()
        self.instead = instead or {}

    def get(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        """Return the evidence, made in this process unless the store has it."""
        try:
            name = what.name(*arguments, **named)
            return self.store.get(what.kind, name, lambda: self._make(what, *arguments, **named))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            where = error.filename or self.plan.session
            raise MachineError(f"cannot write: {error.strerror}", where=where, do="free disk space") from None

    def _make(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        make = self.instead.get(what.kind)
        try:
            return make(self, *arguments, **named) if make else what.make(self, *arguments, **named)
        except ClaimFailed as failure:
            return Evidence(outcome=failure.outcome)
        except (VitgateError, MemoryError):
            raise
        except Exception as error:  # of a model, a transform or a file of anybody's: no reason to call it a crash
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            said = f"{type(error).__name__}: {short(reason(error))}"
            if what.required:
                do = "mend what it names, or report it with this line"
                where = what.name(*arguments, **named)
                raise MachineError(f"{what.kind} cannot be observed: {said}", where=where, do=do) from error
            return Evidence(outcome=Outcome("failed at", "run", type(error).__name__, short(reason(error))))
