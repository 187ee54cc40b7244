"""The files without Python: a C++ program, compiled against the libtorch inside the installed wheel, runs them.

Its source is `native.cpp` beside this module. It is compiled once for each torch, compiler and source, and cached.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest_of, key_of
from vitgate.files.paths import default_cache
from vitgate.judge.metrics import Array
from vitgate.pipeline.artifact_cache import ArtifactCache, Entry
from vitgate.pipeline.stages import stage
from vitgate.pipeline.torch_build import torch_build
from vitgate.spec.engines import Engine
from vitgate.spec.model_output import LOGITS, ModelOutput
from vitgate.spec.outcome import ClaimFailed, NO_TOOLS, Outcome
from vitgate.spec.variants import Runtime, Stage
from vitgate.spec.versions import machine

SOURCE = Path(__file__).with_suffix(".cpp")
_STAGES: tuple[Stage, ...] = ("set_engine", "load", "run")  # as the program prints them
_ABI = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"  # torch before 2.6 has it
_FLAGS = ("-O1", "-pthread", _ABI)
_LINK = ("-pthread", "-Wl,--as-needed") if sys.platform == "linux" else ()  # no libtorch.so, which brings CUDA's along
_VARIABLES = ("ATEN_", "DNNL_", "ONEDNN_", "FBGEMM_", "MKL_", "OMP_", "KMP_", "MALLOC_", "LD_", "DYLD_")
_TIMEOUT = 1800.0  # seconds that one file may take; DeiT-Base takes 20 under qnnpack


class Callers(NamedTuple):
    """How many `threads` call at once, how often each does, and after how long they are ended if they have no answer.

    That is `seconds`, and `times` what their calls would take one by one.
    """

    threads: int
    calls: int
    seconds: float
    times: float


def compiled(fallback: ArtifactCache) -> Entry:
    """Return the program, compiled unless it is cached: in the user's cache, or in `fallback` if that is not writable.

    ClaimFailed: `unsupported` where a tool is missing, `failed at compile` where the tools are there and fail.
    """
    variables = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    compiler = _compiler(variables.get("CXX", ""))
    _demand_tools(compiler, variables["PATH"])
    with stage("compile", Path(tempfile.gettempdir())):
        parts = {**_identity(), "compiler": compiler, "version": _first_line([*compiler, "--version"], variables)}
        return _cache(fallback).get(key_of(parts), "native", lambda path: _compile(path, variables["PATH"]))


def _compiler(named: str) -> list[str]:
    """Return the compiler's words, as torch.utils.cpp_extension chooses it; ClaimFailed (`unsupported`) if none."""
    try:
        return shlex.split(named) or ["c++"]
    except ValueError as error:
        message = f"CXX names no compiler: {named} ({error})"
        raise ClaimFailed(Outcome("unsupported", error=NO_TOOLS, message=message)) from None


def _demand_tools(compiler: Sequence[str], path: str) -> None:
    lacking = [
        _lacking_compiler(compiler, path),
        "" if shutil.which("ninja", path=path) else "ninja: pip install ninja",
        _lacking_setuptools(),
    ]
    if any(lacking):
        message = f"to compile the program that runs the files, this machine lacks {'; '.join(filter(None, lacking))}"
        raise ClaimFailed(Outcome("unsupported", error=NO_TOOLS, message=message))


def _lacking_compiler(compiler: Sequence[str], path: str) -> str:
    """Say what stands in the way of compiling for this machine: no compiler, or, where it is emulated, the host's."""
    if not (found := shutil.which(compiler[0], path=path)):
        return f"a C++ compiler: install g++ (there is no {compiler[0]})"
    target = _first_line([found, *compiler[1:], "-dumpmachine"], dict(os.environ))
    if machine() == "aarch64" and not target.startswith(("aarch64", "arm64")):
        return f"a C++ compiler for aarch64: {compiler[0]} compiles for {target}"
    return ""


def _lacking_setuptools() -> str:
    """Return which setuptools to install; "" if this torch can import what it needs of them.

    Early releases of torch, 1.13 among them, need `pkg_resources.packaging`, which setuptools lost in version 70.
    """
    try:
        import torch.utils.cpp_extension  # noqa: F401  # imported to see whether that works
    except ImportError as error:
        which = "setuptools" if error.name == "setuptools" else "'setuptools<70'"
        return f"setuptools: pip install {which} ({error})"
    return ""


