"""Measure how often the gate is wrong: false alarms where nothing has changed, and slowdowns that it finds.

    python benchmarks/false_alarms.py pairs --times 50 [--load 6 | --jobs 3] [--inject cpu:0.08]  # against themselves
    python benchmarks/false_alarms.py conformance --times 50 [--case deit_base] [--load 6]        # in random order
    python benchmarks/false_alarms.py report                                              # tables of docs/proof.md

Every comparison and every run appends a line to `--results`, so that a series can be measured in parts, and the report
is of all of them. The small case's files are compared by this interpreter on both sides. A load is that many
processes which only compute, or other comparisons; what is injected into the worker of NEW is a share of a call's CPU
time that it computes longer (`cpu`), sleeps (`sleep`) or lets another thread compute (`thread`). A conformance run is a
false alarm where it ends red, or where its record against the first one's gives a red verdict. It needs the extras
`observer` and `bench`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from vitgate.files.errors import MachineError
from vitgate.inputs.run_options import make_run_config
from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver
from vitgate.observe.session_directory import apply_settings
from vitgate.spec.cells import CellId
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import ClaimFailed
from vitgate.spec.variants import Runtime, VARIANTS
from vitgate.upgrade.latency_workers import Installation
from vitgate.upgrade.paired_latency import compare_latency

ROOT = Path(__file__).parents[1]
ENV = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))}


@dataclass(frozen=True)
class Line:
    """One comparison or one run: what series it belongs to, the words that it ended with, and the wall seconds."""

    series: str
    load: int
    injected: str
    seed: int
    seconds: float
    words: dict[str, str]
    ratios: dict[str, tuple[float, ...]] = field(default_factory=dict)


def main() -> None:
    """Measure one series, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pairs", "conformance", "report"])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--load", type=int, default=0, help="processes that compute meanwhile")
    parser.add_argument("--case", default="digits", help="of conformance")
    parser.add_argument("--claim", action="append", default=[], help="of conformance, in the place of all")
    parser.add_argument("--jobs", type=int, default=1, help="comparisons at once: each is busy beside the others")
    parser.add_argument("--inject", default="", help="KIND:FRACTION of the CPU time of a call, such as sleep:0.05")
    parser.add_argument("--engine", default="fbgemm")
    parser.add_argument("--results", type=Path, default=Path("false-alarms.jsonl"))
    arguments = parser.parse_args()
    if arguments.what == "report":
        return print(report(read(arguments.results)))
    measure = measured_pairs if arguments.what == "pairs" else measured_runs
    with arguments.results.open("a+", encoding="utf-8") as file:
        first = len(read(arguments.results))  # no seed twice
        for line in measure(arguments, range(first, first + arguments.times)):
            print(json.dumps(asdict(line)), file=file, flush=True)
            print(f"{line.series} {line.seed}: {line.words} in {line.seconds:.0f} s", file=sys.stderr)
    return None


