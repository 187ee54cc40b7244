"""Latency ratios from samples: the estimate, its interval, and when the sampling may stop. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# A model whose rounds are quick gets many of them, one whose rounds take seconds only a few: wide bounds need no more.
# Two may end it where all is well within them; what they would call wrong is looked at once more.
ROUNDS_AT_LEAST = 2
ROUNDS_TO_REFUSE = 3
QUICK_ROUNDS = 40
QUICK_SECONDS = 1.0
ROUNDS_AT_MOST = 60

# The least spread that is assumed of a ratio, for an interval that only decides when to stop. It is not calibrated:
# `benchmarks/ratio_noise.py` gave SDs of 0.013 and 0.040 with 40 rounds, and 0.16 and 0.19 with 3 rounds of the small
# model, each time beside busy neighbours. The bounds of the claims are wide because of that.
RATIO_SD = 0.016

_CLOCKS = 5e-6  # seconds that reading the clocks takes: measured 1 to 2e-6

RESTLESS = 0.02
"""Time asleep per CPU time from which on more rounds are taken: less than is judged, and a busy disk may end."""

BUSY = 0.5
"""Waiting for a processor per CPU time from which on a machine is called busy, which is said and judges nothing."""


@dataclass(frozen=True)
class Bound:
    """The window in which a ratio to the original must lie; None means open."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two latencies and the interval that the stop rule uses; see `RATIO_SD` on how far to trust it."""

    value: float
    low: float
    high: float


def fastest_quartile(seconds: Sequence[float]) -> float:
    """Return the mean of the fastest quarter of the samples, of one sample at least; NaN where there is none."""
    fastest = sorted(seconds)[: max(1, len(seconds) // 4)]
    return sum(fastest) / len(fastest) if fastest else math.nan


def ratio(of: Sequence[float], to: Sequence[float]) -> Ratio:
    """Return the ratio of the fastest-quartile means with its interval.

    The interval's width comes from the known spread of such ratios and, where the fastest quarters of these samples
    lie further apart than that, from them. All three are NaN where samples are missing or not positive.
    """
    if not (of and to and all(0.0 < seconds < math.inf for seconds in (*of, *to))):
        return Ratio(math.nan, math.nan, math.nan)
    value = fastest_quartile(of) / fastest_quartile(to)
    spread = max(RATIO_SD, math.hypot(_spread(of), _spread(to)))
    return Ratio(value, value * math.exp(-1.96 * spread), value * math.exp(1.96 * spread))


def _spread(seconds: Sequence[float]) -> float:
    """Relative distance from the fastest sample to the one at the first quartile, a robust measure of its noise."""
    ranked = sorted(seconds)
    return math.log(ranked[max(1, len(ranked) // 4)] / ranked[0]) / 2 if len(ranked) > 1 else math.inf


def asleep_per_cpu(wall: Sequence[float], thread: Sequence[float], waited: Sequence[float]) -> float:
    """Return the seconds asleep (sleeps, locks, I/O) for each second of CPU time, all calls but the worst together.

    Asleep is what is left of the wall time without the thread's CPU time and its waiting for a processor, so that a
    neighbour on the processor adds nothing; a single page that comes from the disk is no habit. NaN where samples do
    not pair, or the wall clock shows less than the thread's.

    Args:
        wall: Seconds of each call.
        thread: CPU seconds of the calling thread in it.
        waited: Seconds in which it was ready and waited for a processor.
    """
    if not thread or len({len(wall), len(thread), len(waited)}) > 1 or min(thread) <= 0.0:
        return math.nan
    if sum(wall) < 0.9 * sum(thread):
        return math.nan
    calls = [
        (max(0.0, whole - cpu - ready - _CLOCKS), cpu) for whole, cpu, ready in zip(wall, thread, waited, strict=True)
    ]
    kept = sorted(calls, key=lambda call: call[0] / call[1])[: max(1, len(calls) - 1)]
    return sum(asleep for asleep, _ in kept) / sum(cpu for _, cpu in kept)


def waited_per_cpu(thread: Sequence[float], waited: Sequence[float]) -> float:
    """Return the seconds of waiting for a processor for each second of CPU time: how busy the machine was."""
    return sum(waited) / sum(thread) if sum(thread) > 0.0 else math.nan


def decided(
    samples: Mapping[str, Sequence[float]], bounds: Mapping[str, Bound], may: Callable[[Ratio, Bound], bool]
) -> bool:
    """Whether every bounded ratio is clear.

    A variant that has no samples cannot be decided by more rounds, nor can any without those of the original.

    Args:
        samples: Seconds of each call by variant.
        bounds: By variant, the bounds of its ratio to the original.
        may: Says so of one ratio: `clears` or `holds`.
    """
    if "original" not in samples:
        return True
    return all(
        may(ratio(samples[name], samples["original"]), bound) for name, bound in bounds.items() if name in samples
    )


def enough(
    rounds: int,
    seconds: float,
    samples: Mapping[str, Sequence[float]],
    bounds: Mapping[str, Bound],
    asleep: float = 0.0,
) -> bool:
    """Whether sampling may stop.

    Args:
        rounds: How many there were; never fewer than `ROUNDS_AT_LEAST`, nor more than `ROUNDS_AT_MOST`.
        seconds: Wall time that they took.
        samples: Seconds of each call by variant, `original` among them.
        bounds: By variant, the bounds of its ratio to the original.
        asleep: Seconds asleep per CPU second, of the variant that sleeps most.
    """
    if rounds < ROUNDS_AT_LEAST or (rounds < QUICK_ROUNDS and seconds < QUICK_SECONDS):
        return False
    may = clears if rounds >= ROUNDS_TO_REFUSE else holds
    return rounds >= ROUNDS_AT_MOST or (asleep < RESTLESS and decided(samples, bounds, may))


def clears(found: Ratio, bound: Bound) -> bool:
    """Whether the ratio is a number and no bound lies within its interval."""
    edges = [edge for edge in (bound.lower, bound.upper) if edge is not None]
    return not math.isnan(found.value) and not any(found.low < edge < found.high for edge in edges)


def holds(found: Ratio, bound: Bound) -> bool:
    """Whether the whole interval lies within the bounds."""
    low = -math.inf if bound.lower is None else bound.lower
    return low <= found.low and found.high <= (math.inf if bound.upper is None else bound.upper)
