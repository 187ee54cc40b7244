"""Print the page of what the gate says of pairs of releases, from the verdicts that `vitgate upgrade --json` wrote.

python scripts/pairs_table.py verdicts/*.json > docs/pairs.md
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from vitgate.compare.verdict import Verdict
from vitgate.files.errors import status_of
from vitgate.files.schemas import read_json, validate
from vitgate.files.text import markdown
from vitgate.report.verdict import views

_HEAD = """# What the gate says of pairs of releases

Made by `scripts/pairs_table.py` from verdicts of
`vitgate upgrade OLD NEW --engine none --case digits --weights standin --json FILE`, on {cpu}. Successors alone:
torch.export, AOTInductor, ExecuTorch and ONNX Runtime. Lost are rows that OLD carries and NEW does not.

| old → new | verdict | the same | lost | better | not compared | files crossed | what breaks |
|---|---|---|---|---|---|---|---|"""

_TAIL = """
## Looked at by hand

- onnxruntime 1.20.1 → 1.21.0 was asked three times in a row, and the answer was the same. Both releases quantize all 17
  matrix products of the small case that have a weight.
- executorch 1.4.1 → 1.5.0: one int8 file in ten processes of each, in turns, took 1.04 times as long in the mean and
  1.05 in the middle: 0.01 ms of a call of the small case, which takes 0.2 to 0.3. The gate lets 5% pass.
- torchao 0.17.0 → 0.18.0: the class LinearActivationQuantizedTensor, of which 0.17 makes a file, imports there and does
  not in 0.18. Files that 0.18 makes run under both.
- torchao 0.14.0 → 0.15.0: ExecuTorch 1.0.1 asks for torchao 0.14.0 alone, so that uv can put none beside 0.15.0.
- transformers 5.23.0 → 5.24.0 was asked of the gallery's `transformers_vit`, with `--case-file`. In the first answer
  two rows were red on both sides, and the fault was the gate's: a package of compiled code is as large for a small
  model as for a large one. That is mended.
- PyTorch 2.14.1 → 2.15.0: warnings that 2.14.1 gives were declared from 2.15 on, and the bound for growth was one of
  TorchScript's files, in the first answer. Both are mended: AOTInductor's code of the small case is 4% larger.
"""


def line(verdict: Verdict) -> str:
    """Return the row of one verdict."""
    words = Counter(row.word for row in verdict.rows)
    crossed = [item for item in verdict.matrix if item.row.maker != item.row.runner]
    held = sum(item.word == "same" for item in crossed)
    causes = "; ".join(f"{cause.id}: {cause.says}" for cause in verdict.causes if cause.red) or "nothing"
    counts = [words["same"] + words["broken in both"], words["regressed"], words["fixed"], words["not comparable"]]
    cells = [markdown(views.title(verdict)), views.headline(verdict), *map(str, counts)]
    return "| " + " | ".join([*cells, f"{held} of {len(crossed)} as before", markdown(causes)]) + " |"


def main() -> None:
    """Print the page of the verdicts on the command line."""
    parser = argparse.ArgumentParser(description="print what the gate says of pairs of releases")
    parser.add_argument("verdicts", nargs="+", type=Path)
    found = [
        validate(Verdict, read_json(path, "verdict", "make it with vitgate upgrade --json"), where=path)
        for path in parser.parse_args().verdicts
    ]
    print(_HEAD.format(cpu=", ".join(sorted({verdict.new.cpu for verdict in found}))))
    print("\n".join(map(line, found)))
    print(_TAIL, end="")


if __name__ == "__main__":
    sys.exit(status_of(main))
