"""Compare the latency of two PyTorch installations by pairs of fresh processes; this module imports no torch.

`docs/measuring.md` gives the reasons. Each pair is one worker (`vitgate.observe.latency_worker`) of each side: started,
loaded, moved to the same core, then called in turn, never both at a time. `vitgate.compare.latency_statistics` says
what the pairs mean and when there are enough.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitgate.compare.latency_statistics import (
    judged,
    more_needed,
    pair_ratio,
    Paired,
    PairRatio,
    PAIRS_AT_LEAST,
    PAIRS_AT_MOST,
    Timed,
    unmeasured,
)
from vitgate.files.paths import default_cache
from vitgate.observe.latency_worker import no_times
from vitgate.upgrade.latency_workers import (
    failure,
    Installation,
    MeasuringLock,
    PairLost,
    quietest_core,
    SideName,
    SIDES,
    started_workers,
    Worker,
)

ATTEMPTS = 2  # at a pair whose worker died or hung
BYTES_AT_ONCE = 1_000_000_000  # of the files that a worker loads; in memory they take about twice as much
_START_UP = 5.0  # seconds, before it is known how long importing torch and loading take

Times = dict[str, dict[SideName, Timed]]
"""What each variant took on either side."""

Echo = Callable[[str, float], None]
"""Called with a line of progress and an estimate of the seconds left."""


@dataclass(frozen=True)
class SamplingPlan:
    """How long a pair is sampled: for `seconds`, within the bounds on the number of rounds.

    A request times as many calls as fit into `request_seconds`, at most eight, so that switching processes costs little
    beside the calls of a fast model. An untimed call goes before each timed one, but where a call takes `long_seconds`:
    to fill the caches again is some milliseconds. `timeout` is in seconds, for one answer.
    """

    rounds_at_least: int = 2
    rounds_at_most: int = 40
    seconds: float = 2.5
    request_seconds: float = 0.012
    long_seconds: float = 0.1
    timeout: float = 180.0

    def request(self, seconds: float) -> dict[str, Any]:
        """Return what is asked about a model whose call takes so many wall seconds."""
        calls = max(1, min(8, int(self.request_seconds / seconds)))
        return {"calls": calls, "warm": seconds < self.long_seconds}


def compare_latency(
    old: Installation,
    new: Installation,
    x: Path,
    engine: str,
    *,
    plan: SamplingPlan | None = None,
    echo: Echo | None = None,
    locks: Path | None = None,
    seed: int = 0,
) -> dict[str, Paired]:
    """Compare two installations and return a verdict for each variant that both have, in the order of `old.models`.

    Variants whose files are large are compared one part after the other, since a worker keeps what it has loaded.

    A variant that one side cannot load or run is `not comparable`. If a worker dies or hangs in two successive attempts
    at a pair, the undecided variants are an `environment error`.

    Args:
        old: The installation to upgrade from.
        new: The installation to upgrade to.
        x: One input as `.npy`, float32 [1, C, H, W].
        engine: The quantized engine of both sides.
        plan: How long each pair is sampled.
        echo: Called with progress, the seconds left, and the variants left out because only one side has them.
        locks: Folder of the lock files that comparisons share; the user's cache by default.
        seed: Seed of the order of calls.

    Raises:
        MachineError: An interpreter cannot be started, or another comparison keeps the lock too long.
    """
    tell = echo or _silent
    shared = [name for name in old.models if name in new.models]
    if lonely := sorted({*old.models, *new.models} - {*shared}):
        tell(f"left out, because only one side has it: {', '.join(lonely)}", 0.0)
    lock = MeasuringLock(locks or default_cache())
    rng = random.Random(seed)  # noqa: S311  # the order of calls needs no cryptography
    sides: dict[SideName, Installation] = {"OLD": old, "NEW": new}
    found: dict[str, Paired] = {}
    for part in loaded_at_once({name: max(_bytes(side, name) for side in (old, new)) for name in shared}):
        found |= _Comparison(sides, x, engine, plan or SamplingPlan(), tell, lock, rng).run(part)
    return found


def loaded_at_once(sizes: Mapping[str, int], most: int = BYTES_AT_ONCE) -> list[list[str]]:
    """Return the names in their order, in parts of at most so many bytes together; one that is larger is a part."""
    parts: list[list[str]] = []
    for name, size in sizes.items():
        if not parts or sum(sizes[other] for other in parts[-1]) + size > most:
            parts.append([])
        parts[-1].append(name)
    return parts


def _bytes(side: Installation, name: str) -> int:
    path = Path(side.models[name][0])
    return path.stat().st_size if path.is_file() else 0  # a worker says that it is missing


def _silent(text: str, left: float) -> None:
    pass


def _started(answer: Mapping[str, Any], name: str) -> Timed:
    return Timed(load=tuple(answer["load"][name]["process"]), first=tuple(answer["first"][name]["process"]))


class _Comparison:
    """One comparison: the pairs measured so far, and the variants that cannot be measured."""

    def __init__(
        self,
        sides: Mapping[SideName, Installation],
        x: Path,
        engine: str,
        plan: SamplingPlan,
        tell: Echo,
        lock: MeasuringLock,
        rng: random.Random,
    ) -> None:
        self._sides, self._x, self._engine, self._plan = sides, x, engine, plan
        self._tell, self._lock, self._rng = tell, lock, rng
        self._pairs: dict[str, list[PairRatio]] = {}
        self._unmeasured: dict[str, Paired] = {}
        self._note = ""
        self._clock = _Clock()

    def run(self, names: list[str]) -> dict[str, Paired]:
        """Measure pairs until every variant is decided."""
        self._pairs = {name: [] for name in names}
        while undecided := [name for name in names if name not in self._unmeasured and more_needed(self._pairs[name])]:
            if loss := self._measure_pair(undecided):
                self._unmeasured.update({name: unmeasured("environment error", loss) for name in undecided})
        return {name: self._unmeasured.get(name) or judged(self._pairs[name], self._note) for name in names}

    def _measure_pair(self, names: list[str]) -> str:
        """Measure one pair, again if it is lost; return the reason if every attempt is lost, else an empty string."""
        loss = ""
        for _ in range(ATTEMPTS):
            try:
                self._add(self._measured(names))
                return ""
            except PairLost as lost:
                loss = str(lost)
                self._say(f"discarded: {loss}")
        return loss

    def _add(self, times: Mapping[str, Mapping[SideName, Timed]]) -> None:
        try:
            found = {name: pair_ratio(of["OLD"], of["NEW"]) for name, of in times.items()}
        except ValueError as error:
            raise PairLost(str(error)) from None
        for name, ratio in found.items():
            self._pairs[name].append(ratio)
        self._clock.done()

    def _measured(self, names: list[str]) -> Times:
        """Return the times of each variant that both of two fresh workers can run."""
        self._clock.start(self._plan)
        self._say(f"loading {len(names)} variant{'s' * (len(names) > 1)}")
        with started_workers(self._sides, self._plan.timeout) as workers:
            seconds, times = self._load(workers, names)
            self._pin(workers)
            return self._sample(workers, seconds, times)

    def _load(self, workers: Mapping[SideName, Worker], names: list[str]) -> tuple[dict[str, float], Times]:
        """Load and warm up both sides; return a call's wall seconds and the start-up times of what both can run."""
        common = {"engine": self._engine, "input": str(self._x)}
        for side, worker in workers.items():
            worker.send(load={name: self._sides[side].models[name] for name in names}, **common)
        answers = {side: worker.receive() for side, worker in workers.items()}
        for side, answer in answers.items():
            workers[side].demand(answer)
            for name, error in answer["failed"].items():
                self._give_up(name, failure(side, error))
        left = [name for name in names if name not in self._unmeasured]
        seconds = {name: max(answer["seconds"][name] for answer in answers.values()) for name in left}
        return seconds, {name: {side: _started(answer, name) for side, answer in answers.items()} for name in left}

    def _give_up(self, name: str, why: str) -> None:
        """Exclude a variant from this and all later pairs, because it cannot be loaded or run."""
        before = self._unmeasured.get(name)
        self._unmeasured[name] = unmeasured("not comparable", f"{before.note}; {why}" if before else why)

    def _pin(self, workers: Mapping[SideName, Worker]) -> None:
        core = quietest_core()
        if core is None or not all([worker.ask(pin=core)["pinned"] for worker in workers.values()]):
            self._note = "the workers could not be pinned to one core"

    def _sample(self, workers: Mapping[SideName, Worker], seconds: Mapping[str, float], times: Times) -> Times:
        plan = self._plan
        asked = {name: plan.request(each) for name, each in seconds.items()}
        sweep = sum(2 * (1 + asked[name]["warm"]) * asked[name]["calls"] * each for name, each in seconds.items())
        self._clock.expect(min(max(plan.seconds, plan.rounds_at_least * sweep), plan.rounds_at_most * sweep))
        spent, rounds = 0.0, 0
        while times and (rounds < plan.rounds_at_least or (rounds < plan.rounds_at_most and spent < plan.seconds)):
            self._say(f"round {rounds + 1}")
            with self._lock.held(plan.timeout):
                start = time.monotonic()
                self._round(workers, asked, times, rounds)
                spent += time.monotonic() - start
            rounds += 1
        return times

    def _round(
        self,
        workers: Mapping[SideName, Worker],
        asked: Mapping[str, Mapping[str, Any]],
        times: Times,
        number: int,
    ) -> None:
        """Time each variant on both sides in direct succession; which side is first alternates by round."""
        order = list(enumerate(times))
        self._rng.shuffle(order)
        for place, name in order:
            for side in SIDES if (place + number) % 2 else reversed(SIDES):
                answer = workers[side].ask(time=name, **asked[name])
                if "error" in answer:
                    self._give_up(name, failure(side, answer["error"]))
                    del times[name]
                    break
                times[name][side] += Timed(**{clock: tuple(answer[clock]) for clock in no_times()})

    def _say(self, text: str) -> None:
        number = self._clock.pairs + 1
        of = f"{PAIRS_AT_LEAST}" if number <= PAIRS_AT_LEAST else f"at most {PAIRS_AT_MOST}"
        self._tell(f"pair {number} of {of}: {text}", self._clock.left())


class _Clock:
    """Estimates the seconds left: the duration of a pair (the last one, or the plan's) times the pairs to come."""

    def __init__(self) -> None:
        self.pairs = 0
        self._start = time.monotonic()
        self._pair = 0.0

    def start(self, plan: SamplingPlan) -> None:
        """Start the clock of a pair."""
        self._start = time.monotonic()
        self._pair = self._pair or plan.seconds + _START_UP

    def expect(self, sampling: float) -> None:
        """Correct the estimate once the models are loaded and a call's duration is known."""
        if not self.pairs:
            self._pair = time.monotonic() - self._start + sampling

    def done(self) -> None:
        """Count a finished pair and keep its duration."""
        self.pairs += 1
        self._pair = time.monotonic() - self._start

    def left(self) -> float:
        """Return the seconds until the minimum number of pairs is measured; after that, until this pair is."""
        pairs = max(1, PAIRS_AT_LEAST - self.pairs)
        return max(0.0, pairs * self._pair - (time.monotonic() - self._start))
