"""Faults of speed, by samples that are made up: no busy neighbour may decide them."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from vitgate.judge.tolerances import read_tolerances
from vitgate.observe.latency_worker import no_times, take
from vitgate.observe.timing import latency
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, Finding
from vitgate.spec.variants import VariantName
from vitgate.spec.versions import machine

from ..harness import samples, Scene
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


@fault(latency=("scripted_quantized",), says="wall_per_cpu")
def waiting(scene: Scene) -> None:
    """A variant waits: CPU time does not see it, wall time does."""
    scene.latency("scripted_quantized", samples(1.0, wall=4.0))


@fault(latency=("scripted_quantized",), says="wall_per_cpu")
def sleeping_in_every_call(scene: Scene) -> None:
    """A variant really sleeps in every call that is timed; the more so on a busy machine."""
    x, taken = torch.ones(1), no_times()

    def run() -> torch.Tensor:
        time.sleep(0.02)
        return x.sum()

    for _ in range(8):
        take(run, taken)
    least = min(wall / thread for wall, thread in zip(taken["wall"], taken["thread"], strict=True))
    scene.latency("scripted_quantized", samples(1.0, wall=least))


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
    scene.latency("lite_frozen", {"thread": zero, "wall": zero, "process": zero, "profiled_ms": 0.0})
