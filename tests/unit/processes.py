"""Other processes, looked at from outside: whether one still runs, and waiting for what they should do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds; the watchdog alone gives three to whoever ignores that it should end


def alive(pid: Any) -> bool:
    """Whether the process runs; one that has ended and waits for its parent's look does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def waited(condition: Any) -> Any:
    """Return whether the condition comes true in time."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()
