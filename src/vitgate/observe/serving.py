"""What a server does with a model: it answers several pictures in one call, and several callers at once."""

from __future__ import annotations

import faulthandler
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TYPE_CHECKING

import numpy as np

from vitgate.files.text import reason, short
from vitgate.judge.metrics import sqnr, SQNR_CEILING
from vitgate.observe.artifacts import variant_of
from vitgate.observe.inputs import pictures
from vitgate.observe.layers import kind_of, of_scheme, reference
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import cached, logits_of, logits_one_by_one, outputs
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, SchemeName
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import ClaimFailed, Evidence, FIXED_BATCH, Outcome

if TYPE_CHECKING:
    from vitgate.judge.metrics import Array
    from vitgate.observe.runtimes import Runnable

THREADS = 4
CALLS = 20
"""How many threads call at once, and how often each does: a race needs several rounds to be seen."""

LEAST_SECONDS = 60.0
"""How long the threads may take before they count as dead-locked, beside `TIMES_SLOWER` times what one caller takes."""

TIMES_SLOWER = 20.0

_FEWEST_CALLS = 3  # by which the time of a batch is measured, the fastest of them: a cold one says little
_FEWEST_LOGITS = 400  # by which an error is measured, where the case has as many pictures: its size has a spread
_SWITCH_SECONDS = 1e-4  # a fiftieth of Python's own: threads come between each other's lines


# Batches


