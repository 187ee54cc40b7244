"""Latencies of processes of which the newer is slower: made up, so that no busy neighbour decides them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from vitgate.compare.latency_statistics import judged, more_needed, pair_ratio, Paired, PairRatio, Timed


@dataclass(frozen=True)
class Machine:
    """What NEW takes, as factors of what OLD takes: CPU time, process time per CPU time, loading, first calls.

    `asleep` is the time asleep per CPU time that NEW has more; the machine is a busy one.

    Every process has a constant of its own (SD 0.02), every call a noise, and one in ten a neighbour that disturbs it.
    """

    cpu: float = 1.0
    asleep: float = 0.0
    process: float = 1.0
    load: float = 1.0
    first: float = 1.0

    def timed(self, rng: random.Random, calls: int = 16) -> Timed:
        """Make up one side of a pair."""
        base = 0.01 * self.cpu * math.exp(rng.gauss(0.0, 0.02 / math.sqrt(2)))
        thread = [base * _disturbed(rng) for _ in range(calls)]
        waited = [seconds * rng.expovariate(0.5) for seconds in thread]
        start = [math.exp(rng.gauss(0.0, 0.1)) for _ in range(5)]
        return Timed(
            tuple(thread),
            tuple(seconds * 1.01 * self.process for seconds in thread),
            tuple(
                seconds * (1.0 + self.asleep + rng.expovariate(500.0)) + waiting
                for seconds, waiting in zip(thread, waited, strict=True)
            ),
            load=(0.03 * self.load * start[0],),
            first=tuple(0.02 * self.first * each for each in start[1:]),
            waited=tuple(waited),
        )


def _disturbed(rng: random.Random) -> float:
    return (1.0 + rng.expovariate(100.0)) * (1.0 + rng.random() if rng.random() < 0.1 else 1.0)


SLOWDOWNS = {
    "8 % slower": Machine(cpu=1.08),
    "15 % slower": Machine(cpu=1.15),
    "twice as slow": Machine(cpu=2.0),
    "sleeping": Machine(asleep=0.05),
    "one more thread": Machine(process=1.6),
    "slow in the first calls only": Machine(first=5.0),
    "slow in loading only": Machine(load=5.0),
}


def compared(new: Machine, rng: random.Random) -> Paired:
    """Take pairs of made-up processes until it is decided."""
    pairs: list[PairRatio] = []
    while more_needed(pairs):
        pairs.append(pair_ratio(Machine().timed(rng), new.timed(rng)))
    return judged(pairs)
