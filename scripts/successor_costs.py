"""Print `docs/successors.md`: what replaces the tutorial's pipeline, and what each costs, from a real run's record.

pytest -n auto tests/conformance --engine x86 --successors --record record.json
python scripts/successor_costs.py record.json > docs/successors.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from vitgate.files.errors import status_of, UsageError
from vitgate.judge.findings import TUTORIAL_INT8
from vitgate.records.record import read_record, Record
from vitgate.records.rows import CellRow
from vitgate.spec.cases import case_named
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.variants import FORMS, read_successors, SUCCESSORS

HEAD = """# Successors of the tutorial's pipeline

TorchScript is deprecated, PyTorch's wheels lack the mobile optimizer's XNNPACK since 2.13, and `torch.quantization`
is to go. What takes their place is checked beside the tutorial's variants, by the same claims:

    pip install "vitgate[successors]"
    pytest -n auto tests/conformance --successors

Successors use no quantized engine of PyTorch, so that they stand under PyTorch's own word for that: `--engine none`
checks them alone, without the tutorial's own calls, and their rows are named like
`label[deit_base-none-executorch_int8]`. One whose packages, compiler or torch are not there is declared unsupported,
and the answer at the end names it. Where the tutorial's way fails, the answer names the successors that passed on that
run, with their numbers.

## Gate their upgrades

    vitgate upgrade "torch==2.15.0 onnxruntime==1.31.1" "torch==2.15.0 onnxruntime==1.32.0" --successors
    vitgate sweep 1.31.1 1.32.0 --package onnxruntime --with "torch==2.15.0" --engine none --case digits
    vitgate bisect 1.20.1 1.32.0 --package onnxruntime --with "torch==2.15.0" --engine none --claim coverage

A side names any of torch, torchao, executorch, onnx, onnxscript, onnxruntime, timm and transformers; what it does not
name uv chooses. A package that uv cannot install beside the others is left out, which is said, and the successors
that need it are `unsupported` on that side. Everything else is as for the tutorial's variants: each side runs the
files that the other made, latencies are taken in pairs, and the verdict, the acceptances, the reports and the exit
status are the same. AOTInductor packages are machine code, and run on the other side only with `--allow-code`.
Nightlies are found with `--uv-arg=--index-url=URL --uv-arg=--prerelease=allow`.

`coverage` says of each file how many of its matrix products run in int8, and of ExecuTorch's how many partitions
XNNPACK runs and which operators are left: a layer that a recipe leaves out is named, and from OLD to NEW no operator
may be lost to the backend. `layers` calls each Linear of a `.pt2` and an `.onnx` alone, and names one that is off
by 0.01% ([expected.md](expected.md)). [pairs.md](pairs.md) has what the gate says of pairs of releases.

## Further number types

    pytest -n auto tests/conformance --successors --types

`--types` checks five more files of each case, for users whose recipe is not dynamic int8; alone it gives
`--successors` too. They are left out otherwise for their time: of `digits`, in one run on a busy machine, it took 152
seconds to build them and 115 to build the eight others. `vitgate upgrade OLD NEW --types` gates their upgrades.

- `exported_bf16`, `inductor_bf16`: `model.to(torch.bfloat16)`. The file takes pictures in float32, and turns them into
  bfloat16; each number of the model takes 2 bytes.
- `exported_int8wo`: torchao's `Int8WeightOnlyConfig`. The weights of Linears take a byte each, with a scale a channel;
  activations and all else stay in float32.
- `onnx_static`: ONNX Runtime's `quantize_static`, QDQ, of each MatMul and Gemm with a weight: int8 as in `onnx_int8`.
- `executorch_static`: XNNPACKQuantizer for `nn.Linear` without `is_dynamic`: int8 as in `executorch_int8`.