@observation()
def batches(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return the logits of the same pictures alone and in batches of each of the case's sizes.

    `alone` is float32 [n, classes], `batch_8` [m, classes] those of the first m pictures, eight in each call. `seconds`
    is by size, and of a picture alone as `1`, the CPU time of the fastest call, on one thread, divided by its pictures.
    ClaimFailed (`failed at run`, with the error `FIXED_BATCH`) where the variant runs one picture, and not the batch.
    """
    from vitgate.pipeline.stages import engine_set

    x = served(observer, cell.case)
    with engine_set(cell.engine):
        run = variant_of(observer, cell)
        arrays = {"alone": logits_one_by_one(observer, cell, run, x)}
        found = {size: _in_batches(run, x, size) for size in sizes_of(cell.case)}
        timed = found if 1 in found else {1: _in_batches(run, x[:_FEWEST_CALLS], 1), **found}
    arrays |= {f"batch_{size}": logits for size, (logits, _) in found.items()}
    return Evidence({"seconds": {str(size): seconds for size, (_, seconds) in timed.items()}}, arrays)


@observation(name_of=of_scheme)
def expected_batches(observer: LocalObserver, case: str, name: SchemeName) -> Evidence:
    """Return what `batches` should be by a reference arithmetic, without `alone`.

    Args:
        observer: Gives the original and the pictures.
        case: Its id.
        name: Of the arithmetic.
    """
    original = CellId(case, NO_ENGINE, "original")
    kind = f"{kind_of(observer, case, name)}-{'-'.join(map(str, sizes_of(case)))}"
    return cached(observer, kind, original, lambda: _expected(observer, case, name))[0]


def _expected(observer: LocalObserver, case: str, name: SchemeName) -> Evidence:
    from vitgate.pipeline.stages import stage

    x = served(observer, case)
    runs = {size: reference(observer, case, name, size) for size in sizes_of(case)}
    with stage("run"):
        return Evidence(arrays={f"batch_{size}": run(x[: _whole(x, size)]) for size, run in runs.items()})


def sizes_of(case: str) -> tuple[int, ...]:
    """Return how many pictures go into one call, by the case's key `batch`, which it has."""
    sizes = read_cases()[case].batch
    assert sizes is not None
    return sizes


def served(observer: LocalObserver, case: str) -> Array:
    """Return the pictures, float32 [n, C, H, W]: whole batches of the largest size, and all different."""
    given, largest = observer.get(pictures, case).arrays, max(sizes_of(case))
    classes = observer.get(outputs, CellId(case, NO_ENGINE, "original")).demand().arrays["logits"].shape[1]
    x = np.concatenate([given[name] for name in ("x", "heldout_x") if name in given])
    wanted = math.ceil(_FEWEST_LOGITS / (largest * max(1, classes)))
    return different(x, largest * max(1, min(wanted, len(x) // largest)))


def different(x: Array, n: int) -> Array:
    """Return n pictures; where there are not as many, they come again, each time moved by a further column."""
    turns = range(math.ceil(n / len(x)))
    found: Array = np.concatenate([np.roll(x, turn, axis=-1) for turn in turns])[:n]
    return found


def _whole(x: Any, size: int) -> int:
    """Return how many of the pictures fill whole batches."""
    return len(x) // size * size


def _in_batches(run: Runnable, x: Array, size: int) -> tuple[Array, float]:
    """Return the logits of whole batches, and the CPU seconds of a picture in the fastest call."""
    starts = range(0, _whole(x, size), size)
    calls = [_timed(run, x[at : at + size]) for at in starts]
    again = [_timed(run, x[:size]) for _ in range(_FEWEST_CALLS - len(calls))]
    return np.concatenate([logits for logits, _ in calls]), min(seconds for _, seconds in (*calls, *again)) / size


def _timed(run: Runnable, x: Array) -> tuple[Array, float]:
    start = time.thread_time()
    logits = _batch(run, x)
    return logits, time.thread_time() - start


def _batch(run: Runnable, x: Array) -> Array:
    import torch

    try:
        logits = logits_of(run, torch.from_numpy(x))
    except ClaimFailed as failure:
        if len(x) == 1:
            raise
        raise _fixed(short(failure.outcome.message)) from failure
    if len(logits) != len(x):
        raise _fixed(f"without an error it gives logits of shape {list(logits.shape)} for {len(x)} pictures")
    return logits


def _fixed(why: str) -> ClaimFailed:
    return ClaimFailed(Outcome("failed at", "run", FIXED_BATCH, f"fixed to a batch of 1: {why}"))


# Several callers


@observation()
def concurrent(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return how many `answers` threads got, how many are `changed` from those of one caller, and their `worst_sqnr`.

    The threads call in a process of their own, which ends itself: nothing that they lock can hold up the run.
    ClaimFailed (`failed at run`) where a call fails, or has no answer in time.
    """
    from vitgate.pipeline.stages import engine_set

    x = different(observer.get(pictures, cell.case).arrays["x"], THREADS)
    with engine_set(cell.engine):
        run = variant_of(observer, cell)
        logits_one_by_one(observer, cell, run, x[:1])
        start = time.perf_counter()
        serial = logits_one_by_one(observer, cell, run, x)
        each = (time.perf_counter() - start) / len(x)
        seconds = LEAST_SECONDS + TIMES_SLOWER * each * THREADS * CALLS
        who = f"{THREADS} threads that call at once"
        return Evidence(in_own_process(lambda: called_at_once(lambda _: run, x, serial), seconds, who))


def called_at_once(module: Callable[[int], Runnable], x: Array, serial: Array) -> dict[str, Any]:
    """Let each thread call with one picture after the other, each beginning with another one.

    Args:
        module: Gives what the thread of that number, from 0 on, calls.
        x: float32 [n, C, H, W].
        serial: What one caller gets for them, [n, classes].

    Returns:
        `answers`, how many are `changed`, and the `worst_sqnr` of these, in dB.
    """
    import torch

    from vitgate.pipeline.stages import stage

    begin, ratios, failures = threading.Barrier(THREADS), list[float](), list[Exception]()

    def caller(first: int) -> None:
        begin.wait()
        try:
            torch.set_num_threads(1)  # is a thread's own
            for call in range(CALLS):
                at = (first + call) % len(x)
                answer, wanted = logits_of(module(first), torch.from_numpy(x[at][None])), serial[at][None]
                ratios.append(nearness(wanted, answer))
        except Exception as failure:  # no thread ends unseen
            failures.append(failure)

    threads = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(THREADS)]
    sys.setswitchinterval(_SWITCH_SECONDS)
    with stage("run"):  # what one call does to the filters of warnings, another undoes too late
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
    return counted(ratios)


def nearness(serial: Array, answer: Array) -> float:
    """Return how near an answer is to that of one caller, both [n, classes], in dB: infinity if no bit differs."""
    return math.inf if np.array_equal(answer, serial) else sqnr(serial, answer)


def counted(ratios: Sequence[float]) -> dict[str, Any]:
    """Return `answers`, how many are `changed`, and the `worst_sqnr` of these, in dB, from what `nearness` gave."""
    changed = [ratio for ratio in ratios if ratio != math.inf]
    worst = min((-math.inf if math.isnan(ratio) else ratio for ratio in changed), default=SQNR_CEILING)
    return {"answers": len(ratios), "changed": len(changed), "worst_sqnr": max(worst, -SQNR_CEILING)}


def in_own_process(work: Callable[[], dict[str, Any]], seconds: float, who: str) -> dict[str, Any]:
    """Return what `work` gives in a copy of this process, as JSON can carry it.

    Args:
        work: Is called there.
        seconds: After which the copy ends itself, whatever holds it up.
        who: Does the work, for the message.

    Raises:
        ClaimFailed: `work` failed, or there was no answer in time, or the process died.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(work, seconds, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if not text:
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        error, what = ("TimeoutError", "had no answer in time") if late else ("ProcessDied", "ended the process")
        raise ClaimFailed(Outcome("failed at", "run", error, f"{who} {what}"))
    found: dict[str, Any] = json.loads(text)
    if "outcome" in found:
        raise ClaimFailed(Outcome.from_json(found["outcome"]))
    return found


def _answer(work: Callable[[], dict[str, Any]], seconds: float, writer: int) -> None:
    """Write what the work gives, and end this process, which is a copy."""
    faulthandler.disable()  # the last words are those of the process that this one is a copy of
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends a process that waits in native code, too
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            found = work()
        except ClaimFailed as failure:
            found = {"outcome": failure.outcome.to_json()}
        except Exception as error:  # nothing else leaves this process
            outcome = Outcome("failed at", "run", type(error).__name__, short(reason(error)))
            found = {"outcome": outcome.to_json()}
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            json.dump(found, stream)
    finally:
        os._exit(0)