def read(path: Path) -> list[Line]:
    """Return what was measured so far."""
    return [Line(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]


# Latency: the files of one PyTorch against themselves


def measured_pairs(arguments: argparse.Namespace, seeds: range) -> Iterator[Line]:
    """Yield one comparison after the other."""
    apply_settings()
    slow = ("--inject", arguments.inject) if arguments.inject else ()
    with tempfile.TemporaryDirectory() as folder:
        models, x = artifacts(Path(folder), arguments.engine)
        old, new = Installation(sys.executable, models, ENV), Installation(sys.executable, models, ENV, slow)

        def measured(seed: int) -> Line:
            start = time.monotonic()
            found = compare_latency(old, new, x, arguments.engine, seed=seed)
            seconds = time.monotonic() - start
            words = {name: str(each.word) for name, each in found.items()}
            ratios = {name: each.ratios for name, each in found.items()}
            load = arguments.load + arguments.jobs - 1
            return Line("pairs", load, arguments.inject, seed, seconds, words, ratios)

        with neighbours(arguments.load), ThreadPoolExecutor(arguments.jobs) as pool:
            for done in as_completed([pool.submit(measured, seed) for seed in seeds]):
                yield done.result()


def artifacts(folder: Path, engine: str) -> tuple[dict[str, tuple[str, Runtime]], Path]:
    """Build the small case's files and return them with an input."""
    plan = make_run_config(RunRequest(case=("digits",), engine=(engine,)), folder)
    observer, models = LocalObserver(plan), {}
    for name, form in VARIANTS.items():
        if form.file is not None:
            try:
                path = path_of(observer, CellId("digits", plan.engines[0], name))
            except ClaimFailed:
                continue  # this release cannot build it
            models[str(name)] = (str(path), form.runtime)
    np.save(folder / "x.npy", observer.get(pictures, "digits").arrays["x"][:1])
    return models, folder / "x.npy"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Let so many processes compute meanwhile."""
    loop = f"import os\nwhile os.getppid() == {os.getpid()}:\n    sum(range(100_000))"  # ends with this process
    started = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]  # noqa: S603  # our own loop
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


# Conformance: whole runs of a case


def measured_runs(arguments: argparse.Namespace, seeds: range) -> Iterator[Line]:
    """Yield one run after the other, each judged against the first one; every one builds everything anew."""
    with tempfile.TemporaryDirectory() as folder:
        records: list[Path] = []
        for seed in seeds:
            records.append(Path(folder) / f"{seed}.json")
            with neighbours(arguments.load):
                start = time.monotonic()
                words = {"run": conformance(arguments.case, arguments.claim, records[-1], seed)}
                seconds = time.monotonic() - start
            if len(records) > 1:
                words["verdict"] = verdict(records[0], records[-1])
            yield Line("conformance", arguments.load, arguments.case, seed, seconds, words)


def conformance(case: str, claims: list[str], record: Path, seed: int) -> str:
    """Run the suite in a random order of its tests; return how it ended."""
    order = ["--random-order-bucket=global", f"--random-order-seed={seed}"]
    suite = ["-q", "-n", "auto", "tests/conformance", "--case", case, "--record", str(record), *order]
    suite += [f"--claim={claim}" for claim in claims]
    return _ended([sys.executable, "-m", "pytest", *suite], {0: "green", 1: "red"})


def verdict(old: Path, new: Path) -> str:
    """Return the word of the gate on two records."""
    return _ended([sys.executable, "-m", "vitgate", "compare", str(old), str(new)], {0: "green", 1: "red"})


def _ended(command: list[str], words: dict[int, str]) -> str:
    done = subprocess.run(  # noqa: S603  # commands of our own
        command, cwd=ROOT, env={**os.environ, **ENV}, capture_output=True, text=True, check=False
    )
    word = words.get(done.returncode, f"status {done.returncode}")
    if word != "green":
        print(done.stdout[-4000:], done.stderr[-2000:], file=sys.stderr)
    return word


# The report


def report(lines: list[Line]) -> str:
    """Return the tables, in Markdown."""
    pairs = [line for line in lines if line.series == "pairs"]
    runs = [line for line in lines if line.series == "conformance"]
    return "\n".join([*_table(PAIRS, pairs, _pairs_row), "", *_table(RUNS, runs, _runs_row)])


PAIRS = (
    "series",
    "comparisons",
    "pairs of processes",
    "verdicts",
    "`regressed`",
    "neither that nor `same`",
    "SD of a pair's log-ratio",
    "farthest",
    "pairs a comparison",
    "seconds: median, most",
)
RUNS = ("series", "runs", "red", "verdicts against the first", "red", "seconds: median, most")


def _table(heads: tuple[str, ...], lines: list[Line], row: Callable[[list[Line]], tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for injected, load in sorted({(line.injected, line.load) for line in lines}):
        some = [line for line in lines if (line.injected, line.load) == (injected, load)]
        title = (injected or "equal") + (f", load {load}" if load else "")
        yield f"| {title} | {' | '.join(row(some))} |"


def _pairs_row(lines: list[Line]) -> tuple[str, ...]:
    words = [word for line in lines for word in line.words.values()]
    logs = [math.log(ratio) for line in lines for ratios in line.ratios.values() for ratio in ratios]
    taken = [max(map(len, line.ratios.values())) for line in lines]
    return (
        str(len(lines)),
        str(sum(taken)),
        str(len(words)),
        share(words.count("regressed"), len(words)),
        str(len(words) - words.count("regressed") - words.count("same")),
        f"{statistics.stdev(logs):.4f}",
        f"{max(map(abs, logs)):.3f}",
        f"{statistics.fmean(taken):.1f}",
        _seconds(lines),
    )


def _runs_row(lines: list[Line]) -> tuple[str, ...]:
    runs, verdicts = ([line.words[key] for line in lines if key in line.words] for key in ("run", "verdict"))
    columns = [text for words in (runs, verdicts) for text in (str(len(words)), _not_green(words))]
    return (*columns, _seconds(lines))


def _not_green(words: list[str]) -> str:
    return share(len(words) - words.count("green"), len(words))


def _seconds(lines: list[Line]) -> str:
    seconds = [line.seconds for line in lines]
    return f"{statistics.median(seconds):.0f}, {max(seconds):.0f}"


def share(hits: int, of: int) -> str:
    """Return a count with Wilson's 95% interval of the share."""
    z, found = 1.96, hits / of
    centre, half = found + z * z / (2 * of), z * math.sqrt(found * (1 - found) / of + z * z / (4 * of * of))
    low, high = ((centre + sign * half) / (1 + z * z / of) for sign in (-1, 1))
    return f"{hits} ({max(0.0, low):.1%} to {min(1.0, high):.1%})"


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"{error}")
