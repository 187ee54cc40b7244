"""Give every reader of outside files hostile ones, and print the results: the figures of docs/proof.md.

    python benchmarks/fuzz.py                                  100,000 cases for each reader
    python benchmarks/fuzz.py --reader record --cases 5000 --seed 1 --keep findings
    python benchmarks/fuzz.py --reader checkpoint --file findings/checkpoint-0   that one file, with its traceback

Hypothesis draws the cases; the same seed draws the same ones. A case must end in success or in the project's own error
of one line, within 5 s of the processor and 1 GB, and leave no file behind. Cases run in forked processes; the system's
timers end those that hang.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, MutableSequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

import hypothesis
from fuzz_form import Reader
from fuzz_readers import READERS
from hypothesis import strategies as st

from vitgate.files.errors import VitgateError
from vitgate.spec.outcome import ClaimFailed
from vitgate.spec.versions import packages

SECONDS = 5.0  # of the processor, since the machine may be busy with something else
WAITING = 60.0  # seconds by the clock, for a case that waits and computes nothing
BYTES = 1 << 30
_GUARD = 16 << 30  # address space of a worker, beyond which the machine itself would suffer
_LONGEST = 8000  # characters of an error: two of its parts are bounded, the third is the project's own
_AT_ONCE = 20_000  # cases of one worker, so that what libraries leak adds up to nothing
_HUNG = {-signal.SIGPROF, -signal.SIGALRM}  # exit codes of a worker that one of its timers ended
_CASES, _READ, _REFUSED, _SLOWEST, _MEMORY = range(5)  # of what a worker shares with its parent

Shared = MutableSequence[float]


@dataclass
class Figures:
    """Counts of the cases of one reader; `slowest` in seconds, `memory` in bytes, `findings` are failures."""

    cases: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    findings: list[str] = field(default_factory=list)


def fuzz(name: str, cases: int, seed: int, keep: Path | None = None) -> Figures:
    """Run cases of one reader.

    Args:
        name: The reader's key in `READERS`.
        cases: How many.
        seed: From which hypothesis draws them.
        keep: A folder for a copy of each file that leads to a finding.

    Raises:
        RuntimeError: The reader refuses its sound files.
    """
    figures = Figures()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the calls that write sound files
        READERS[name][1](Path(scratch))  # here, so that the workers need not import what it takes
    with tempfile.TemporaryDirectory(dir=_fast_folder(), prefix="vitgate-fuzz-") as root:
        for worker in range(cases):  # at most: each does one case or more
            if figures.cases >= cases:
                break
            folder = Path(root) / str(worker)
            (folder / "place").mkdir(parents=True)
            done = figures.cases
            _run(name, folder, min(cases - done, _AT_ONCE), seed * cases + worker, figures, keep)
            if (folder / "exhausted").exists():
                break
    return figures


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # nosec B108  # it gets a private folder


def _run(name: str, folder: Path, cases: int, seed: int, figures: Figures, keep: Path | None) -> None:
    """Let one worker do the cases, and add up its figures."""
    context = multiprocessing.get_context("fork")
    shared: Shared = context.RawArray("d", 5)
    worker = context.Process(target=_work, args=(name, folder, cases, seed, shared, keep))
    worker.start()
    worker.join()
    if not (folder / "findings").exists():
        raise RuntimeError(f"{name}: its sound files are not read (exit code {worker.exitcode}): try --reader {name}")
    figures.cases += int(shared[_CASES])
    figures.read += int(shared[_READ])
    figures.refused += int(shared[_REFUSED])
    figures.slowest = max(figures.slowest, shared[_SLOWEST])
    figures.memory = max(figures.memory, int(shared[_MEMORY]))
    figures.findings += (folder / "findings").read_text(encoding="utf-8").splitlines()
    if worker.exitcode:
        ended = f"by signal {-worker.exitcode}" if worker.exitcode < 0 else f"with exit code {worker.exitcode}"
        problem = "hung" if worker.exitcode in _HUNG else f"ended {ended}"
        figures.findings.append(f"{problem}{_kept_file(folder / 'case', name, keep)}")


def _kept_file(path: Path, name: str, keep: Path | None) -> str:
    """Copy the file of a finding; return where to, in words for its line."""
    if keep is None:
        return ""
    keep.mkdir(parents=True, exist_ok=True)
    target = keep / f"{name}-{len(list(keep.glob(f'{name}-*')))}"
    shutil.copyfile(path, target)
    return f" ({target})"


def _work(name: str, folder: Path, cases: int, seed: int, shared: Shared, keep: Path | None) -> None:
    """Run the cases in this process, which ends early where it has taken too much memory."""
    place = folder / "place"
    os.chdir(place)
    resource.setrlimit(resource.RLIMIT_AS, (_GUARD, _GUARD))
    warnings.simplefilter("ignore")
    reader = _ready(name, place)
    sys.stderr = sys.stdout = open(os.devnull, "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), 2)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # else the peak is that of the parent's memory
    base = _memory()
    findings = (folder / "findings").open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
    (folder / "case").symlink_to(reader.path)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases, database=None, deadline=None, derandomize=False, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(st.randoms(use_true_random=False))
    def each(rng: Random) -> None:
        if shared[_CASES] >= cases:
            return
        reader.path.write_bytes(reader.case(rng))
        before = _files(place)
        shared[_CASES] += 1
        problem = _timed(reader, shared)
        shared[_MEMORY] = max(shared[_MEMORY], _memory() - base)
        if not problem and shared[_MEMORY] > BYTES:
            problem = f"took {int(shared[_MEMORY]) >> 20} MB"
        if (left := _files(place)) != before:
            problem = f"it left {sorted(left ^ before)}"
        if problem:
            findings.write(f"{problem}{_kept_file(reader.path, name, keep)}\n")
        if shared[_MEMORY] > BYTES:
            os._exit(0)  # the peak of a process never goes down

    each()
    if shared[_CASES] < cases:
        (folder / "exhausted").touch()  # there are no more different cases


def _timed(reader: Reader, shared: Shared) -> str | None:
    """Read the file under both timers, whose signals end this process, and count the result."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    began = time.process_time()
    problem = _outcome(reader)
    shared[_SLOWEST] = max(shared[_SLOWEST], time.process_time() - began)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    shared[_READ] += problem is None
    shared[_REFUSED] += problem == ""
    return problem


