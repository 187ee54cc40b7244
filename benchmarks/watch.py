"""What the benchmarks share: run a command to its end and watch time and memory of its whole process tree."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HIGHER = 1.02


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
    """Keep the peaks of proportional and resident bytes.

    To sum proportional sizes walks all page tables and holds up the processes: it is done where the resident ones have
    reached a new height.
    """
    while process.poll() is None:
        tree = _tree(process.pid)
        if (resident := sum(map(_resident, tree))) > _HIGHER * peaks[1]:
            peaks[:] = [max(peaks[0], sum(map(_proportional, tree))), resident]
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


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):  # it has ended
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def show(name: str, row: Run) -> None:
    """Print one line."""
    memory = f"peak {row.proportional / 1e9:.2f} GB proportional, {row.resident / 1e9:.2f} GB resident"
    print(f"{name:6} wall {row.wall:6.1f} s  cpu {row.cpu:6.1f} s  {memory}  exit {row.status}", flush=True)
