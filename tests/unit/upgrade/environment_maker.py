"""Environments of wheels of a few bytes, in a cache of their own. uv is the real one; nothing is downloaded.

A torch of one line imports as well as a real one; `SLOW` in its environment says how many seconds that takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vitgate.upgrade.environments import make, MARKER
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.requirements import Needs, parse_side

from .wheels import wheel

NEEDS = Needs(("torchvision", "timm", "helper>=1"))
PATIENCE = 60.0  # seconds after which a process that makes one counts as hanging


@dataclass(frozen=True)
class Maker:
    """A cache of its own and an index of small wheels; the folders have spaces in their names."""

    cache: Path
    index: Path

    @property
    def uv_args(self) -> tuple[str, ...]:
        return ("--offline", "--no-index", f"--find-links={self.index}")

    def make(self, text: str = "2.12.1", **options: object) -> Environment:
        settings: dict[str, Any] = {
            "cache": self.cache,
            "uv_args": self.uv_args,
            "echo": lambda _: None,
            "needs": NEEDS,
            **options,
        }
        return make(parse_side(text, where="OLD"), **settings)

    def command(self, slow: str = "0") -> list[str]:
        """Return a command that makes the same environment in a process of its own and prints its steps."""
        code = (
            "import sys; from pathlib import Path; from vitgate.upgrade.environments import make\n"
            "from vitgate.upgrade.requirements import Needs, parse_side\n"
            f"environment = make(parse_side('2.12.1', where='OLD'), cache=Path({str(self.cache)!r}), needs={NEEDS!r},"
            f" uv_args={self.uv_args!r}, echo=lambda text: print(text, flush=True))\n"
            "print('reused' if environment.reused else 'made', flush=True)"
        )
        return ["env", f"SLOW={slow}", sys.executable, "-c", code]


def quickest(call: Callable[[], object]) -> float:
    """Return the seconds that the call takes, of several so that a busy neighbour does not count."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def make_maker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Write the wheels of two releases; uv's own cache is apart too."""
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv cache"))
    made = Maker(folder / "the cache", folder / "the index")
    for version in ("2.11.0", "2.12.1"):
        wheel(made.index, "torch", version, "import os, time\ntime.sleep(float(os.environ.get('SLOW', 0)))")
    wheel(made.index, "torchvision", "0.27.1", requires=("torch==2.12.1",))
    wheel(made.index, "torchvision", "0.26.0", requires=("torch==2.11.0",))
    wheel(made.index, "timm", "1.0.20", "data = 'x' * 100")
    wheel(made.index, "helper", "1.0")
    return made


def until(process: subprocess.Popen[str], word: str) -> None:
    """Read what the process prints, to the first line that has this word."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"it ended before {word!r}")


def aged(environment: Environment, days: float) -> Environment:
    """Let the environment have been used that many days ago."""
    when = time.time() - days * 86400
    os.utime(environment.folder / MARKER, (when, when))
    return environment
