"""Whether a newer PyTorch is slower: from pairs of fresh processes to one word. Needs no torch.

Two processes that run the same code on the same file differ in CPU time by a constant of their own, which comes from
where their memory happens to lie and which more calls do not remove. So a pair of fresh processes, one of each side,
counts as one observation, the logarithm of its ratio is what is averaged, and more certainty takes more pairs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from vitgate.judge.latency_ratios import asleep_per_cpu, BUSY, fastest_quartile, waited_per_cpu

PairWord = Literal["same", "regressed", "fixed", "not comparable", "environment error"]

PAIRS_AT_LEAST = 3
PAIRS_AT_MOST = 8

# A mean ratio below PASS ends the comparison at once; one above FAIL after the last pair is a regression. With offsets
# of SD 0.02 that calls equal versions regressed less than once in 10 000 times, and misses +8% about as rarely
# (simulation, `docs/measuring.md`).
PASS = 1.025
FAIL = 1.05
FASTER = 1 / FAIL

# The least SD that is assumed of the log-ratios of pairs; measured: 0.010, and 0.019 beside busy neighbours
# (`benchmarks/false_alarms.py`). Three pairs sometimes agree by chance: without a floor, their interval would be too
# narrow just when it ends the comparison.
OFFSET_SD = 0.02

# Quantiles 0.975 of Student's t by degrees of freedom (any table of it).
_T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365}

# CPU time of one thread sees neither sleeps, locks and I/O, nor other threads. These are how much the time asleep per
# CPU time has grown from OLD to NEW, as a difference (measured: at most 0.006 where nothing sleeps, a load of 6 on two
# cores or none, `benchmarks/false_alarms.py`), and the CPU time of the process per that of the thread, as a factor. The
# median of the pairs counts: one strange pair must neither raise an alarm nor hide a sleep that all others show.
ASLEEP_GROWTH = 0.025
PROCESS_GROWTH = 1.25

# What a user waits for once, and a device at each start: the CPU time of loading, and of the first calls together, in
# which a scripted module is profiled and specialized. They cannot be repeated within a pair, and both sides load at
# once, so that the guard is loose.
START_GROWTH = 2.0
_START_FLOOR = 0.002  # seconds that are added to both: what takes less is nobody's wait, and mostly noise


@dataclass(frozen=True)
class Timed:
    """Seconds of each timed call of one side of a pair: CPU of the calling thread, CPU of the process, wall.

    `waited` is how long it was ready and waited for a processor, empty where the system does not say.
    `load` and `first` are the CPU seconds that the process spent on loading the model and on each of its first calls.
    """

    thread: tuple[float, ...] = ()
    process: tuple[float, ...] = ()
    wall: tuple[float, ...] = ()
    load: tuple[float, ...] = ()
    first: tuple[float, ...] = ()
    waited: tuple[float, ...] = ()

    def __add__(self, later: Timed) -> Timed:
        """Append the calls of a later round."""
        return Timed(**{each.name: getattr(self, each.name) + getattr(later, each.name) for each in fields(self)})


@dataclass(frozen=True)
class PairRatio:
    """What one pair of processes says of NEW against OLD, as factors; times in milliseconds of CPU.

    `asleep` is how much more of its CPU time NEW sleeps than OLD; `process` is the growth of the process's CPU time per
    the thread's; `load` and `first` are those of the CPU time of loading and of the first calls together. `waited` is
    how long the side that waited longer did so for a processor, per CPU time.
    """

    ratio: float
    old_ms: float
    new_ms: float
    asleep: float = 0.0
    process: float = 1.0
    load: float = 1.0
    first: float = 1.0
    waited: float = 0.0


@dataclass(frozen=True)
class Paired:
    """The verdict on one variant.

    `ratio` is the geometric mean of the pairs' ratios NEW/OLD, `low` and `high` its 95% interval (see `interval`);
    NaN where nothing was measured. `word` decides; `note` says what a reader should know besides, or why. The times are
    the medians over the pairs, and `ratios` is what each pair gave. `load` and `first` are the medians of how the CPU
    time of loading, and of the first calls together, has grown.
    """

    ratio: float
    low: float
    high: float
    pairs: int
    word: PairWord
    note: str = ""
    old_ms: float = math.nan
    new_ms: float = math.nan
    ratios: tuple[float, ...] = ()
    load: float = math.nan
    first: float = math.nan


def unmeasured(word: PairWord, note: str) -> Paired:
    """Return the verdict on a variant that could not be measured."""
    return Paired(math.nan, math.nan, math.nan, 0, word, note)


def pair_ratio(old: Timed, new: Timed) -> PairRatio:
    """Return what one pair says: ratio of the means of the fastest quarters, and the growths of the guards.

    ValueError where a side has no calls or times that are not positive: such a pair must not count as agreement.
    """
    for side in (old, new):
        every = (*side.thread, *side.process, *side.wall, *side.load, *side.first)
        waits = all(0.0 <= seconds < math.inf for seconds in side.waited)
        if not side.thread or not waits or not all(0.0 < seconds < math.inf for seconds in every):
            raise ValueError("a pair needs positive times of both sides")
    slow, fast = fastest_quartile(old.thread), fastest_quartile(new.thread)
    return PairRatio(
        ratio=fast / slow,
        old_ms=1000.0 * slow,
        new_ms=1000.0 * fast,
        asleep=_asleep(new) - _asleep(old) if old.waited and new.waited else 0.0,
        process=_undisturbed(new.process, new.thread) / _undisturbed(old.process, old.thread),
        load=_growth(old.load, new.load),
        first=_growth(old.first, new.first),
        waited=max(waited_per_cpu(side.thread, side.waited) for side in (old, new)),
    )


def _asleep(side: Timed) -> float:
    found = asleep_per_cpu(side.wall, side.thread, side.waited)
    if math.isnan(found):
        raise ValueError("a pair needs clocks that agree")
    return found


def _undisturbed(of: Sequence[float], per: Sequence[float]) -> float:
    """Return the mean of the lowest quarter of the calls' ratios: most disturbances raise one, and few lower it."""
    return fastest_quartile([mine / base for mine, base in zip(of, per, strict=True)])


