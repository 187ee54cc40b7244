"""Faults of speed, by samples that are made up: no busy neighbour may decide them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from vitgate.judge.latency_ratios import asleep_per_cpu
from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.latency_worker import no_times, take
from vitgate.observe.timing import latency
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, Finding
from vitgate.spec.variants import VariantName
from vitgate.spec.versions import machine

from ..baseline import samples
from ..scene import Scene
from .catalogue import fault, TABLE


def _upper(scene: Scene, variant: VariantName) -> float:
    """Return the largest ratio to the original that the variant's window permits."""
    cell = CellId(scene.case, scene.clean.engine, variant)
    finding = Finding("ratio", 1.0, "1", against="original")
    upper = read_tolerances().find("latency", finding, cell, "trained", machine()).upper
    assert upper is not None
    return upper


@fault(latency=("lite_frozen",), says="ratio")
def quantized_15_percent_slower(scene: Scene) -> None:
    """A quantized variant takes 15% longer than its window permits."""
    scene.latency("lite_frozen", samples(1.15 * _upper(scene, "lite_frozen")))


@fault(latency=("scripted",), says="ratio")
def scripted_15_percent_slower(scene: Scene) -> None:
    """The scripted model takes 15% longer than its window permits."""
    scene.latency("scripted", samples(1.15 * _upper(scene, "scripted")))


@fault(latency=("scripted_quantized",), says="ratio", may=("table",), engine="qnnpack")
def qnnpack_15_percent_slower(scene: Scene) -> None:
    """A variant takes 15% longer than even qnnpack's window on an x86 machine permits."""
    scene.latency("scripted_quantized", samples(1.15 * _upper(scene, "scripted_quantized")))


@fault(latency=("lite_frozen",), says="ratio")
def twice_as_slow(scene: Scene) -> None:
    """A quantized variant takes twice as long as its window permits."""
    scene.latency("lite_frozen", samples(2.0 * _upper(scene, "lite_frozen")))


@fault(latency=("lite_frozen",), says="ratio", may=("table",))
def too_fast(scene: Scene) -> None:
    """A variant takes a fiftieth of the original's time: it does not compute what it should."""
    scene.latency("lite_frozen", samples(0.02))


@fault(latency=("scripted_quantized",), says="asleep_per_cpu")
def sleeping(scene: Scene) -> None:
    """A variant sleeps for a twentieth of its time: CPU time does not see it, however busy the machine is."""
    scene.latency("scripted_quantized", samples(1.0, asleep=0.05))


@fault(latency=("scripted_quantized",), says="asleep_per_cpu")
def sleeping_in_every_call(scene: Scene) -> None:
    """A variant really sleeps in every call that is timed."""
    _taken(scene, lambda seconds: time.sleep(0.05 * seconds))


@fault(latency=("scripted_quantized",), says="asleep_per_cpu")
def waiting_for_a_lock(scene: Scene) -> None:
    """A variant waits for a lock that another thread holds for a twentieth of its time."""
    lock = threading.Lock()

    def wait(seconds: float) -> None:
        lock.acquire()
        other = threading.Timer(0.05 * seconds, lock.release)
        other.start()
        with lock:
            other.join()

    _taken(scene, wait)


@fault(latency=("scripted_quantized",), says="asleep_per_cpu")
def waiting_for_a_file(scene: Scene) -> None:
    """A variant waits for I/O: for a pipe into which somebody else writes."""

    def wait(seconds: float) -> None:
        reader, writer = os.pipe()
        other = threading.Timer(0.05 * seconds, os.write, (writer, b"x"))
        other.start()
        os.read(reader, 1)
        other.join()
        os.close(reader)
        os.close(writer)

    _taken(scene, wait)


def _taken(scene: Scene, wait: Callable[[float], None]) -> None:
    """Time calls that compute for 20 ms and wait, and make them the variant's, each clock as it was per CPU time."""
    taken, seconds = no_times(), 0.02

    def run() -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            torch.ones(64, 64).sum()
        wait(seconds)

    for _ in range(8):
        take(run, taken)
    slept = asleep_per_cpu(taken["wall"], taken["thread"], taken["waited"])
    scene.latency("scripted_quantized", samples(1.0, asleep=slept))


@fault(latency=("scripted",), says="process_per_thread")
def one_more_thread(scene: Scene) -> None:
    """A variant works in a second thread: the first thread's time does not see it, the process's does."""
    scene.latency("scripted", samples(1.0, process=2.0))


@fault(latency=("lite_frozen",), table=TABLE)
def no_samples(scene: Scene) -> None:
    """A variant was never timed."""

    def drop(found: Evidence) -> Evidence:
        return replace(found, values={name: rows for name, rows in found.values.items() if name != "lite_frozen"})

    scene.alter(latency, drop, scene.cell("lite_frozen"))


@fault(latency=("lite_frozen",), says="ratio", table=TABLE)
def clock_stands_still(scene: Scene) -> None:
    """The thread's clock does not move while a variant runs."""
    zero = [0.0] * 8
    times = dict.fromkeys(("thread", "wall", "process", "waited"), zero)
    scene.latency("lite_frozen", {**times, "profiled_ms": 0.0})
