"""Time the suite against one plain run of the tutorial, side by side on this machine, and print the ratios.

    python benchmarks/against_tutorial.py [--engine qnnpack | --engine all] [--rounds 3] [--picture FILE]

Each round runs, as whole processes: the plain script; the suite on DeiT-Base with an empty artifact cache; the suite
again with that cache warm. Shown are wall time, CPU time and the peak memory of all processes of the run together
(sum of proportional set sizes: pages that processes share count once; and the plain sum of resident sizes).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Run:
    """One run: seconds of wall and CPU time, peak bytes of the whole process tree, exit status."""

    wall: float
    cpu: float
    proportional: int
    resident: int
    status: int


def run(command: list[str]) -> Run:
    """Run a command to its end and watch the memory of its process tree."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # ours
    peaks = [0, 0]
    watcher = threading.Thread(target=_watch, args=(process, peaks))
    watcher.start()
    status = process.wait()
    wall = time.perf_counter() - start
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, peaks[0], peaks[1], status)


def _watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    while process.poll() is None:
        sums = [sum(column) for column in zip(*(_memory(pid) for pid in _tree(process.pid)), strict=True)] or [0, 0]
        peaks[:] = [max(pair) for pair in zip(peaks, sums, strict=True)]
        time.sleep(0.25)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in file.read_text().split()]
            except OSError:
                continue
    return found


def _memory(pid: int) -> tuple[int, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    return sizes.get("Pss:", 0), sizes.get("Rss:", 0)


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
                _show(name, runs[name][-1])
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


def _show(name: str, row: Run) -> None:
    memory = f"peak {row.proportional / 1e9:.2f} GB proportional, {row.resident / 1e9:.2f} GB resident"
    print(f"{name:6} wall {row.wall:6.1f} s  cpu {row.cpu:6.1f} s  {memory}  exit {row.status}", flush=True)


if __name__ == "__main__":
    main()
