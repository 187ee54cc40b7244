"""Call int8 files from several threads, again and again, and count answers that are not those of one caller.

python scripts/measure_races.py onednn --rounds 12 --calls 100

Prints how many of the answers are wrong where the threads share one module, where each has loaded its own, and where
threads of the C++ program share one. The
claim `concurrent` leaves out what races: a race shows now and then, and a claim has to give the same outcome again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from vitgate.files.errors import status_of
from vitgate.inputs.run_options import make_run_config
from vitgate.observe import runtimes, serving
from vitgate.observe.artifacts import path_of, variant_of
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import logits_one_by_one
from vitgate.observe.programs import native_concurrent
from vitgate.pipeline.stages import engine_set
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import ClaimFailed
from vitgate.spec.variants import variants_of

CASE = "digits"


def rates(observer: LocalObserver, cell: CellId, rounds: int) -> str:
    """Return, in words, how many answers were wrong with one module for all threads, with one for each, and in C++.

    Args:
        observer: Builds the file.
        cell: Its cell.
        rounds: How often the threads start anew.
    """
    x = observer.get(pictures, cell.case).arrays["x"][: serving.THREADS]
    with engine_set(cell.engine):
        run = variant_of(observer, cell)
        serial = logits_one_by_one(observer, cell, run, x)
        own = [runtimes.load(cell.form.runtime, str(path_of(observer, cell))) for _ in range(serving.THREADS)]
        found = []
        for each in (lambda _: run, own.__getitem__):
            wrong = (serving.called_at_once(each, x, serial)["changed"] for _ in range(rounds))
            found.append(sum(wrong))
    found.append(sum(native_concurrent.make(observer, cell).values["changed"] for _ in range(rounds)))
    answers = rounds * serving.THREADS * serving.CALLS
    where = f"{found[1]} where each has its own, {found[2]} where threads of the C++ program share one"
    return f"{found[0]} of {answers} wrong where they share one, {where}"


def main() -> None:
    """Print a line for each int8 variant of the small case."""
    parser = argparse.ArgumentParser(description="count wrong answers of threads that share a module")
    parser.add_argument("engine")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=serving.CALLS)
    options = parser.parse_args()
    engine, serving.CALLS = engine_named(options.engine), options.calls
    with tempfile.TemporaryDirectory() as folder:
        observer = LocalObserver(make_run_config(RunRequest(case=(CASE,), engine=(engine,)), Path(folder)))
        for cell in (CellId(CASE, engine, variant) for variant in variants_of(engine)):
            with suppress(ClaimFailed):  # a variant that this torch cannot build
                if cell.scheme:
                    print(f"torch {torch.__version__} {cell}: {rates(observer, cell, options.rounds)}", flush=True)


if __name__ == "__main__":
    sys.exit(status_of(main))
