"""Measure the noise of a latency ratio: how far the ratio of one model to itself strays from 1.

    python benchmarks/ratio_noise.py [--repeats 40]

The small case's quantized file is loaded twice and timed against itself by the suite's own sampling. The standard
deviation of the ratio is `RATIO_SD` in `vitgate.judge.latency_ratios`; run it with a busy neighbour as well.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

from vitgate.inputs.run_options import make_run_config
from vitgate.judge.latency_ratios import ratio
from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.latency import sample
from vitgate.observe.observer import LocalObserver
from vitgate.observe.runtimes import load
from vitgate.observe.session_directory import apply_settings
from vitgate.pipeline.stages import engine_set
from vitgate.spec.cells import CellId
from vitgate.spec.options import RunRequest


def main() -> None:
    """Build the file, sample, print mean, standard deviation and the largest distance from 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    arguments = parser.parse_args()
    apply_settings()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_run_config(RunRequest(case=("digits",), engine=("fbgemm",)), Path(folder))
        observer, cell = LocalObserver(plan), CellId("digits", "fbgemm", "scripted_quantized")
        x = torch.from_numpy(observer.get(pictures, "digits").arrays["x"][:1])
        with engine_set("fbgemm"):
            path = str(path_of(observer, cell))
            runs = {name: load("torchscript", path) for name in ("original", "scripted")}
            found = []
            for seed in range(arguments.repeats):
                samples = sample(runs, x, {}, {}, seed)
                found.append(ratio(samples["scripted"]["thread"], samples["original"]["thread"]).value)
    far = max(abs(value - 1) for value in found)
    print(
        f"{len(found)} ratios: mean {statistics.mean(found):.4f}, SD {statistics.stdev(found):.4f}, farthest {far:.4f}"
    )


if __name__ == "__main__":
    main()
