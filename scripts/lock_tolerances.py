"""Lock the bounds of `fixtures/tolerances/` as they are explained now, in `fixtures/tolerances.lock.json`.

    python scripts/lock_tolerances.py

A row that admits more than before and says the same words about it is refused.
"""

from __future__ import annotations

import sys

from vitgate.files.errors import status_of, UsageError
from vitgate.judge.tolerances import lock_of, lock_path, loosened, read_lock, read_tolerances, write_lock


def main() -> None:
    """Write the lock, or say which rows lack a reason."""
    rows = lock_of(read_tolerances().rows())
    wider = loosened(rows, read_lock() if lock_path().exists() else {})
    if wider:
        what = f"loosened without a new reason or measurement: {', '.join(wider)}"
        raise UsageError(what, where="fixtures/tolerances", do="write why the bound is wider")
    write_lock(rows)


if __name__ == "__main__":
    sys.exit(status_of(main))
