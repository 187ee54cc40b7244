"""Print what `reduce_range` costs and saves on each processor: the table of docs/processors.md about recipes.

    python scripts/reduce_range.py        (with torchao, onnx, onnxruntime and valgrind; a few minutes)

The files of the small case, made with the option and without, give the logits of held-out pictures in processes that
are held to each processor. What no variable holds runs under valgrind.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vitgate.files.errors import MachineError, status_of
from vitgate.judge.metrics import sqnr
from vitgate.spec.processors import check_valgrind, command_of, HOST, lower_than, Processor, VALGRIND, variables_of

PICTURES = 100
PACKAGES = ("torchao", "onnx", "onnxruntime")
FILES = {"exported_int8": "pt2", "onnx_int8": "onnx"}


def build(folder: Path) -> None:
    """Write pictures and float logits to `given.npz`, and each file with the reduced range and without."""
    import torch

    from vitgate.inputs.run_options import make_run_config
    from vitgate.observe.artifacts import model_of
    from vitgate.observe.inputs import pictures
    from vitgate.observe.observer import LocalObserver
    from vitgate.pipeline import successor_stages as stages
    from vitgate.spec.options import RunRequest

    plan = make_run_config(RunRequest(case=("digits",), engine=("none",)), folder / "session")
    observer = LocalObserver(plan)
    model, x = model_of(observer, "digits"), observer.get(pictures, "digits").arrays["heldout_x"][:PICTURES]
    example = torch.from_numpy(x[:1])
    with torch.no_grad():
        np.savez(folder / "given.npz", x=x, logits=model(torch.from_numpy(x)).numpy())
    stages.save_onnx(stages.export_onnx(model, example), folder / "float.onnx")
    for reduced in (True, False):
        exported = stages.export(stages.quantize_torchao(model, reduce_range=reduced), example)
        stages.save_exported(exported, folder / f"{reduced}.pt2")
        stages.quantize_onnx(folder / "float.onnx", folder / f"{reduced}.onnx", reduce_range=reduced)


def run(file: Path) -> None:
    """Print the SQNR of that file's logits against the float ones, in dB, on the processor of this process."""
    given = np.load(file.parent / "given.npz")
    call = _onnx(file) if file.suffix == ".onnx" else _exported(file)
    print(sqnr(given["logits"], np.concatenate([call(x[None]) for x in given["x"]])))


def _onnx(file: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def _exported(file: Path) -> Any:
    import torch
    import torchao.quantization  # noqa: F401  # the file holds tensors of its classes

    module = torch.export.load(file).module()
    return lambda x: module(torch.from_numpy(x)).detach().numpy()


def measured(file: Path, processor: Processor) -> float:
    """Return what `run` prints in a process that is held to the processor."""
    command = [*command_of(processor), sys.executable, __file__, str(file)]
    variables = {**os.environ, **variables_of(processor)}
    done = subprocess.run(  # noqa: S603  # our own interpreter
        command, env=variables, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Build everything, and print the table."""
    check_valgrind()
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        do = 'pip install "vitgate[successors]"'
        raise MachineError(f"packages are missing: {', '.join(missing)}", do=do)
    processors = (HOST, *lower_than(HOST), VALGRIND)
    print(f"| variant | `reduce_range` | {' | '.join(processors)} |\n|---|---|{'---|' * len(processors)}")
    with TemporaryDirectory() as folder:
        build(Path(folder))
        for variant, suffix in FILES.items():
            able = (HOST, VALGRIND) if suffix == "onnx" else (HOST, *lower_than(HOST))
            for reduced in (True, False):
                file = Path(folder) / f"{reduced}.{suffix}"
                cells = (f"{measured(file, name):.1f}" if name in able else "" for name in processors)
                print(f"| `{variant}` | {'yes' if reduced else 'no'} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
    else:
        sys.exit(status_of(main))
