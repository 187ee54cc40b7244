"""Print what a folder of pictures costs: CPU time of reading one and of each variant, batches, memory of a whole run.

    python benchmarks/pictures.py [--case deit_tiny] [--engine fbgemm] [--count 2000]

The pictures are crops of `fixtures/images`, brighter and darker ones. Memory is that of all processes of a run with few
of them, and of one with all.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import watch
from PIL import Image, ImageEnhance

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.picture_folder import read_folder
from vitgate.inputs.pictures import picture_of, read_standin
from vitgate.inputs.run_options import make_run_config
from vitgate.observe.artifacts import variant_of
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import outputs
from vitgate.observe.session_directory import apply_settings
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine, engine_named
from vitgate.spec.options import RunRequest
from vitgate.spec.variants import VARIANTS

TIMED = 24  # pictures by which a time is taken
BATCHES = (1, 2, 4, 8, 16)


def main() -> None:
    """Make the pictures, take the times in this process, then run the suite on few and on all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="deit_tiny")
    parser.add_argument("--engine", default="fbgemm", type=engine_named)
    parser.add_argument("--count", default=2000, type=int)
    options = parser.parse_args()
    apply_settings()
    with tempfile.TemporaryDirectory() as folder:
        draw(options.case, Path(folder) / "all", options.count)
        draw(options.case, Path(folder) / "few", options.count // 10)
        times(options.case, options.engine, Path(folder) / "few", Path(folder) / "session")
        for name in ("few", "all"):
            pictures = Path(folder) / name
            row = watch.run(command(options.case, options.engine, pictures, Path(folder) / "record.json"))
            watch.show(f"{len(read_folder(pictures).names)}", row)


def draw(case: str, folder: Path, count: int) -> None:
    """Write so many labelled pictures, the same in each run."""
    rows, rng = read_standin(read_cases()[case]).picture, random.Random(0)  # noqa: S311  # drawings need no cryptography
    for number in range(count):
        row = rows[number % len(rows)]
        image = Image.open(fixtures_folder() / row.file).convert("RGB")
        side = min(image.size) * rng.uniform(0.8, 1.0)
        left, top = ((length - side) * rng.random() for length in image.size)
        crop = image.crop((int(left), int(top), int(left + side), int(top + side)))
        room = folder / str(row.label)
        room.mkdir(parents=True, exist_ok=True)
        ImageEnhance.Brightness(crop).enhance(rng.uniform(0.7, 1.3)).save(room / f"{number:05}.jpg", quality=90)


def times(case: str, engine: Engine, folder: Path, session: Path) -> None:
    """Print milliseconds of CPU time a picture."""
    import torch

    session.mkdir()
    plan = make_run_config(RunRequest(case=(case,), engine=(engine,), weights="standin"), session)
    observer, found = LocalObserver(plan), read_folder(folder)
    paths = [found.folder / name for name in found.names[:TIMED]]
    pictures = [picture_of(read_cases()[case], path)[None] for path in paths]
    taken = [seconds(lambda path=path: picture_of(read_cases()[case], path)) for path in paths]  # type: ignore[misc]
    print(f"reading            {statistics.median(taken) * 1e3:7.2f} ms")
    for variant in VARIANTS:
        if observer.get(outputs, CellId(case, engine, variant)).outcome is not None:
            continue
        run = variant_of(observer, CellId(case, engine, variant))
        batches = BATCHES if not VARIANTS[variant].quantized else (1,)
        for batch in batches:
            inputs = [torch.from_numpy(np.concatenate(pictures[at : at + batch])) for at in range(0, TIMED, batch)]
            inputs = [x for x in inputs if len(x) == batch]
            run(inputs[0])
            each = statistics.median(seconds(lambda run=run, x=x: run(x)) / batch for x in inputs)  # type: ignore[misc]
            print(f"{variant:18} {each * 1e3:7.2f} ms, {1 / each:6.1f} a second, {batch} at once", flush=True)


def seconds(call: Callable[[], object]) -> float:
    """Return the CPU time of one call."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def command(case: str, engine: Engine, folder: Path, record: Path) -> list[str]:
    """Return the command of a run that checks the one claim."""
    own = ["--case", case, "--engine", engine, "--weights", "standin", "--claim", "images", "--images", str(folder)]
    return [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/conformance", *own, "--record", str(record)]


if __name__ == "__main__":
    main()
