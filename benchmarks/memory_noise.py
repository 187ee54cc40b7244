"""Measure the memory of sound files, and which leaks are found: the figures of docs/memory.md.

    python benchmarks/memory_noise.py measure --engine fbgemm --times 3 >> fbgemm.jsonl
    python benchmarks/memory_noise.py measure --variant lite_frozen --inject call:1024 --times 5 >> leaks.jsonl
    python benchmarks/memory_noise.py table fbgemm.jsonl leaks.jsonl

`measure` prints a line of JSON for each fresh process. `table` needs no torch: of the processes about one file with one
leak it shows the least and the largest number.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitgate.inputs.run_options import make_run_config
from vitgate.judge.memory import memory as judged
from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.memory import CALLS, measure, Subject
from vitgate.observe.observer import LocalObserver
from vitgate.observe.saved_weights import parameters
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import ClaimFailed
from vitgate.spec.variants import FORMS
from vitgate.spec.versions import public

_COLUMNS = ("growth", "peak", "peak_ratio", "second", "second_ratio", "imports")


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    taking = commands.add_parser("measure")
    taking.add_argument("--case", default="digits")
    taking.add_argument("--engine", default="fbgemm")
    taking.add_argument("--variant", action="append", default=[])
    taking.add_argument("--inject", action="append", default=[], help="KIND:NUMBER, as the memory worker has it")
    taking.add_argument("--times", type=int, default=1)
    taking.add_argument("--calls", type=int, default=CALLS)
    taking.add_argument("--artifact-cache")
    taking.set_defaults(run=_measure)
    showing = commands.add_parser("table")
    showing.add_argument("files", nargs="+", type=Path)
    showing.set_defaults(run=_table)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _measure(asked: argparse.Namespace) -> None:
    with TemporaryDirectory() as folder:
        request = RunRequest(case=(asked.case,), engine=(asked.engine,), artifact_cache=asked.artifact_cache)
        observer = LocalObserver(make_run_config(request, Path(folder)))
        for cell in read_claims()["memory"].cells():
            wanted = not asked.variant or cell.variant in asked.variant
            if (cell.case, cell.engine) == (asked.case, asked.engine) and wanted:
                for line in _lines(observer, cell, asked):
                    print(json.dumps(line), flush=True)


def _lines(observer: LocalObserver, cell: CellId, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import torch

    about = {"cell": str(cell), "torch": public(torch.__version__), "quantized": cell.scheme is not None}
    try:
        subject = Subject(path_of(observer, cell), cell.form.runtime, cell.engine)
        x, model = observer.get(pictures, cell.case).arrays["x"], observer.get(parameters, cell.case).values
        for inject in asked.inject or [""]:
            for _ in range(asked.times):
                began = time.monotonic()
                found = measure(subject, x, inject, calls=asked.calls)
                took = {"seconds": time.monotonic() - began, "calls": len(found["samples"]) * found["every"]}
                yield {**about, "inject": inject, **took, "model": model, "found": found}
    except ClaimFailed as failure:
        yield {**about, "error": str(failure)}


def _table(asked: argparse.Namespace) -> None:
    lines = [json.loads(text) for path in asked.files for text in path.read_text(encoding="utf-8").splitlines()]
    print(f"| torch | file | leak | processes | {' | '.join(_COLUMNS)} | seconds |")
    print("|---" * (5 + len(_COLUMNS)) + "|")
    sound = sorted((line for line in lines if "error" not in line), key=_about)
    for (version, cell, inject), group in groupby(sound, key=_about):
        own = list(group)
        numbers = [_judged(line) for line in own]
        cells = [_range(each[name] for each in numbers if name in each) for name in _COLUMNS]
        took = _range(line["seconds"] for line in own)
        print(f"| {version} | {cell} | {inject} | {len(own)} | {' | '.join(cells)} | {took} |")


def _judged(line: dict[str, Any]) -> dict[str, float]:
    form = FORMS[line["cell"].rpartition("-")[2]]
    found = judged(line["found"], line["model"], form.runtime, quantized=line["quantized"])
    return {each.statistic: each.value for each in found}


def _about(line: dict[str, Any]) -> tuple[str, str, str]:
    return line["torch"], line["cell"], line["inject"]


def _range(values: Iterable[float]) -> str:
    texts = dict.fromkeys(f"{value:,.{0 if abs(value) >= 100 else 2}f}" for value in sorted(values))
    return " to ".join(dict.fromkeys([next(iter(texts), ""), next(reversed(texts), "")]))


if __name__ == "__main__":
    main()
