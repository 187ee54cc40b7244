"""Time the suite against one plain run of the tutorial, side by side on this machine, and print the ratios.

    python benchmarks/against_tutorial.py [--engine qnnpack | --engine all] [--rounds 3] [--picture FILE]

Each round runs, as whole processes: the plain script; the suite on DeiT-Base with an empty artifact cache; the suite
again with that cache warm. Shown are wall time, CPU time and the peak memory of all processes of the run together
(sum of proportional set sizes: pages that processes share count once; and the plain sum of resident sizes).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile

from watch import ROOT, Run, run, show


def main() -> None:
    """Run the rounds and print one line a run, then the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="fbgemm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", default=str(ROOT / "fixtures" / "images" / "wolf_sketch.png"))
    arguments = parser.parse_args()
    runs: dict[str, list[Run]] = {"plain": [], "empty": [], "warm": []}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in _commands(arguments.engine, arguments.picture, folder).items():
                runs[name].append(run(command))
                show(name, runs[name][-1])
    plain = statistics.median(row.wall for row in runs["plain"])
    for name in ("empty", "warm"):
        ratios = statistics.median(row.wall for row in runs[name]) / plain
        print(f"{name} cache: {ratios:.2f} times the plain script ({os.cpu_count()} cores)")


def _commands(engine: str, picture: str, folder: str) -> dict[str, list[str]]:
    chosen = [] if engine == "all" else ["--engine", engine]
    suite = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "tests/conformance", "--case", "deit_base", *chosen]
    suite += ["--weights", "standin", "--artifact-cache", f"{folder}/cache", "--record", f"{folder}/record.json"]
    plain = "fbgemm" if engine == "all" else engine
    return {
        "plain": [sys.executable, "-W", "ignore", "benchmarks/tutorial.py", plain, picture, folder],
        "empty": suite,
        "warm": suite,
    }


if __name__ == "__main__":
    main()
