"""Give every reader of outside files hostile ones, and print what became of them: the figures of docs/proof.md.

    python benchmarks/fuzz.py                                  100,000 cases for each reader, half an hour on one core
    python benchmarks/fuzz.py --reader record --cases 5000 --seed 1
    python benchmarks/fuzz.py --reader checkpoint --only 4711  that one case, in this process, with its traceback

A case must end in success or in the project's own error of one line, within 5 s of the processor and 1 GB, and leave
no file behind. The cases run in forked processes that a watch kills; each can be made again from reader, seed and
number.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import platform
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from fuzz_readers import Reader, READERS

from vitgate.files.errors import VitgateError
from vitgate.spec.machine import packages
from vitgate.spec.outcome import ClaimFailed

SECONDS = 5.0  # of the processor, since the machine may be busy with something else
WAITING = 60.0  # seconds by the clock, for a case that waits and computes nothing
BYTES = 1 << 30
_GUARD = 16 << 30  # address space of a worker, beyond which the machine itself would suffer
_LONGEST = 8000  # characters of an error: two of its parts are bounded, the third is the project's own
_STARTING = 120  # seconds more, for the imports and the sound files
_AT_ONCE = 20_000  # cases of one worker, so that what libraries leak adds up to nothing
_STATE = struct.Struct("qqqdq")  # number of the case, read, refused, slowest in seconds, most memory in bytes


@dataclass
class Figures:
    """What became of the cases of one reader. `findings` are those that ended in anything else."""

    cases: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    findings: list[str] = field(default_factory=list)


def fuzz(name: str, cases: int, seed: int, start: int = 0) -> Figures:
    """Run that many cases of one reader."""
    found = Figures(cases=cases)
    shared = mmap.mmap(-1, _STATE.size)
    stop = start + cases
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the calls that write sound files
        READERS[name][1](Path(scratch))  # here, so that the workers need not import what it takes
    with tempfile.TemporaryDirectory(dir=_fast_folder(), prefix="vitgate-fuzz-") as root:
        while start < stop:
            folder = Path(root) / str(start)
            folder.mkdir()
            end = min(stop, start + _AT_ONCE)
            start = _run(name, folder, seed, start, end, shared, found)
    return found


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # nosec B108  # it gets a private folder


def _run(name: str, folder: Path, seed: int, start: int, stop: int, shared: mmap.mmap, found: Figures) -> int:
    """Let one worker do the cases from start to stop; return the first that is left, and add up its figures."""
    shared[:] = _STATE.pack(start - 1, 0, 0, 0.0, 0)
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(name, folder, seed, start, stop, shared))
    worker.start()
    hung = _watch(worker, shared, start)
    number, read, refused, slowest, memory = _STATE.unpack(shared[:])
    found.read, found.refused = found.read + read, found.refused + refused
    found.slowest, found.memory = max(found.slowest, slowest), max(found.memory, memory)
    listed = folder / "findings"
    found.findings += listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    if worker.exitcode == 0:
        return int(json.loads((folder / "next").read_text(encoding="utf-8")))
    if number < start:
        raise RuntimeError(f"{name}: its sound files are not read; try --only {start}")
    found.findings.append(f"{number}: {'hung' if hung else f'ended by signal {-(worker.exitcode or 0)}'}")
    return int(number) + 1


def _watch(worker: multiprocessing.process.BaseProcess, shared: mmap.mmap, start: int) -> bool:
    """Wait for the worker; kill it, and say so, where one case takes longer than it may."""
    last, began, spent = start - 2, 0.0, 0.0
    while worker.is_alive():
        worker.join(0.1)
        number, now, seconds = _STATE.unpack(shared[:])[0], time.monotonic(), _spent(worker.pid)
        more = _STARTING if number < start else 0.0
        if number != last:
            last, began, spent = number, now, seconds
        elif seconds - spent > SECONDS + more or now - began > WAITING + more:
            worker.kill()
            worker.join()
            return True
    return False


def _spent(process: int | None) -> float:
    """Return the seconds that the processor has worked for a process; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(name: str, folder: Path, seed: int, start: int, stop: int, shared: mmap.mmap) -> None:
    place = folder / "place"
    place.mkdir()
    os.chdir(place)
    resource.setrlimit(resource.RLIMIT_AS, (_GUARD, _GUARD))
    warnings.simplefilter("ignore")
    reader = _ready(name, place)
    sys.stderr = sys.stdout = open(os.devnull, "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), 2)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # else the peak is that of the parent's memory
    before, base = _files(place), _memory()
    read = refused = most = 0
    slowest = 0.0
    with (folder / "findings").open("w", encoding="utf-8", errors="backslashreplace") as findings:
        number = start
        while number < stop and most <= BYTES:
            shared[:] = _STATE.pack(number, read, refused, slowest, most)
            reader.path.write_bytes(_case(reader, name, seed, number))
            began = time.process_time()
            problem = _outcome(reader)
            slowest = max(slowest, time.process_time() - began)
            most = max(most, _memory() - base)
            read, refused = read + (problem is None), refused + (problem == "")
            problem = problem or (f"took {most >> 20} MB" if most > BYTES else "")
            if (left := _files(place)) != before:
                problem, before = f"it left {sorted(left ^ before)}", left
            if problem:
                findings.write(f"{number}: {problem}\n")
            number += 1
    shared[:] = _STATE.pack(number, read, refused, slowest, most)
    (folder / "next").write_text(str(number), encoding="utf-8")


def _ready(name: str, place: Path) -> Reader:
    """Make the reader, and see that it takes its sound files: a reader that refuses everything proves nothing."""
    reader = READERS[name][1](place)
    for data in reader.sound:
        reader.path.write_bytes(data)
        reader.read(reader.path)
    return reader


def _case(reader: Reader, name: str, seed: int, number: int) -> bytes:
    return reader.case(Random(f"{name} {seed} {number}"))  # noqa: S311  # cases that can be made again


def _files(place: Path) -> set[str]:
    return set(os.listdir(place))


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _outcome(reader: Reader) -> str | None:
    """Return None for a file that was read, "" for one that was refused as it should be, otherwise what is wrong."""
    try:
        reader.read(reader.path)
    except VitgateError as error:
        text = str(error)
        return "" if text.isprintable() and len(text) < _LONGEST else f"no clean line: {text[:300]!r}"
    except ClaimFailed:  # the stage boundary's own
        return ""
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]!r}"
    return None