def _growth(old: Sequence[float], new: Sequence[float]) -> float:
    """Return how much longer it took altogether; 1 where a side does not say."""
    return (sum(new) + _START_FLOOR) / (sum(old) + _START_FLOOR) if old and new else 1.0


def interval(pairs: Sequence[PairRatio]) -> tuple[float, float, float]:
    """Return the geometric mean of the ratios and its 95% interval.

    It is Student's t interval of the mean log-ratio over the pairs, except that an SD below OFFSET_SD counts as
    OFFSET_SD. Where that floor binds, the interval is wider than the pairs ask for, and no longer exact. One pair alone
    says nothing of its spread: its interval is everything.
    """
    logs = [math.log(pair.ratio) for pair in pairs]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    degrees = min(len(logs) - 1, max(_T_975))
    half = _T_975[degrees] * max(OFFSET_SD, statistics.stdev(logs)) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def more_needed(pairs: Sequence[PairRatio]) -> bool:
    """Whether another pair is to be measured.

    From the third pair on, a mean below PASS ends it, and so does an interval that lies wholly above FAIL. A guard that
    most pairs so far have tripped is a heavy charge: it is heard to the last pair.
    """
    if len(pairs) < PAIRS_AT_LEAST:
        return True
    if len(pairs) >= PAIRS_AT_MOST:
        return False
    mean, low, _ = interval(pairs)
    return low <= FAIL and (mean >= PASS or bool(_tripped(pairs)))


def judged(pairs: Sequence[PairRatio], note: str = "") -> Paired:
    """Return the verdict on the pairs; one that `more_needed` would continue is judged as it stands.

    regressed: the mean is above FAIL (or a guard's median growth above its limit). fixed: the mean is below FASTER and
    the whole interval below 1. same: all else; a mean between PASS and FAIL passes with a note, since a slowdown that
    small cannot be told from the processes' own offsets.
    """
    if len(pairs) < PAIRS_AT_LEAST:
        return unmeasured("environment error", note or f"only {len(pairs)} of {PAIRS_AT_LEAST} pairs were measured")
    mean, low, high = interval(pairs)
    word, why = _word(pairs, mean, high)
    medians = {
        name: statistics.median(getattr(pair, name) for pair in pairs) for name in ("old_ms", "new_ms", "load", "first")
    }
    waited = statistics.median(pair.waited for pair in pairs)
    busy = f"the machine was busy: {waited:.1f} s of waiting for a processor a second of CPU time"
    notes = "; ".join(part for part in (why, note, busy if waited > BUSY else "") if part)
    return Paired(mean, low, high, len(pairs), word, notes, ratios=tuple(pair.ratio for pair in pairs), **medians)


def _word(pairs: Sequence[PairRatio], mean: float, high: float) -> tuple[PairWord, str]:
    if mean > FAIL:
        return "regressed", ""
    if guard := _tripped(pairs):
        return "regressed", guard
    if mean < FASTER and high < 1.0:
        return "fixed", "faster"
    if mean >= PASS:
        return "same", f"{mean - 1:.1%} slower: more than noise usually is, less than the {FAIL - 1:.0%} that fail"
    return "same", ""


def _tripped(pairs: Sequence[PairRatio]) -> str:
    """Return what a guard says whose growth, the median over the pairs, is above its limit; nothing where none is."""
    guards: tuple[tuple[str, Callable[[PairRatio], float], float], ...] = (
        ("CPU time of the process per that of one thread (more threads)", lambda pair: pair.process, PROCESS_GROWTH),
        ("CPU time of loading", lambda pair: pair.load, START_GROWTH),
        ("CPU time of the first calls", lambda pair: pair.first, START_GROWTH),
    )
    for what, of, limit in guards:
        if (growth := statistics.median(of(pair) for pair in pairs)) > limit:
            return f"{what} grew {growth:.2f} times (median of {len(pairs)} pairs), more than {limit:.2f}"
    slept = statistics.median(pair.asleep for pair in pairs)
    if slept > ASLEEP_GROWTH:
        what = f"time asleep (sleeps, locks, I/O) grew by {slept:.1%} of the CPU time"
        return f"{what} (median of {len(pairs)} pairs), more than {ASLEEP_GROWTH:.1%}"
    return ""
