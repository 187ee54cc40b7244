"""Time the suite on several cases one by one, then all in one run: the whole must cost no more than the parts.

    python benchmarks/matrix.py deit_tiny deit_small [--engine qnnpack] [--successors]

Shown are wall time, CPU time and the peak memory of all processes of each run together (sum of proportional set sizes,
and the plain sum of resident sizes). With one case it only shows that one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from watch import run, show


def main() -> None:
    """Run the parts, then the whole, and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--successors", action="store_true")
    arguments = parser.parse_args()
    chosen = [f"--engine={name}" for name in arguments.engine] + ["--successors"] * arguments.successors
    with tempfile.TemporaryDirectory() as folder:
        parts = [_run([case], chosen, Path(folder)) for case in arguments.cases]
        if len(parts) > 1:
            whole = _run(arguments.cases, chosen, Path(folder))
            print(f"together {whole:.0f} s, one by one {sum(parts):.0f} s: {whole / sum(parts):.2f} times")


def _run(cases: list[str], chosen: list[str], folder: Path) -> float:
    """Run the suite on these cases; return its wall time in seconds."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "tests/conformance", "--weights", "standin"]
    command += [*(f"--case={case}" for case in cases), *chosen, "--record", str(folder / "record.json")]
    found = run(command)
    show("+".join(cases), found)
    return found.wall


if __name__ == "__main__":
    main()
