"""Latency of two PyTorch installations against each other, by pairs of fresh processes; imports no torch itself.

`docs/measuring.md` gives the reasons. Each pair is one worker (`vitgate.observe.latency_worker`) of each side: started,
loaded, moved to the same core, then called in turn, never both at a time. `vitgate.compare.latency_statistics` says
what the pairs mean and when there are enough.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

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
from vitgate.files.errors import MachineError
from vitgate.files.paths import default_cache
from vitgate.observe.session_directory import SETTINGS
from vitgate.spec.variants import Runtime

SideName = Literal["OLD", "NEW"]
SIDES: tuple[SideName, SideName] = ("OLD", "NEW")
ATTEMPTS = 2  # at a pair whose worker died or hung
_GRACE = 2.0  # seconds that a worker has to end by itself once it should
_START_UP = 5.0  # seconds, before it is known how long importing torch and loading take
_WATCHED = 0.1  # seconds for which the cores are watched before the least busy one is chosen

Times = dict[str, dict[SideName, Timed]]
"""What each variant took on either side."""

Echo = Callable[[str, float], None]
"""Is told what is going on, and an estimate of the seconds left."""


@dataclass(frozen=True)
class Side:
    """One installation: its interpreter, the variants' files with their runtimes, and what its environment adds.

    The interpreter must find `vitgate` itself, by installation or by PYTHONPATH in `env`. `arguments` go to the worker.
    """

    python: str
    models: Mapping[str, tuple[str, Runtime]]
    env: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pace:
    """How long a pair is sampled: `seconds`, but at least and at most so many rounds.

    A request times as many calls as fit into `request_seconds`, eight at the most, so that the change from one process
    to the other does not outweigh the calls of a quick model. `patience` is for one answer, in seconds.
    """

    rounds_at_least: int = 2
    rounds_at_most: int = 40
    seconds: float = 3.0
    request_seconds: float = 0.012
    patience: float = 180.0


def compare_latency(
    old: Side,
    new: Side,
    x: Path,
    engine: str,
    *,
    pace: Pace | None = None,
    echo: Echo | None = None,
    locks: Path | None = None,
    seed: int = 0,
) -> dict[str, Paired]:
    """Return the verdict on each variant that both sides have, in the order of `old.models`.

    `x` is one input as `.npy`, float32 [1, C, H, W]. A variant that one side cannot load or run is `not comparable`;
    where a pair's worker died or hung twice in a row, what is undecided is an `environment error`. A variant of one
    side alone is left out, and `echo` is told. MachineError where an interpreter cannot be started, or another
    comparison on this machine does not give way. `locks` is the folder of the locks that comparisons share.
    """
    tell = echo or _silent
    shared = [name for name in old.models if name in new.models]
    if lonely := sorted({*old.models, *new.models} - {*shared}):
        tell(f"left out, since one side alone has it: {', '.join(lonely)}", 0.0)
    turns = Turns(locks or default_cache())
    rng = random.Random(seed)  # noqa: S311  # the order of calls needs no cryptography
    return _Comparison({"OLD": old, "NEW": new}, x, engine, pace or Pace(), tell, turns, rng).run(shared)


def _silent(text: str, left: float) -> None:
    pass


class Turns:
    """The machine's turns at measuring, shared by all comparisons of this user.

    Whoever waits for the room holds the gate; whoever leaves the room finds the gate shut and queues behind. So two
    comparisons take rounds in turn, and neither starves.
    """

    def __init__(self, folder: Path) -> None:
        """Use (and make) this folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._gate, self._room = FileLock(folder / "measuring-gate.lock"), FileLock(folder / "measuring-room.lock")

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Measure while no other comparison does."""
        try:
            with self._gate.acquire(timeout=patience, poll_interval=0.01):
                self._room.acquire(timeout=patience, poll_interval=0.01)
        except Timeout as error:
            where, do = error.lock_file, "wait for the other vitgate, or end it"
            raise MachineError("another comparison measures and does not give way", where=where, do=do) from None
        try:
            yield
        finally:
            self._room.release()


class _Lost(Exception):
    """A pair is lost: a worker died, hung, or could not do what every pair needs."""


class _Worker:
    """A worker process, seen from the controller."""

    def __init__(self, side: Side, name: SideName, patience: float) -> None:
        """Start it; it imports torch once it is told what to load."""
        self.name, self._patience, self._buffer = name, patience, b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker; an unread pipe would block it
        command = [side.python, "-W", "ignore", "-m", "vitgate.observe.latency_worker", *side.arguments]
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter that the user compares
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **SETTINGS, **side.env},
            )
        except OSError as error:
            self._stderr.close()
            do = f"name a working interpreter for {name}"
            raise MachineError(f"cannot start Python: {error.strerror}", where=side.python, do=do) from None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        self.send(**request)
        return self.receive()

    def send(self, **request: Any) -> None:
        """Send a request; its answer must be received before the next."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({**request, "limit": self._patience}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death() from None

    def receive(self) -> dict[str, Any]:
        """Return the answer to the last request; _Lost where none comes, or where the whole request failed."""
        assert self._process.stdout is not None
        end = time.monotonic() + self._patience + _GRACE
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise _Lost(self._silence())
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._death()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def demand(self, answer: Mapping[str, Any]) -> None:
        """Raise _Lost where the answer is an error."""
        if "error" in answer:
            raise _Lost(_failure(self.name, answer["error"]))

    def _silence(self) -> str:
        return f"the worker of {self.name} did not answer within {self._patience:g} s"

    def _death(self) -> _Lost:
        try:
            status = self._process.wait(_GRACE)  # its end of a pipe is closed already
        except subprocess.TimeoutExpired:
            return _Lost(self._silence())
        if status == -signal.SIGALRM:
            return _Lost(self._silence())
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        return _Lost(f"the worker of {self.name} {how}" + (f": {said[-1]}" if said else ""))

    def end(self) -> None:
        """Kill it if it still runs, and take its status, so that neither a process nor its remains are left."""
        self._process.kill()
        self._process.communicate()
        self._stderr.close()


