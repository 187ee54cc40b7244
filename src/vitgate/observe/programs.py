"""The files without Python: what the compiled C++ program of `vitgate.observe.native` says of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitgate.judge.findings import NATIVE_PICTURES
from vitgate.observe import serving
from vitgate.observe.artifacts import path_of
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver, observation
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome

if TYPE_CHECKING:
    from vitgate.judge.metrics import Array
    from vitgate.observe.native import Callers


@observation()
def program(observer: LocalObserver) -> Evidence:
    """Return the compiled program: path, version (of the libtorch that it was built against), libraries."""
    observer.get(environment)
    from vitgate.observe.native import about, compiled

    path = compiled(observer.cache).path
    version, libraries = about(Path(path))
    return Evidence({"path": path, "version": version, "libraries": libraries})


@observation()
def native(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `logits` float32 [N, classes] that the program gets from the cell's file, picture by picture."""
    x = observer.get(pictures, cell.case).arrays["x"][:NATIVE_PICTURES]
    return Evidence(arrays={"logits": _run(observer, cell, x)})


@observation()
def native_concurrent(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return what `vitgate.observe.serving.concurrent` does, of threads of the program that share the loaded file.

    Raises:
        ClaimFailed: As of `native`; `failed at run` where a call fails, or has no answer in time.
    """
    from vitgate.observe.native import Callers

    x = serving.different(observer.get(pictures, cell.case).arrays["x"], serving.THREADS)
    callers = Callers(serving.THREADS, serving.CALLS, serving.LEAST_SECONDS, serving.TIMES_SLOWER)
    found = _run(observer, cell, x, callers)
    asked = [(caller + call) % len(x) for caller in range(callers.threads) for call in range(callers.calls)]
    if len(found) != len(x) + len(asked):
        message = f"the program gave {len(found) - len(x)} answers to {len(asked)} calls"
        raise ClaimFailed(Outcome("failed at", "run", "NativeError", message))
    serial, answers = found[: len(x), None], found[len(x) :, None]
    return Evidence(serving.counted([serving.nearness(serial[at], answers[n]) for n, at in enumerate(asked)]))


def _run(observer: LocalObserver, cell: CellId, x: Array, callers: Callers | None = None) -> Array:
    from vitgate.observe.native import run

    file = str(path_of(observer, cell))  # first: a file that cannot be built says so, whatever becomes of the program
    path = Path(observer.get(program).demand().values["path"])
    engine = cell.engine if cell.form.quantized else None
    return run(path, cell.form.runtime, engine, file, x, output=read_cases()[cell.case].returns, callers=callers)