def _ready(name: str, place: Path) -> Reader:
    """Make the reader, and check that it reads its sound files: one that refuses everything proves nothing."""
    reader = READERS[name][1](place)
    for data in reader.sound:
        reader.path.write_bytes(data)
        reader.read(reader.path)
    return reader


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


def one(name: str, file: Path) -> None:
    """Read one file here, so that its traceback shows."""
    data = file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        reader = _ready(name, Path(folder))
        reader.path.write_bytes(data)
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


def _earlier(path: Path | None) -> dict[str, Figures]:
    rows = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return {name: Figures(**row) for name, row in rows.items()}


def main() -> int:
    """Run what was asked for; the exit status is 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", choices=[*READERS], help="this one only; repeatable")
    parser.add_argument("--cases", type=int, default=100_000, help="for each reader (default: 100,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figures", type=Path, metavar="FILE", help="add the figures to this file, and print all")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the file of each finding there")
    parser.add_argument("--file", type=Path, metavar="FILE", help="read that one file in this process")
    options = parser.parse_args()
    names = options.reader or list(READERS)
    if options.file is not None:
        one(names[0], options.file.absolute())
        return 0
    results = _earlier(options.figures)
    keep = options.keep and options.keep.absolute()
    for name in names:
        began = time.monotonic()
        results[name] = row = fuzz(name, options.cases, options.seed, keep)
        print(f"{name}: {time.monotonic() - began:.0f} s, {len(row.findings)} findings", file=sys.stderr, flush=True)
        for text in row.findings[:20]:
            print(f"  {text}", file=sys.stderr, flush=True)
        if options.figures:
            rows = {key: asdict(each) for key, each in results.items()}
            options.figures.write_text(json.dumps(rows), encoding="utf-8")
    print("\n".join(lines({name: results[name] for name in READERS if name in results})))
    return int(any(row.findings for row in results.values()))


if __name__ == "__main__":
    sys.exit(main())
