"""Runs a command for as long as whoever started it lives: a gate that is killed leaves nothing running.

    python -m vitgate.upgrade.watchdog COMMAND ARGUMENT...

Start it in a session of its own, with a pipe as standard input. When the pipe ends, because its other end died, the
whole process group is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

_GRACE = 3.0  # seconds between asking the group to end and ending it


def main(command: list[str]) -> int:
    """Run the command and return its exit status, as a shell would give it."""
    # The group's SIGTERM reaches the watchdog too, which must outlive it. A handler, since the command would inherit
    # that a signal is ignored, but not that it is handled.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # the gate's own command
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ending,), daemon=True)
    watcher.start()
    status = process.wait()
    if ending.is_set():
        watcher.join()  # it ends this process too
    if os.getpgrp() == os.getpid():  # what the command left behind would keep its output open
        os.killpg(0, signal.SIGTERM)
    return status if status >= 0 else 128 - status


def _watch(ending: threading.Event) -> None:
    while os.read(0, 1 << 10):
        pass
    ending.set()
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
