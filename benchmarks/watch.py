"""What the benchmarks share: run a command to its end and watch time and memory of its whole process tree."""

from __future__ import annotations

import resource
import subprocess
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


def show(name: str, row: Run) -> None:
    """Print one line."""
    memory = f"peak {row.proportional / 1e9:.2f} GB proportional, {row.resident / 1e9:.2f} GB resident"
    print(f"{name:6} wall {row.wall:6.1f} s  cpu {row.cpu:6.1f} s  {memory}  exit {row.status}", flush=True)