def _identity() -> dict[str, object]:
    """Return what decides the program beside its compiler; libtorch's folder is written into it."""
    build = torch_build()
    return {
        **{name: build[name] for name in ("torch", "commit", "configuration_digest")},
        "folder": str(Path(torch.__file__).parent),
        "machine": machine(),
        "source": digest_of(SOURCE),
        "flags": [*_FLAGS, *_LINK],
    }


def _first_line(command: Sequence[str], variables: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603  # the user's own compiler; no shell
        command, env=dict(variables), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return (done.stdout or done.stderr).partition("\n")[0]


def _cache(fallback: ArtifactCache) -> ArtifactCache:
    try:
        return ArtifactCache(default_cache() / "native")
    except MachineError:
        return fallback


def _compile(target: Path, path: str) -> None:
    from torch.utils.cpp_extension import load

    before = os.environ.get("PATH", "")
    os.environ["PATH"] = path  # ninja of this environment, which need not be the active one
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = load(
                "native",
                [str(SOURCE)],
                extra_cflags=list(_FLAGS),
                extra_ldflags=list(_LINK),
                build_directory=folder,
                with_cuda=False,
                is_python_module=False,
                is_standalone=True,
            )
            shutil.copy(made, target)
    except RuntimeError as error:
        lines = re.sub(r"^Error building extension '\w+': ", "", str(error)).splitlines()  # numbered from the second on
        raise RuntimeError(next((line for line in lines if "error: " in line), lines[0])) from None
    finally:
        os.environ["PATH"] = before


def about(program: Path) -> tuple[str, list[str]]:
    """Return the version of libtorch that the program was built against, and the libraries that it runs with."""
    with stage("load"):
        version, *libraries = _lines(execute([str(program)]), "load")
    return version, libraries


def run(
    program: Path,
    runtime: Runtime,
    engine: Engine | None,
    file: str,
    pictures: Array,
    *,
    output: ModelOutput = LOGITS,
    callers: Callers | None = None,
) -> Array:
    """Run pictures one by one in the C++ program, then for several callers at once.

    Args:
        program: The compiled program.
        runtime: With which it loads the file.
        engine: None for successors, which use none of PyTorch's.
        file: The variant's.
        pictures: float32 [N, C, H, W].
        output: Where the logits are in what a call returns.
        callers: The threads that share the loaded module afterwards.

    Returns:
        Logits, float32 [N, classes]; with `callers` [N + threads · calls, classes], thread after thread: each begins
        with the picture of its own number, and goes on in their order.

    Raises:
        ClaimFailed: The program failed, or crashed; at which stage, the outcome says.
    """
    with tempfile.TemporaryDirectory() as folder, stage("run", Path(folder)):
        given, got = Path(folder, "pictures"), Path(folder, "logits")
        np.ascontiguousarray(pictures, np.float32).tofile(given)
        place = str(output) if output.key is not None else "tensor"
        words = [runtime, engine or "none", file, place, str(given), str(got), *map(str, pictures.shape)]
        words += map(str, callers or ())
        *_, shape = _lines(execute([str(program), *words]), "set_engine")
        return np.fromfile(got, np.float32).reshape([int(word) for word in shape.split()])


def execute(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the program with only the environment variables that affect arithmetic and the search for libraries."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    return subprocess.run(  # noqa: S603  # our own program; no shell
        command,
        env=variables,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=_TIMEOUT,
    )


def _lines(done: subprocess.CompletedProcess[str], first: Stage) -> list[str]:
    """Return the lines that the program printed; ClaimFailed with the stage that it printed last if it failed."""
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        return lines
    at = next((name for name in reversed(_STAGES) if name in lines), first)
    said = next((line.removeprefix("failed ") for line in lines if line.startswith("failed ")), "")
    if done.returncode == -signal.SIGALRM:
        raise ClaimFailed(Outcome("failed at", at, "TimeoutError", "its threads had no answer in time"))
    if done.returncode < 0:
        raise ClaimFailed(Outcome("failed at", at, "ProcessDied", f"ended by {signal.Signals(-done.returncode).name}"))
    words = (said or done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
    raise ClaimFailed(Outcome("failed at", at, "NativeError", words))
