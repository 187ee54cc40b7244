"""Print which of this processor's instructions valgrind hides from a program: what docs/processors.md says of it."""

from __future__ import annotations

import subprocess
import sys

from vitgate.files.errors import status_of
from vitgate.spec.processors import check_valgrind, command_of, VALGRIND

FOUND = """
try:
    from numpy._core._multiarray_umath import __cpu_features__ as found
except ImportError:  # numpy 1
    from numpy.core._multiarray_umath import __cpu_features__ as found
print(" ".join(name for name, there in found.items() if there))
"""


def found(*program: str) -> set[str]:
    """Return the instructions that NumPy finds in a process that the program runs."""
    command = [*program, sys.executable, "-c", FOUND]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own interpreter
    return set(done.stdout.split())


def main() -> None:
    """Print the names in one line."""
    check_valgrind()
    print(", ".join(sorted(found() - found(*command_of(VALGRIND)))))


if __name__ == "__main__":
    sys.exit(status_of(main))