def _failure(side: SideName, error: Mapping[str, str]) -> str:
    return f"{side} failed at {error['stage']}: {error['type']}: {error['message']}"


def _started(answer: Mapping[str, Any], name: str) -> Timed:
    return Timed(load=tuple(answer["load"][name]["process"]), first=tuple(answer["first"][name]["process"]))


@contextmanager
def _workers(sides: Mapping[SideName, Side], patience: float) -> Iterator[dict[SideName, _Worker]]:
    """Start a fresh worker of each side; none outlives the block."""
    with ExitStack() as stack:
        workers = {}
        for name in SIDES:
            workers[name] = _Worker(sides[name], name, patience)
            stack.callback(workers[name].end)
        yield workers


class _Comparison:
    """The pairs taken so far, and what could not be measured."""

    def __init__(
        self,
        sides: Mapping[SideName, Side],
        x: Path,
        engine: str,
        pace: Pace,
        tell: Echo,
        turns: Turns,
        rng: random.Random,
    ) -> None:
        self._sides, self._x, self._engine, self._pace = sides, x, engine, pace
        self._tell, self._turns, self._rng = tell, turns, rng
        self._pairs: dict[str, list[PairRatio]] = {}
        self._unmeasured: dict[str, Paired] = {}
        self._note = ""
        self._clock = _Clock()

    def run(self, names: list[str]) -> dict[str, Paired]:
        """Take pairs until every variant is decided."""
        self._pairs = {name: [] for name in names}
        while undecided := [name for name in names if name not in self._unmeasured and more_needed(self._pairs[name])]:
            if loss := self._take(undecided):
                self._unmeasured.update({name: unmeasured("environment error", loss) for name in undecided})
        return {name: self._unmeasured.get(name) or judged(self._pairs[name], self._note) for name in names}

    def _take(self, names: list[str]) -> str:
        """Measure one pair; a lost one is tried again, and the reason returned where that is of no use."""
        loss = ""
        for _ in range(ATTEMPTS):
            try:
                self._keep(self._measured(names))
                return ""
            except _Lost as lost:
                loss = str(lost)
                self._say(f"thrown away: {loss}")
        return loss

    def _keep(self, times: Mapping[str, Mapping[SideName, Timed]]) -> None:
        try:
            found = {name: pair_ratio(of["OLD"], of["NEW"]) for name, of in times.items()}
        except ValueError as error:
            raise _Lost(str(error)) from None
        for name, ratio in found.items():
            self._pairs[name].append(ratio)
        self._clock.done()

    def _measured(self, names: list[str]) -> Times:
        """Return the times of each variant that a fresh pair of workers can run."""
        self._clock.start(self._pace)
        self._say(f"loading {len(names)} variant{'s' * (len(names) > 1)}")
        with _workers(self._sides, self._pace.patience) as workers:
            seconds, times = self._load(workers, names)
            self._pin(workers)
            return self._sample(workers, seconds, times)

    def _load(self, workers: Mapping[SideName, _Worker], names: list[str]) -> tuple[dict[str, float], Times]:
        """Load and warm up both sides at once; return, of what both can run, a call's wall seconds and what it took."""
        common = {"engine": self._engine, "input": str(self._x)}
        for side, worker in workers.items():
            worker.send(load={name: self._sides[side].models[name] for name in names}, **common)
        answers = {side: worker.receive() for side, worker in workers.items()}
        for side, answer in answers.items():
            workers[side].demand(answer)
            for name, error in answer["failed"].items():
                self._give_up(name, _failure(side, error))
        left = [name for name in names if name not in self._unmeasured]
        seconds = {name: max(answer["seconds"][name] for answer in answers.values()) for name in left}
        return seconds, {name: {side: _started(answer, name) for side, answer in answers.items()} for name in left}

    def _give_up(self, name: str, why: str) -> None:
        """Leave a variant out from now on: what cannot be loaded or run once, cannot be in another pair either."""
        before = self._unmeasured.get(name)
        self._unmeasured[name] = unmeasured("not comparable", f"{before.note}; {why}" if before else why)

    def _pin(self, workers: Mapping[SideName, _Worker]) -> None:
        core = quietest_core()
        if core is None or not all([worker.ask(pin=core)["pinned"] for worker in workers.values()]):
            self._note = "the workers could not be held on one core"

    def _sample(self, workers: Mapping[SideName, _Worker], seconds: Mapping[str, float], times: Times) -> Times:
        pace = self._pace
        calls = {name: max(1, min(8, int(pace.request_seconds / each))) for name, each in seconds.items()}
        sweep = sum(4 * calls[name] * each for name, each in seconds.items())  # two sides, an untimed call for each
        self._clock.expect(min(max(pace.seconds, pace.rounds_at_least * sweep), pace.rounds_at_most * sweep))
        spent, rounds = 0.0, 0
        while times and (rounds < pace.rounds_at_least or (rounds < pace.rounds_at_most and spent < pace.seconds)):
            self._say(f"round {rounds + 1}")
            with self._turns.turn(pace.patience):
                start = time.monotonic()
                self._round(workers, calls, times, rounds)
                spent += time.monotonic() - start
            rounds += 1
        return times

    def _round(
        self,
        workers: Mapping[SideName, _Worker],
        calls: Mapping[str, int],
        times: Times,
        number: int,
    ) -> None:
        """Time each variant on both sides, one directly after the other; who is first changes from round to round."""
        order = list(enumerate(times))
        self._rng.shuffle(order)
        for place, name in order:
            for side in SIDES if (place + number) % 2 else reversed(SIDES):
                answer = workers[side].ask(time=name, calls=calls[name])
                if "error" in answer:
                    self._give_up(name, _failure(side, answer["error"]))
                    del times[name]
                    break
                times[name][side] += Timed(*(tuple(answer[key]) for key in ("thread", "process", "wall")))

    def _say(self, text: str) -> None:
        number = self._clock.pairs + 1
        of = f"{PAIRS_AT_LEAST}" if number <= PAIRS_AT_LEAST else f"at most {PAIRS_AT_MOST}"
        self._tell(f"pair {number} of {of}: {text}", self._clock.left())