def one(name: str, seed: int, number: int) -> None:
    """Run one case here, so that its traceback shows."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        reader = _ready(name, Path(folder))
        reader.path.write_bytes(_case(reader, name, seed, number))
        print(reader.path.read_bytes()[:2000])
        try:
            print("read:", reader.read(reader.path))
        except VitgateError as error:
            print(f"refused: {error}")


def lines(results: dict[str, Figures]) -> Iterator[str]:
    """Yield the table in Markdown."""
    yield "| what is read | cases | read | refused in one line | anything else | slowest, s | most memory, MB |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in results.items():
        numbers = f"{row.cases:,} | {row.read:,} | {row.refused:,} | {len(row.findings)}"
        yield f"| {READERS[name][0]} | {numbers} | {row.slowest:.2f} | {row.memory / 1e6:.0f} |"
    total = sum(row.cases for row in results.values())
    yield ""
    versions = packages()
    with_ = ", ".join(f"{name} {versions[name]}" for name in ("torch", "numpy", "pillow"))
    yield f"{total:,} cases in all; Python {platform.python_version()}, {with_}."


def _kept(path: Path | None) -> dict[str, Figures]:
    rows = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return {name: Figures(**row) for name, row in rows.items()}


def main() -> int:
    """Run what was asked for; the exit status is 1 where any case ended otherwise than it must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", choices=[*READERS], help="this one only; repeatable")
    parser.add_argument("--cases", type=int, default=100_000, help="for each reader (default: 100,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figures", type=Path, metavar="FILE", help="keep figures there, and print all")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run that one case in this process")
    options = parser.parse_args()
    names = options.reader or list(READERS)
    if options.only is not None:
        one(names[0], options.seed, options.only)
        return 0
    results = _kept(options.figures)
    for name in names:
        began = time.monotonic()
        results[name] = row = fuzz(name, options.cases, options.seed)
        print(f"{name}: {time.monotonic() - began:.0f} s, {len(row.findings)} findings", file=sys.stderr, flush=True)
        for text in row.findings[:20]:
            print(f"  {text}", file=sys.stderr, flush=True)
        if options.figures:
            kept = {key: asdict(each) for key, each in results.items()}
            options.figures.write_text(json.dumps(kept), encoding="utf-8")
    print("\n".join(lines({name: results[name] for name in READERS if name in results})))
    return int(any(row.findings for row in results.values()))


if __name__ == "__main__":
    sys.exit(main())
