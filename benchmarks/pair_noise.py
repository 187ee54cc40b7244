"""Measure how often the latency comparison of two installations is wrong: false alarms, power, and what it costs.

    python benchmarks/pair_noise.py [--quiet 20] [--busy 20] [--slowed 10] [--factors 0.08 0.10]

The small case's files are compared with themselves, by this interpreter on both sides: with the machine as it is, and
beside a process that computes on every core. Then NEW is slowed down by each factor, likewise in both. Each line is one
series. A comparison is of all variants; they share their processes, so that intervals over them are a little narrow.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vitgate.cases import Cell
from vitgate.errors import VitgateError
from vitgate.judge.pairs import Paired
from vitgate.outcome import ClaimFailed
from vitgate.plan import make_plan
from vitgate.session import apply_settings
from vitgate.upgrade.pairs import compare_latency, Side
from vitgate.variants import Runtime, VARIANTS
from vitgate.workbench import Workbench

SOURCE = Path(__file__).parents[1] / "src"


def main() -> None:
    """Build the files, compare, print a line for each series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet", type=int, default=20, help="comparisons of equal sides")
    parser.add_argument("--busy", type=int, default=20, help="the same, beside busy neighbours")
    parser.add_argument("--slowed", type=int, default=10, help="comparisons for each slowdown, half of them busy")
    parser.add_argument("--factors", type=float, nargs="*", default=[0.08, 0.10])
    parser.add_argument("--engine", default="fbgemm")
    arguments = parser.parse_args()
    apply_settings()
    with tempfile.TemporaryDirectory() as folder:
        models, x = artifacts(Path(folder), arguments.engine)
        series = [("equal", 0.0, False, arguments.quiet), ("equal, busy", 0.0, True, arguments.busy)]
        for factor in arguments.factors:
            series.append((f"+{factor:.0%}", factor, False, arguments.slowed - arguments.slowed // 2))
            series.append((f"+{factor:.0%}, busy", factor, True, arguments.slowed // 2))
        for title, slowdown, busy, repeats in series:
            run(title, models, x, arguments.engine, slowdown, busy, repeats)


def artifacts(folder: Path, engine: str) -> tuple[dict[str, tuple[str, Runtime]], Path]:
    """Build the small case's files and return them with an input."""
    plan = make_plan(
        cases=["digits"], engines=[engine], weights="auto", assets=None, session=folder, artifact_cache=None
    )
    bench, models = Workbench(plan), {}
    for name, form in VARIANTS.items():
        if form.file is not None:
            try:
                built = bench.artifact(Cell("digits", plan.engines[0], name)).demand()
            except ClaimFailed:
                continue  # this release cannot build it
            models[str(name)] = (str(built.values["path"]), form.runtime)
    np.save(folder / "x.npy", bench.pictures("digits").arrays["x"][:1])
    return models, folder / "x.npy"


@contextmanager
def neighbours(busy: bool) -> Iterator[None]:
    """Compute on every core meanwhile."""
    count = (os.cpu_count() or 1) if busy else 0
    loop = f"import os\nwhile os.getppid() == {os.getpid()}:\n    sum(range(100_000))"  # ends with this process
    started = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]  # noqa: S603  # our own loop
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def run(
    title: str,
    models: dict[str, tuple[str, Runtime]],
    x: Path,
    engine: str,
    slowdown: float,
    busy: bool,
    repeats: int,
) -> None:
    """Repeat one comparison and print what came out."""
    env = {"PYTHONPATH": str(SOURCE)}
    old = Side(sys.executable, models, env)
    new = Side(sys.executable, models, env, ("--inject", f"cpu:{slowdown}") if slowdown else ())
    found: list[Paired] = []
    seconds: list[float] = []
    for seed in range(repeats):
        start = time.monotonic()
        with neighbours(busy):
            try:
                found += compare_latency(old, new, x, engine, seed=seed).values()
            except VitgateError as error:
                print(error, file=sys.stderr)
        seconds.append(time.monotonic() - start)
        last = [f"{each.word} {' '.join(f'{ratio:.4f}' for ratio in each.ratios)}" for each in found[-len(models) :]]
        print(f"  {title} {seed}: {' | '.join(last)}", file=sys.stderr)
    if found:
        print(line(title, found, seconds), flush=True)


def line(title: str, found: list[Paired], seconds: list[float]) -> str:
    """Say how many were called slower, of how many, and how far single pairs stray."""
    slower = sum(each.word == "regressed" for each in found)
    low, high = wilson(slower, len(found))
    logs = [math.log(ratio) for each in found for ratio in each.ratios]
    others = len(found) - slower - sum(each.word == "same" for each in found)
    return (
        f"{title}: regressed {slower} of {len(found)} (95%: {low:.1%} to {high:.1%}), neither that nor same {others}; "
        f"pairs: {len(logs)}, mean ratio {math.exp(statistics.fmean(logs)):.4f}, SD {statistics.stdev(logs):.4f}, "
        f"farthest {max(map(abs, logs)):.3f}; pairs a comparison {len(logs) / len(found):.1f}; "
        f"seconds: median {statistics.median(seconds):.0f}, most {max(seconds):.0f}"
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share."""
    z, share = 1.96, hits / of
    centre, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (centre - half) / (1 + z * z / of), (centre + half) / (1 + z * z / of)


if __name__ == "__main__":
    main()