class _Clock:
    """An estimate of the seconds left: what a pair takes, from the last one or by its pace, times the pairs to come."""

    def __init__(self) -> None:
        self.pairs = 0
        self._start = time.monotonic()
        self._pair = 0.0

    def start(self, pace: Pace) -> None:
        """Begin a pair."""
        self._start = time.monotonic()
        self._pair = self._pair or pace.seconds + _START_UP

    def expect(self, sampling: float) -> None:
        """Know better, once the models are loaded."""
        if not self.pairs:
            self._pair = time.monotonic() - self._start + sampling

    def done(self) -> None:
        """Count a pair, and how long it took."""
        self.pairs += 1
        self._pair = time.monotonic() - self._start

    def left(self) -> float:
        """Return the seconds until the least number of pairs is reached; beyond it, until this pair is."""
        pairs = max(1, PAIRS_AT_LEAST - self.pairs)
        return max(0.0, pairs * self._pair - (time.monotonic() - self._start))


def quietest_core() -> int | None:
    """Return the core, of those that this process may use, that idled most just now; None where none can be chosen.

    Where the system does not tell how its cores idle, it is the last of them: the first one takes most interrupts.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    before = _idle()
    time.sleep(_WATCHED)
    after = _idle()
    return max(allowed, key=lambda core: (after.get(core, 0) - before.get(core, 0), core))


def _idle() -> dict[int, int]:
    """Return each core's ticks of idleness so far; nothing where the system does not tell."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    rows = [line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit()]
    return {int(row[0][3:]): int(row[4]) for row in rows}
