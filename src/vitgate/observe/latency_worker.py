"""One side of a latency comparison: a fresh process that loads saved models and times calls of them on request.

    python -m vitgate.observe.latency_worker

It reads one JSON object a line from stdin and answers each with one on stdout; `vitgate.upgrade.paired_latency` is the
other end. Many such processes are started, so nothing heavier than torch is imported; any PyTorch from 1.13 on will do.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

WARM_UP_CALLS = 3  # a scripted module is profiled in the first and optimized in the second
_LIMIT = 600  # seconds, where a request names none

_TORCHSCRIPT = "The following operation failed in"  # how TorchScript begins; it ends with what the operation said

Times = dict[str, list[float]]
"""Seconds of each timed call, in the order taken, by clock: `thread`, `process`, `wall`, `waited`."""
_SCHEDSTAT = "/proc/thread-self/schedstat"
_MOMENTS = ("load", "first")  # before the timed calls


class StageError(Exception):
    """A stage of a request failed: its name and, as `__cause__`, why."""

    def answer(self) -> dict[str, str]:
        """Return it as plain values; the message is one line of what was said."""
        cause = self.__cause__ or self
        lines = (str(cause).strip() or type(cause).__name__).splitlines()
        message = lines[-1 if lines[0].startswith(_TORCHSCRIPT) else 0]
        return {"stage": str(self), "type": type(cause).__name__, "message": message}


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Name the stage within the block: any failure becomes a StageError."""
    try:
        yield
    except StageError:
        raise
    except Exception as error:  # the stage boundary: any failure becomes a named answer
        raise StageError(name) from error


class Injection:
    """A slowdown that tests and benchmarks put into each timed call, as a fraction of the call's CPU time.

    cpu: the calling thread computes longer; thread: another thread computes meanwhile; sleep: the call sleeps. first
    and load are as cpu, in the first calls and in loading alone.
    """

    def __init__(self, text: str) -> None:
        """Read `KIND:FRACTION`."""
        kind, _, fraction = text.partition(":")
        delays: dict[str, Callable[[float], None]] = {"thread": _burn_elsewhere, "sleep": time.sleep}
        self._delay = delays.get(kind)
        self._moment = kind if kind in _MOMENTS else "timed"
        self._fraction = float(fraction)

    def delay(self, start: float, moment: str) -> None:
        """Delay what began when this thread's CPU clock showed `start`, at that moment: load, first or timed."""
        if moment != self._moment:
            return
        took = time.thread_time() - start
        if self._delay is None:
            _burn_until(start + (1.0 + self._fraction) * took)  # what the delay itself costs is part of it
        else:
            self._delay(self._fraction * took)


def _burn_until(end: float) -> None:
    while time.thread_time() < end:
        pass


def _burn_elsewhere(seconds: float) -> None:
    other = threading.Thread(target=lambda: _burn_until(time.thread_time() + seconds))
    other.start()
    other.join()


