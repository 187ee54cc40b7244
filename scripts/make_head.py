"""Make the head of a stand-in DeiT: labels for the pictures, with margins a few times the int8 error.

A label proves little where its margin is a hundred times the noise. So every picture gets rivals: classes whose logit
lies MARGIN below the picture's own, and whose rows differ from the prototype's in one direction in which int8 errs.

    row of the class of picture k     p_k = TOP · g_k               g_j: dual of the features, f_i · g_j = (i == j)
    row of a rival of picture k       r = (TOP − MARGIN) · g_k − b · u    u: a unit vector orthogonal to all features

The margin is then MARGIN in float32, and its int8 error b · (u · e), e being the error of the features. Two kinds of u:

* `chance`: the generator's own row of that class. Over many rivals these see noise of any direction. b is such that
  MARGIN = CHANCE × the RMS error under the noisiest engine.
* `steady`: against the mean error of the picture over versions, one for the engines whose activations have 7 bits and
  one for qnnpack's 8. About two thirds of the error's energy is this mean (the rest is chaotic between releases), so
  that one rival tells 1× (about half of MARGIN) from 3×.

The steps (the first in every environment that is to count, each with its torch):

    python scripts/make_head.py deit_tiny measure --reference image.png OUT.npz
    python scripts/make_head.py deit_tiny build OUT.npz ...    writes fixtures/heads/deit_tiny.safetensors
    python scripts/make_head.py deit_tiny measure ...          again: now with the logits of the new head
    python scripts/make_head.py deit_tiny report OUT.npz ...   writes fixtures/heads/deit_tiny.toml, prints figures

The tutorial's own picture (`--reference`) is not committed; `wolf_sketch.png` takes its place where it cannot be had.
Both have the label 269. A case with a reference picture of its own is measured without `--reference`, and has that
one's sketch in the wolf's place. The logits of a distilled DeiT are the mean of two heads, which get the same rows; its
features here are the mean of both tokens. DeiT-Base's head was made with torch 1.13.1, 2.12.1 and 2.15.0, the others'
with the last two.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from head_build import build
from head_case import model_of
from head_measure import measure
from head_report import report

from vitgate.files.errors import status_of


def main() -> None:
    """Read the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=model_of, help="deit_tiny")
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("measure")
    first.add_argument("--reference", type=Path)
    first.add_argument("out", type=Path)
    for name in ("build", "report"):
        commands.add_parser(name).add_argument("files", type=Path, nargs="+")
    chosen = parser.parse_args()
    if chosen.command == "measure":
        measure(chosen.case, chosen.reference, chosen.out)
    else:
        {"build": build, "report": report}[chosen.command](chosen.case, chosen.files)


if __name__ == "__main__":
    sys.exit(status_of(main))
