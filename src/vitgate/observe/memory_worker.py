"""A fresh process that loads one saved file, calls it, and says what memory that took: nothing else's memory counts.

    python -m vitgate.observe.memory_worker

It reads one JSON object from stdin and answers with one on stdout; `vitgate.observe.memory` is the other end.

What counts is `Private_Dirty` of `/proc/self/smaps_rollup`: what this process has written itself, so that nobody else
shares it and the kernel cannot drop it, with `Swap`, where it goes when memory is short. `Rss` would count pages of
libraries, which all processes of a server share, and those of a file that is mapped, which the kernel reads again when
it needs them. `Anonymous` leaves out memory that has a name, as that of a memfd, and says the same otherwise.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitgate.observe.latency_worker import own_stdout, stage, StageError

ROLLUP = Path("/proc/self/smaps_rollup")
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # Linux, Documentation/filesystems/proc.rst
_PR_SET_PDEATHSIG, _PR_SET_THP_DISABLE = 1, 41  # linux/prctl.h

_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "torchscript": ("torch.jit",),
    "lite_interpreter": ("torch.jit.mobile",),
    "export": ("torch.export", "torchao.quantization"),
    "inductor": ("torch._inductor",),
    "executorch": ("executorch.extension.pybindings.portable_lib", "executorch.runtime"),
    "onnxruntime": ("onnxruntime",),
}
"""What a runtime imports when it first loads a file: it is there before anything is measured."""

Call = Callable[[Any], Any]


class Injection:
    """A leak that tests and benchmarks put in, of so many bytes.

    call: each call keeps that much. picture: each call with a picture that was not there before does. load: the load
    keeps the file's bytes that many times more than it needs to.
    """

    def __init__(self, text: str = "") -> None:
        """Read `KIND:NUMBER`; nothing leaks where the text is empty."""
        self._kind, _, number = text.partition(":")
        self._number = int(number or 0)
        self._kept: list[Any] = []
        self._seen: dict[int, Any] = {}

    def loaded(self, path: str) -> None:
        """Keep what a leaking load keeps."""
        if self._kind == "load":
            self._kept += [bytearray(Path(path).read_bytes()) for _ in range(self._number)]

    def called(self, x: Any) -> None:
        """Keep what a leaking call keeps: memory that is written to, as that of a tensor is."""
        if self._kind == "call":
            self._kept.append(bytearray(b"\1" * self._number))
        if self._kind == "picture" and (key := hash(x.numpy().tobytes())) not in self._seen:
            self._seen[key] = bytearray(b"\1" * self._number)


def private() -> int:
    """Return the bytes that this process alone has written; OSError where no system says so."""
    fields = _fields(ROLLUP)
    return fields["Private_Dirty"] + fields.get("Swap", 0)


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers in bytes that a file of /proc gives in kB, by name."""
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def reset_peak() -> bool:
    """Let the kernel begin anew to find the most that was resident; False where it does not."""
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak() -> int:
    """Return the most private bytes since `reset_peak`: the most resident, less what belongs to files now.

    Pages of libraries come and stay, so that this is no more than the peak was, and no less than what there is now.
    """
    fields = _fields(_STATUS)
    resident = fields["VmHWM"] - fields.get("RssFile", 0) - fields.get("RssShmem", 0)
    return max(resident, private())


def measured(request: Mapping[str, Any], injection: Injection) -> dict[str, Any]:
    """Load and call as the request says; StageError where that fails.

    Args:
        request: `path`, `runtime`, `engine`, `input` (a file of pictures, float32 [N, ...]); `calls`, and `every`: how
            many calls lie between two samples; `seconds` after which the calls end, if there were as many as `fewest`.
        injection: What leaks besides.

    Returns:
        Bytes: `imports` before anything is loaded; `loaded` and `called` after the load and the first call; `peak` of
        both, None where the kernel finds none; `again` and `again_called` after the same file was loaded and called a
        second time; `samples`, one after each `every` calls. And `every`. What is looked at after the imports and
        after calls is what is kept: a load could use again what the imports have freed.
    """
    with stage("import"):
        load, picture = _prepared(request)
    found: dict[str, Any] = {"every": request["every"], "imports": _kept()}
    resets = reset_peak()

    def start(number: int, after_load: str, after_call: str) -> Call:
        with stage("load"):
            run = load(request["path"])
            injection.loaded(request["path"])
        found[after_load] = private()
        with stage("run"):
            run(picture(number))
        found[after_call] = _kept()
        return run

    run = start(0, "loaded", "called")
    found["peak"] = peak() if resets else None
    second = start(1, "again", "again_called")
    with stage("run"):
        found["samples"] = _samples(request, run, picture, injection)
    del second  # there until now: what it holds must not be free for the calls
    return found


def _samples(request: Mapping[str, Any], run: Call, picture: Call, injection: Injection) -> list[int]:
    """Call with a new picture each time; return the bytes after each `every` calls."""
    gc.collect()
    gc.freeze()  # what is there already is not looked at again
    samples: list[int] = []
    end = time.monotonic() + request["seconds"]
    for number in range(1, request["calls"] + 1):
        x = picture(1 + number)
        run(x)
        injection.called(x)
        if number % request["every"] == 0:
            del x
            samples.append(_kept())
            if time.monotonic() > end and number >= request["fewest"]:
                break
    return samples


def _kept() -> int:
    """Return the private bytes without what only waits to be used again: cyclic garbage, and what malloc has free.

    Buffers of a large model come and go there by megabytes, so that a leak of kilobytes would drown.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    return private()


def _prepared(request: Mapping[str, Any]) -> tuple[Callable[[str], Call], Call]:
    """Import and set up, and return what loads a file, and what gives a picture that no call had before."""
    import numpy as np
    import torch

    from vitgate.observe import runtimes

    for name in _LIBRARIES[request["runtime"]]:
        with suppress(ImportError):
            importlib.import_module(name)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if request["engine"] != "none":
        torch.backends.quantized.engine = request["engine"]
    given = torch.from_numpy(np.load(request["input"], allow_pickle=False))

    def picture(number: int) -> Any:
        base = given[number % len(given)][None]
        return base * (1.0 + number / 4096)  # 4096 a power of two: exact, so that no two are alike

    def load(path: str) -> Call:
        return runtimes.loaded(request["runtime"], path).module  # type: ignore[no-any-return]

    return load, picture


def _prepare_process() -> None:
    """Let memory grow by pages of 4 kB, where the system would give 2 MB at a time, and end with the parent."""
    with suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Answer the one request."""
    parser = argparse.ArgumentParser(description="measures the memory of a saved file for vitgate")
    parser.add_argument("--inject", type=Injection, default=Injection(), help="KIND:NUMBER, for tests and benchmarks")
    injection, answers = parser.parse_args().inject, own_stdout()
    _prepare_process()
    try:
        answer = measured(json.loads(sys.stdin.readline()), injection)
    except StageError as error:
        answer = {"error": error.answer()}
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