class Worker:
    """The models of this process, and the requests about them by their first key."""

    def __init__(self, injection: Injection | None = None) -> None:
        """Hold nothing yet."""
        self._runs: dict[str, Callable[[], object]] = {}
        self._injection = injection

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what the request asks; whatever goes wrong is an answer too."""
        do = {"load": self._load, "pin": self._pin, "time": self._time}
        signal.alarm(math.ceil(request.get("limit", _LIMIT)))  # ends even a call that hangs in torch
        try:
            with stage("request"):
                return do[next(iter(request))](request)
        except StageError as error:
            return {"error": error.answer()}
        finally:
            signal.alarm(0)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        with stage("import"):
            import numpy as np
            import torch
        with stage("set up"):
            torch.set_num_threads(1)  # also holds the thread pool of qnnpack and XNNPACK to one thread
            torch.set_grad_enabled(False)
            if request["engine"] != "none":  # of successors, which use none of PyTorch's
                torch.backends.quantized.engine = request["engine"]
            x = torch.from_numpy(np.load(request["input"], allow_pickle=False))
        load: dict[str, Times] = {}
        first: dict[str, Times] = {}
        failed = {}
        for name, (path, runtime) in request["load"].items():
            try:
                load[name], first[name] = self._start(name, path, runtime, x)
            except StageError as error:
                failed[name] = error.answer()
        gc.collect()
        gc.disable()
        seconds = {name: min(times["wall"]) for name, times in first.items()}
        return {"torch": torch.__version__, "seconds": seconds, "failed": failed, "load": load, "first": first}

    def _start(self, name: str, path: str, runtime: str, x: Any) -> tuple[Times, Times]:
        """Load a model, and make the calls in which a scripted module is profiled and specialized."""
        loaded: list[Callable[[Any], object]] = []
        load, first = no_times(), no_times()
        with stage("load"):
            self._take(lambda: loaded.append(_loaded(path, runtime)), load, "load")
        self._runs[name] = _bound(loaded[0], x)
        with stage("run"):
            for _ in range(WARM_UP_CALLS):
                self._take(self._runs[name], first, "first")
        return load, first

    def _pin(self, request: dict[str, Any]) -> dict[str, Any]:
        """Move this thread, and those that it starts from now on, to one core."""
        try:
            os.sched_setaffinity(0, {request["pin"]})
        except (AttributeError, OSError):  # a system without such a call, or a core that was just taken away
            return {"pinned": False}
        return {"pinned": True}

    def _time(self, request: dict[str, Any]) -> Times:
        run, times = self._runs[request["time"]], no_times()
        with stage("run"):
            for _ in range(request["calls"]):
                if request.get("warm", True):
                    run()  # untimed: brings code and weights back into the caches that the other side has used
                self._take(run, times, "timed")
        return times

    def _take(self, run: Callable[[], object], times: Times, moment: str) -> None:
        delay = self._injection.delay if self._injection else None
        take(run, times, delay and (lambda thread: delay(thread, moment)))


def take(run: Callable[[], object], times: Times, delay: Callable[[float], None] | None = None) -> None:
    """Time one call.

    Args:
        run: The call.
        times: Get a sample for each clock, in seconds.
        delay: Counts as part of the call; is told when that began, in seconds of this thread's CPU clock.
    """
    before = waited()
    wall, process, thread = time.perf_counter(), time.process_time(), time.thread_time()
    run()
    if delay:
        delay(thread)
    times["thread"].append(time.thread_time() - thread)
    times["process"].append(time.process_time() - process)
    times["wall"].append(time.perf_counter() - wall)
    if before is not None and (after := waited()) is not None:
        times["waited"].append(after - before)


def waited() -> float | None:
    """Return the seconds that this thread was ready to run and waited for a processor; None where no system says so.

    The second number of `/proc/thread-self/schedstat` (Linux, "Documentation/scheduler/sched-stats.rst"). Sandboxes
    that only imitate the file leave the first, the time on a processor, at 0.
    """
    try:
        with open(_SCHEDSTAT, encoding="ascii") as file:  # noqa: PTH123  # twice in each timed call
            running, ready = file.read().split()[:2]
    except (OSError, ValueError):
        return None
    return int(ready) / 1e9 if int(running) else None


def _loaded(path: str, runtime: Any) -> Callable[[Any], object]:
    import torch

    module: Callable[[Any], object]
    if runtime == "lite_interpreter":
        from torch.jit.mobile import _load_for_lite_interpreter

        module = _load_for_lite_interpreter(path)
    elif runtime == "torchscript":
        module = torch.jit.load(path)
    else:
        from vitgate.observe.runtimes import loaded  # and with it what takes a third of a second

        module = loaded(runtime, path).module
    return module


def _bound(module: Callable[[Any], object], x: Any) -> Callable[[], object]:
    return lambda: module(x)


def no_times() -> Times:
    """Return room for the seconds of calls: CPU of this thread, CPU of the whole process, wall, waiting for a CPU.

    The last stays empty where the system does not say.
    """
    return Times(thread=[], process=[], wall=[], waited=[])


def own_stdout() -> TextIO:
    """Keep stdout for answers alone; what libraries print goes to stderr."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Answer requests until stdin ends."""
    parser = argparse.ArgumentParser(description="times saved models for vitgate upgrade")
    parser.add_argument("--inject", type=Injection, help="KIND:FRACTION, for tests and benchmarks only")
    worker, answers = Worker(parser.parse_args().inject), own_stdout()
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