The last two fix the scales of activations by calibration pictures: those that a case of yours names as
[`calibration`](own-model.md#the-file); without it the first 100 held-out pictures of a case that has such, or else the
pictures that it is judged by. They round what a Linear gives as well as what reaches it. ONNX Runtime computes a
product in int8 only between a DequantizeLinear and a QuantizeLinear, which `coverage` looks for: without the second,
it was a float product on torch 2.15.0 and ONNX Runtime 1.32.0. `coverage` says of the other files in which numbers
they have each weight.

What their errors should be, [expected.md](expected.md) says. A processor without instructions for bfloat16 computes
the same numbers and takes longer.

## What it takes

No accepted table is kept of them (claim `table`): a successor's numbers depend on packages that are released apart
from PyTorch, and are judged by bounds alone.

| successor | file | what it needs | how to get there |
|---|---|---|---|
"""

COSTS = """
The bounds are the oldest that were run ([successor-releases.md](successor-releases.md) has what works where): the
eight first ones on torch 2.9.1, torchao 0.14.0, executorch 1.0.1, onnx 1.17.0, onnxscript 0.7.2 and onnxruntime
1.19.2, the float ones of torch.export, AOTInductor and ONNX Runtime on 2.6.0, `exported` on 2.2.2. torchao before
0.18 has no `reduce_range`: its files have 8 bits, which is expected of them, and are wrong on processors without VNNI
([processors.md](processors.md)). The five others ran
on torch 2.9.1, 2.12.1 and 2.15.0.

## What each costs

Made by `scripts/successor_costs.py` from one run: torch {torch}, {packages}; {cpu}. Latency is CPU time of one thread,
all variants of a table interleaved, as `measuring.md` describes. The int8 file is the tutorial's scripted,
quantized one.
"""

TABLE = """
### {title}, {weights} weights

| variant | MB | × int8 file | latency, × original | × int8 file | SQNR, dB | label | outcome |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Read the record and print the page."""
    parser = argparse.ArgumentParser(description="print docs/successors.md from a record")
    parser.add_argument("record", type=Path)
    path = parser.parse_args().record
    record = read_record(path)
    _check_complete(record, path)
    print(HEAD + "\n".join(_needs()) + "\n" + _costs(record), end="")


def _check_complete(record: Record, path: Path) -> None:
    """UsageError where the record is not of one engine with all successors."""
    engines = [name for name in record.engines if name != NO_ENGINE]
    found = {(row.case, row.engine, row.variant) for row in record.cells}
    needed = [(engine, TUTORIAL_INT8) for engine in engines] + [
        (NO_ENGINE, name) for name in SUCCESSORS if not FORMS[name].option
    ]
    missing = [(case, *row) for case in record.cases for row in needed if (case, *row) not in found]
    if len(engines) != 1:
        what = f"the record is of {len(engines)} quantized engines: {', '.join(engines) or 'none'}"
    elif missing:
        what = f"the record has no row of {'-'.join(missing[0])}"
    else:
        return
    raise UsageError(what, where=path, do="make it with --engine x86 --successors")


def _needs() -> Iterator[str]:
    for name, row in read_successors().items():
        form = FORMS[name]
        needs = [f"torch{row.torch}", *row.packages, *(["a C++ compiler to build"] if row.compiler else [])]
        needs += [f"`{need}` under torch{torch}" for torch, packages in row.under.items() for need in packages]
        shown = ", ".join(f"`{need}`" if "=" in need and "`" not in need else need for need in needs)
        yield f"| `{name}` | {form.title}, `{Path(form.file or '').suffix}` | {shown} | [{row.page}]({row.page}) |"


def _costs(record: Record) -> str:
    own = {name: version for name, version in record.environment.packages.items() if name in _PACKAGES}
    packages = ", ".join(f"{name} {version}" for name, version in own.items())
    environment = record.environment
    text = COSTS.format(torch=environment.torch.partition("+")[0], packages=packages, cpu=environment.cpu)
    weights = {row.case: row.weights for row in record.inputs}
    for case in record.cases:
        text += (
            TABLE.format(title=case_named(case).title, weights=weights[case]) + "\n".join(_lines(record, case)) + "\n"
        )
    return text


_PACKAGES = ("torchao", "executorch", "onnx", "onnxscript", "onnxruntime")


def _lines(record: Record, case: str) -> Iterator[str]:
    (engine,) = [name for name in record.engines if name != NO_ENGINE]
    rows = {(row.engine, row.variant): row for row in record.cells if row.case == case}
    int8 = rows[engine, TUTORIAL_INT8]
    yield _line(f"tutorial's `{TUTORIAL_INT8}`, {engine}", int8, int8, 1.0)
    for name in (name for name in SUCCESSORS if (NO_ENGINE, name) in rows):
        yield _line(f"`{name}`", rows[NO_ENGINE, name], int8, _ratio_to_int8(record, rows[NO_ENGINE, name]))


def _line(title: str, row: CellRow, int8: CellRow, ratio: float | None) -> str:
    size = f"{row.size_bytes / 1e6:.1f}" if row.size_bytes else "-"
    to_int8 = f"{row.size_bytes / int8.size_bytes:.2f}" if row.size_bytes and int8.size_bytes else "-"
    cells = [_show(row.latency_ratio, ".2f"), _show(ratio, ".2f"), _show(row.sqnr_db, ".1f"), _show(row.label, "d")]
    return f"| {title} | {size} | {to_int8} | {' | '.join(cells)} | {row.outcome} |"


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ratio_to_int8(record: Record, row: CellRow) -> float | None:
    found = [each for each in record.claims if (each.claim, each.subject) == ("latency", row.name)]
    return next((f.value for each in found for f in each.findings if f.against == TUTORIAL_INT8), None)


if __name__ == "__main__":
    sys.exit(status_of(main))
