"""Saved models whose latency is compared, and a worker that measures one, spoken to as the controller does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vitgate
from vitgate.observe.session_directory import SETTINGS

ENGINE = torch.backends.quantized.supported_engines[-1]
SOURCE = str(Path(vitgate.__file__).parents[1])
DEADLINE = 120.0  # seconds after which a process that should have ended counts as left over


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(192, 192)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(8):
            x = torch.relu(self.linear(x))
        return x


class Fails(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] == 2, "wants two"
        return x


def save_models(path: Path) -> None:
    """Fill a folder with an input and saved models: one for each runtime, one that fails when called, one broken."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all of this is deprecated, and what this package is about
        module = torch.jit.script(Block().eval())
        module.save(str(path / "scripted.pt"))
        module._save_for_lite_interpreter(str(path / "lite.ptl"))
        torch.jit.script(Fails()).save(str(path / "fails.pt"))
    (path / "broken.pt").write_bytes(b"no model")
    np.save(path / "x.npy", np.ones((64, 192), dtype=np.float32))


@contextmanager
def worker(*arguments: str) -> Iterator[Any]:
    """Start a worker, and kill it at the end."""
    command = [sys.executable, "-m", "vitgate.observe.latency_worker", *arguments]
    environment = {**os.environ, **SETTINGS, "PYTHONPATH": SOURCE}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for each in (process.stdin, process.stdout, process.stderr):
            each.close()  # type: ignore[union-attr]  # all three are pipes


def ask(process: Any, **request: Any) -> Any:
    """Return the worker's answer to a request."""
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def load(saved: Path, **models: tuple[str, str]) -> dict[str, Any]:
    """Return the request to load these models, (file, runtime) by name."""
    files: dict[str, Any] = {name: (str(saved / file), runtime) for name, (file, runtime) in models.items()}
    return {"load": files, "engine": ENGINE, "input": str(saved / "x.npy")}
