"""Latency by the protocol that survives a noisy machine; `docs/measuring.md` gives its reasons.

One torch thread, `time.thread_time()` (CPU seconds of the calling thread), all variants of one engine interleaved in
random order within each round, warm-up calls before, garbage collection off, the mean of the fastest quartile.
A ratio's interval must clear its bound; while it does not, or something sleeps, more rounds are taken, up to a limit.
CPU time of a thread sees neither sleeps nor other threads, so the time asleep and the process's CPU time are kept
beside it as guards.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch

from vitgate.judge.latency_ratios import asleep_per_cpu, Bound, enough, ROUNDS_TO_REFUSE
from vitgate.observe.latency_worker import no_times, take, Times, WARM_UP_CALLS
from vitgate.observe.runtimes import Runnable


def sample(
    runs: Mapping[str, Runnable],
    x: torch.Tensor,
    bounds: Mapping[str, Bound],
    warm: Mapping[str, int],
    seed: int = 0,
    each_round: Callable[[int], None] = lambda rounds: None,
) -> dict[str, Times]:
    """Time the variants against each other until every bound on a ratio to `original` is cleared.

    Args:
        runs: The loaded variants by name.
        x: One input, float32 [1, C, H, W].
        bounds: By variant, the bounds of its ratio.
        warm: The calls that each run has had in this process already.
        seed: Of the order of calls.
        each_round: Called with the number of rounds after each one, outside of what is timed.
    """
    order, rng = list(runs), random.Random(seed)  # noqa: S311  # the order of calls needs no cryptography
    samples = {name: no_times() for name in order}
    with _quiet():
        for name in order:
            for _ in range(max(0, WARM_UP_CALLS - warm.get(name, 0))):
                runs[name](x)
        start, rounds = time.perf_counter(), 0
        while not _enough(rounds, time.perf_counter() - start, samples, bounds):
            rng.shuffle(order)
            for name in order:
                take(partial(runs[name], x), samples[name])
            rounds += 1
            each_round(rounds)
    return samples


def _enough(rounds: int, seconds: float, samples: Mapping[str, Times], bounds: Mapping[str, Bound]) -> bool:
    clocks = [(row["wall"], row["thread"], row["waited"]) for row in samples.values() if row["waited"]]
    if rounds < ROUNDS_TO_REFUSE:  # of so few calls none is left out
        clocks = [([wall], [cpu], [ready]) for row in clocks for wall, cpu, ready in zip(*row, strict=False)]
    slept = [asleep_per_cpu(*each) for each in clocks]
    thread = {name: row["thread"] for name, row in samples.items()}
    return enough(rounds, seconds, thread, bounds, max((share for share in slept if share > 0.0), default=0.0))


@contextmanager
def _quiet() -> Iterator[None]:
    collecting = gc.isenabled()
    torch.set_num_threads(1)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def profiled_ms(run: Runnable, x: torch.Tensor) -> float:
    """Return the tutorial's own figure, the profiler's self CPU time of one call, in milliseconds.

    The tutorial's `profile(use_cuda=False)` no longer binds from torch 2.14 on; the default means the same.
    """
    with torch.autograd.profiler.profile() as profile:
        run(x)
    return float(profile.self_cpu_time_total) / 1000.0
