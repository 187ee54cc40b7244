"""One thread against all: what the same calls give, and take, when a runtime splits each among the cores.

Everything else here runs on one thread. Where a call is split, sums are taken in another order, and pieces have to be
put together again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np

from vitgate.observe.artifacts import output_of, path_of, variant_of
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import logits_of
from vitgate.observe.serving import batches, in_own_process, LEAST_SECONDS, served, sizes_of, TIMES_SLOWER
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Evidence, FIXED_BATCH, Outcome

if TYPE_CHECKING:
    from vitgate.judge.metrics import Array
    from vitgate.observe.runtimes import Runnable
    from vitgate.spec.variants import Runtime

ALONE = 4
"""How many pictures are called alone; where the variant takes one, a batch of the largest size follows."""

TIMED = 3
"""How often the last of these calls is timed: nothing is judged by it."""

_TASKS = Path("/proc/self/task")

Load = Callable[[int], "Runnable"]
"""Gives what is called on that many threads."""


@observation()
def threads(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return the logits of the same calls on `one` thread and on `all` that this process may use, each [n, classes].

    Beside them stand `allowed`, how many those are; and, on one and on all, `took`, how many threads the runtime says
    that it has, `ran`, how many there were after the calls, and `seconds`, the wall time of the fastest of the last
    calls, which have `pictures` each.

    Raises:
        ClaimFailed: `unsupported` where there is one core, nothing counts threads, or no call was split among them;
            `failed at run` where a call fails, or has no answer in time.
    """
    from vitgate.pipeline.stages import engine_set

    allowed = usable_cores()
    if outcome := unsplit(allowed):
        raise ClaimFailed(outcome)
    calls = _calls(observer, cell)
    with engine_set(cell.engine):
        load, start = _load(observer, cell), time.perf_counter()
        for x in calls:
            logits_of(variant_of(observer, cell), _tensor(x))  # warms it, and tells how long to wait
        seconds = LEAST_SECONDS + TIMES_SLOWER * (time.perf_counter() - start)
        work = partial(compared, cell.form.runtime, load, calls, allowed)
        found = in_own_process(work, seconds, f"{allowed} threads of one call")
    if found["took"] == [1, allowed] and found["ran"][1] < 2:
        raise ClaimFailed(Outcome("unsupported", message=f"no call is split, though {allowed} threads are allowed"))
    arrays = {name: np.array(found.pop(name), np.float32) for name in ("one", "all")}
    return Evidence({"allowed": allowed, "pictures": len(calls[-1]), **found}, arrays)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unsplit(cores: int) -> Outcome | None:
    """Return the `unsupported` outcome where no call can be split among cores, or nobody would see it."""
    if cores < 2:
        return Outcome("unsupported", message="this process may use one core, and all threads are one")
    if not _TASKS.is_dir():
        return Outcome("unsupported", message=f"no {_TASKS}, which tells how many threads a process has (Linux)")
    return None


def compared(runtime: Runtime, load: Load, calls: Sequence[Array], most: int) -> dict[str, Any]:
    """Make the same calls on one thread, then on `most`: in a process whose runtimes have no other thread yet.

    Args:
        runtime: What splits a call.
        load: Gives what is called.
        calls: float32 [n, C, H, W] of each call.
        most: How many threads a call may be split among.

    Returns:
        Logits as lists, on `one` and `all`, and pairs `took`, `ran` and `seconds`; see `threads`.
    """
    found, before = [], _alive()
    for count in (1, most):
        run = _on(count, load)
        logits = np.concatenate([logits_of(run, _tensor(x)) for x in calls])
        seconds = min(_wall(run, calls[-1]) for _ in range(TIMED))
        ran = 1 + _alive() - before
        found.append({"logits": logits.tolist(), "took": _took(runtime, ran), "ran": ran, "seconds": seconds})
    pairs = {name: [each[name] for each in found] for name in ("took", "ran", "seconds")}
    return {"one": found[0]["logits"], "all": found[1]["logits"], **pairs}


def _calls(observer: LocalObserver, cell: CellId) -> list[Array]:
    """Return single pictures, then a batch of the largest size unless the variant's file is fixed to one picture."""
    x, batched = served(observer, cell.case), observer.get(batches, cell)
    alone = [x[at : at + 1] for at in range(min(ALONE, len(x)))]
    if batched.outcome and batched.outcome.error == FIXED_BATCH:
        return alone
    batched.demand()
    return [*alone, x[: max(sizes_of(cell.case))]]


def _load(observer: LocalObserver, cell: CellId) -> Load:
    """Return what gives the variant on a number of threads: a `POOLED` runtime decides that when it loads the file."""
    from vitgate.observe import runtimes

    runtime, run = cell.form.runtime, variant_of(observer, cell)
    if runtime not in runtimes.POOLED:
        return lambda _: run
    path, output = str(path_of(observer, cell)), output_of(observer, cell.case, runtime)
    return lambda count: runtimes.load(runtime, path, output, count)


def _on(count: int, load: Load) -> Runnable:
    import torch

    torch.set_num_threads(count)
    return load(count)


def _took(runtime: Runtime, ran: int) -> int:
    """Return how many threads the runtime says that it has, or else how many it has made.

    ONNX Runtime does not say, nor does ExecuTorch 1.0.
    """
    import torch

    from vitgate.observe.runtimes import POOLED

    if runtime not in POOLED:
        return torch.get_num_threads()
    says = None
    if runtime == "executorch":
        from executorch.extension.pybindings import portable_lib

        says = getattr(portable_lib, "_threadpool_get_thread_count", None)
    return ran if says is None else int(says())


def _alive() -> int:
    return len(list(_TASKS.iterdir()))


def _wall(run: Runnable, x: Array) -> float:
    start = time.perf_counter()
    logits_of(run, _tensor(x))
    return time.perf_counter() - start


def _tensor(x: Array) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x))
