"""Print the CPU time of every observation of a check of DeiT-Base, and what that bounds from below.

    python benchmarks/floor.py [--engine fbgemm | --engine all]

One process, one thread, the same code as a run of the suite. With N cores no schedule is faster than the imports, plus
the observations' sum divided by N, plus what is measured alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from vitgate.inputs.run_options import make_run_config
from vitgate.judge.latency_ratios import Bound
from vitgate.observe.artifacts import artifact
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import outputs
from vitgate.observe.saved_weights import readback
from vitgate.observe.session_directory import apply_settings
from vitgate.observe.timing import latency_of, warmed
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named, ENGINES
from vitgate.spec.options import RunRequest
from vitgate.spec.variants import VARIANTS

CASE = "deit_base"


def main() -> None:
    """Make all evidence in one process and print the seconds by kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="fbgemm")
    name = parser.parse_args().engine
    engines = ENGINES if name == "all" else (engine_named(name),)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler's remarks on absent GPUs
    apply_settings()
    seconds: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        asked = RunRequest(case=(CASE,), engine=tuple(engines), weights="standin")
        plan = make_run_config(asked, Path(folder))
        observer = LocalObserver(plan)
        for engine in engines:
            for kind, make in _observations(observer, CellId(CASE, engine, "original")):
                start = time.process_time()
                make()
                seconds[kind] += time.process_time() - start
    for kind, value in seconds.items():
        print(f"{kind:10} {value:6.1f} s")
    cores = os.cpu_count() or 1
    shared = sum(value for kind, value in seconds.items() if kind not in ("imports", "latency"))
    print(f"floor on {cores} cores: {seconds['imports'] + shared / cores + seconds['latency']:.1f} s")


def _observations(observer, cell):  # type: ignore[no-untyped-def]  # a list of pairs of a name and a call
    cells = [cell.at(variant) for variant in VARIANTS]
    files = [each for each in cells if each.form.file]
    yield "imports", lambda: observer.get(environment)
    yield "weights", lambda: observer.get(weights, CASE)
    yield "pictures", lambda: observer.get(pictures, CASE)
    for what, group in ((artifact, files), (outputs, cells), (readback, files)):
        yield from ((what.kind, lambda what=what, each=each: observer.get(what, each)) for each in group)
    yield "warm-up", lambda: observer.get(warmed, cell)
    bounds = {str(variant): Bound(0.0, 100.0) for variant in VARIANTS if variant != "original"}
    yield "latency", lambda: latency_of(observer, cell, bounds)


if __name__ == "__main__":
    main()
