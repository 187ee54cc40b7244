"""Time a whole verdict against one conformance run, with the environments in place, and print ratio and memory.

    python benchmarks/gate_cost.py 2.12.1 2.15.0 [--engine qnnpack] [--case deit_base]

OLD and NEW are versions, or interpreters that have theirs. Run it once before, so that the environments are in place.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from watch import run, show


def main() -> None:
    """Run a conformance run under the newest version and a gate, and print the ratio of their times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--engine", default="qnnpack")
    parser.add_argument("--case", default=None)
    arguments = parser.parse_args()
    chosen = ["--weights", "standin", "--engine", arguments.engine]
    chosen += ["--case", arguments.case] if arguments.case else []
    with tempfile.TemporaryDirectory() as folder:
        suite = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "tests/conformance", *chosen]
        sides = [*_side("--old-python", arguments.old), *_side("--new-python", arguments.new)]
        gate = [sys.executable, "-m", "vitgate", "upgrade", *sides, *chosen]
        one = run([*suite, "--record", str(Path(folder) / "record.json")])
        show("suite", one)
        whole = run([*gate, "--json", str(Path(folder) / "verdict.json")])
        show("gate", whole)
    print(f"the verdict took {whole.wall / one.wall:.2f} times the conformance run")


def _side(option: str, text: str) -> list[str]:
    return [option, text] if Path(text).exists() else [text]


if __name__ == "__main__":
    main()
