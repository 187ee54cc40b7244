"""Make the float models' logits of made-up pictures, `fixtures/anchors/CASE.npz`, or compare this PyTorch with them.

    python scripts/make_anchors.py [--case deit_tiny]   writes them
    python scripts/make_anchors.py --check              prints how far this PyTorch on this machine is from them

Running it again accepts whatever the installed PyTorch and timm compute now: only after the change was understood.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from vitgate.inputs.pictures import commit_logits, committed_logits
from vitgate.inputs.run_options import make_run_config
from vitgate.judge.metrics import sqnr
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import anchor
from vitgate.spec.cases import case_named, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.options import RunRequest


def main() -> None:
    """Write, or only compare."""
    parser = argparse.ArgumentParser(description="make or check the float models' committed logits")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--case", action="append", choices=list(read_cases()), help="this one only; repeatable")
    options = parser.parse_args()
    for case in map(case_named, options.case or read_cases()):
        with tempfile.TemporaryDirectory() as folder:
            asked = RunRequest(case=(case.id,), weights="standin" if case.standin else "auto")
            plan = make_run_config(asked, Path(folder))
            cell = CellId(case.id, torch.backends.quantized.engine, "original")
            logits = LocalObserver(plan).get(anchor, cell).demand().arrays["logits"]
        if not options.check:
            commit_logits(case, logits)
        print(f"torch {torch.__version__}: {case.id} {sqnr(committed_logits(case), logits):.1f} dB")


if __name__ == "__main__":
    main()
