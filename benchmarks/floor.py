"""Print the CPU time of every observation of a check of DeiT-Base, and what that bounds from below.

    python benchmarks/floor.py [--engine fbgemm | --engine all] [--artifact-cache FOLDER]

One process, one thread, the same code as a run of the suite. With N cores no schedule is faster than the imports, plus
the observations' sum divided by N, plus what is measured alone. With a folder that an earlier call has filled, it is
what a warm run takes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import defaultdict
from pathlib import Path

from vitgate.inputs.run_options import make_run_config
from vitgate.judge.latency_ratios import Bound
from vitgate.observe.artifacts import artifact
from vitgate.observe.diagnosis import blocks
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.layers import expected_logits, kernels, layers
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import anchor, outputs
from vitgate.observe.programs import native, program
from vitgate.observe.saved_weights import lite_info, parameters, readback
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
    parser.add_argument("--artifact-cache", default=None)
    given = parser.parse_args()
    name = given.engine
    engines = ENGINES if name == "all" else (engine_named(name),)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler's remarks on absent GPUs
    apply_settings()
    seconds: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        asked = RunRequest(case=(CASE,), engine=tuple(engines), weights="standin", artifact_cache=given.artifact_cache)
        plan = make_run_config(asked, Path(folder))
        observer = LocalObserver(plan)
        for engine in engines:
            for kind, make in _observations(observer, CellId(CASE, engine, "original")):
                start = _cpu_seconds()
                make()
                seconds[kind] += _cpu_seconds() - start
    for kind, value in seconds.items():
        print(f"{kind:10} {value:6.1f} s")
    cores = os.cpu_count() or 1
    shared = sum(value for kind, value in seconds.items() if kind not in ("imports", "latency"))
    print(f"floor on {cores} cores: {seconds['imports'] + shared / cores + seconds['latency']:.1f} s")


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _observations(observer, cell):  # type: ignore[no-untyped-def]  # a list of pairs of a name and a call
    cells = [cell.at(variant) for variant in VARIANTS]
    files = [each for each in cells if each.form.file]
    lite = [each for each in files if each.form.runtime == "lite_interpreter"]
    quantized = [each for each in files if each.form.quantized]
    yield "imports", lambda: observer.get(environment)
    asked = [(weights, (CASE,)), (pictures, (CASE,)), (program, ()), (anchor, (cell,)), (parameters, (CASE,))]
    asked += [(what, (each,)) for what, group in ((artifact, files), (outputs, cells)) for each in group]
    asked += [(what, (each,)) for each in files for what in (readback, layers, native)]
    asked += [(kernels, (CASE,)), *((lite_info, (each,)) for each in lite), (blocks, (quantized[0],))]
    asked += [(expected_logits, (CASE, each.scheme)) for each in quantized]
    for what, arguments in asked:
        yield what.kind, lambda what=what, arguments=arguments: observer.get(what, *arguments)
    yield "warm-up", lambda: observer.get(warmed, cell)
    bounds = {str(variant): Bound(0.0, 100.0) for variant in VARIANTS if variant != "original"}
    yield "latency", lambda: latency_of(observer, cell, bounds)


if __name__ == "__main__":
    main()
