"""The processors that kernels can be held to, by the environment variables that their libraries read before torch does.

They are of x86: products of two 8-bit numbers that are right with VNNI saturate the 16-bit sums of AVX2 and of AVX-512
without it. ONNX Runtime and XNNPACK have no such variable, but valgrind hides AVX-512 from every library.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args, Literal

from vitgate.files.errors import UsageError

Processor = Literal["host", "avx512", "avx2", "baseline", "valgrind"]

HOST: Processor = "host"
"""The machine's own: nothing is held to anything."""

VALGRIND: Processor = "valgrind"
"""AVX2, by a program that runs each instruction itself: many times slower, and not for whole runs."""

LOWEST: Processor = "baseline"
"""The least of them."""

PROCESSORS: tuple[Processor, ...] = tuple(name for name in get_args(Processor) if name != VALGRIND)
"""What a run can be held to."""

UNSAID = "unknown"
"""Stands for what a library takes where it does not say."""

NO_SWITCH: tuple[str, ...] = ("onnxruntime", "executorch")
"""Runtimes whose kernels no variable holds."""


@dataclass(frozen=True)
class Level:
    """A processor below the machine's own.

    `needs` are the flags of /proc/cpuinfo without which a machine cannot be held to it; one with any of `above` is more
    than it. `variables` hold the libraries to it, or `program` does, which runs Python; `took` is what libraries then
    say that they take, in the words of one release or another.
    """

    needs: frozenset[str]
    above: frozenset[str]
    variables: dict[str, str]
    took: dict[str, tuple[str, ...]]
    program: tuple[str, ...] = ()


def _variables(aten: str, onednn: str, fbgemm: str, mkl: str) -> dict[str, str]:
    return {
        "ATEN_CPU_CAPABILITY": aten,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "FBGEMM_ENABLE_INSTRUCTIONS": fbgemm,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
    }


_AVX2 = frozenset({"avx2", "fma"})
_ABOVE_AVX2 = frozenset({"avx512f", "avx_vnni"})
_AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"})

LEVELS: dict[Processor, Level] = {
    "avx512": Level(
        _AVX512,
        frozenset({"avx512_vnni"}),
        _variables("avx512", "AVX512_CORE", "AVX512", "AVX512"),
        {
            "ATen": ("AVX512",),
            "oneDNN": ("Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions",),
            "FBGEMM": ("AVX512",),
        },
    ),
    "avx2": Level(
        _AVX2,
        _ABOVE_AVX2,
        _variables("avx2", "AVX2", "AVX2", "AVX2"),
        {"ATen": ("AVX2",), "oneDNN": ("Intel AVX2",), "FBGEMM": ("AVX2",)},
    ),
    "baseline": Level(  # FBGEMM knows nothing less than AVX2
        frozenset({"sse4_1"}),
        frozenset({"avx2"}),
        _variables("default", "SSE41", "AVX2", "SSE4_2"),
        {"ATen": ("DEFAULT", "NO AVX"), "oneDNN": ("Intel SSE4.1",), "FBGEMM": ("AVX2",)},
    ),
    VALGRIND: Level(
        _AVX2, _ABOVE_AVX2, {}, {"ATen": ("AVX2",), "FBGEMM": ("AVX2",)}, ("valgrind", "--tool=none", "-q")
    ),
}
"""Those of x86, the highest first."""


@cache
def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the instructions of an x86 processor, in Linux's words; none of another, or where the system says none."""
    if platform.machine() not in ("x86_64", "AMD64"):  # an emulated machine shows the flags of the one that emulates it
        return frozenset()
    try:
        with cpuinfo.open(encoding="utf-8") as file:
            lines = [line.split(":", 1)[1].split() for line in file if line.startswith("flags")]
    except OSError:
        return frozenset()
    return frozenset(lines[0] if lines else ())


def known_processor(name: str, option: str) -> Processor:
    """Return the processor of that exact name; UsageError, naming the option, for an unknown one."""
    known: dict[str, Processor] = {processor: processor for processor in PROCESSORS}
    if name not in known:
        raise UsageError(f"unknown processor {name!r}", where=option, do=f"choose from {', '.join(PROCESSORS)}")
    return known[name]


def processor_named(name: str) -> Processor:
    """Return the processor of that exact name if this machine can be held to it.

    Raises:
        UsageError: It is unknown, or more than this machine has.
    """
    found = known_processor(name, "--processor")
    if found != HOST and (lacking := sorted(LEVELS[found].needs - cpu_flags())):
        what = f"this machine cannot be held to {found}: it has no {', '.join(lacking)}"
        raise UsageError(what, where="--processor", do=f"choose from {', '.join((HOST, *lower_than(HOST)))}")
    return found


def check_valgrind() -> None:
    """UsageError where valgrind is not installed."""
    if shutil.which(VALGRIND) is None:
        raise UsageError("valgrind is not installed", where="--processors", do="install it, or give all")


def lower_than(processor: Processor) -> tuple[Processor, ...]:
    """Return the processors below this one that variables hold this machine's kernels to, the highest first."""
    own = [name for name, level in LEVELS.items() if not level.program and _is_lower(level)]
    known = [HOST, *LEVELS]
    return tuple(name for name in own if known.index(name) > known.index(processor))


def lower_for(
    runtime: str, processor: Processor, *, valgrind: bool, lowest: Processor = LOWEST
) -> tuple[tuple[Processor, ...], str]:
    """Return the processors below this one that a runtime's kernels are to be held to.

    Args:
        runtime: The runtime of a variant; those of `NO_SWITCH` read no variable.
        processor: What this process is held to already.
        valgrind: Run the kernels that no variable holds under valgrind.
        lowest: Go no lower than this one.

    Returns:
        The processors, the highest first, and why there are none; empty where there are some.
    """
    if runtime not in NO_SWITCH:
        found = lower_than(processor)
    elif not valgrind:
        return (), f"no variable holds the kernels of {runtime}: give --processors {VALGRIND}, which takes minutes"
    else:
        found = (VALGRIND,) if processor == HOST and _is_lower(LEVELS[VALGRIND]) else ()
    known = [HOST, *LEVELS]
    found = tuple(name for name in found if known.index(_shows_as(name)) <= known.index(lowest))
    return found, "" if found else "this machine can be held to no lower processor that files ship to"


def _shows_as(processor: Processor) -> Processor:
    return "avx2" if processor == VALGRIND else processor


def _is_lower(level: Level) -> bool:
    return level.needs <= cpu_flags() and bool(level.above & cpu_flags())


def command_of(processor: Processor) -> tuple[str, ...]:
    """Return the program, with its arguments, that runs Python so that the processor shows; empty where none does."""
    return LEVELS[processor].program if processor != HOST else ()


def variables_of(processor: Processor) -> dict[str, str]:
    """Return the variables to set before torch is imported."""
    return LEVELS[processor].variables if processor != HOST else {}


def limits() -> str:
    """Return what the environment's variables hold the kernels of this process to, for keys."""
    names = sorted({name for level in LEVELS.values() for name in level.variables} | {"DNNL_MAX_CPU_ISA"})
    return ",".join(os.environ.get(name, "") for name in names)


def not_taken(processor: Processor, kernels: dict[str, str]) -> str:
    """Return which libraries took something else than this processor, and what; empty where none did.

    One that does not say what it takes, as FBGEMM of old releases, is believed.
    """
    wanted = LEVELS[processor].took if processor != HOST else {}
    wrong = [name for name, words in wanted.items() if kernels.get(name, UNSAID) not in (*words, UNSAID)]
    return ", ".join(f"{name} took {kernels[name]}" for name in wrong)
