"""Which PyTorch this is, on which machine, what both can run, and whether the tutorial's calls still work."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitgate.files.errors import MachineError
from vitgate.files.text import reason
from vitgate.inputs.field_files import FieldFile
from vitgate.observe.observer import LocalObserver, observation, Observer
from vitgate.pipeline.torch_build import kernels_taken, torch_build
from vitgate.spec.cases import LIBRARY_ADVICE, missing_library, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine, NO_ENGINE, usual_engine
from vitgate.spec.outcome import Evidence, NO_TOOLS, Outcome
from vitgate.spec.processors import HOST, not_taken, Processor
from vitgate.spec.variants import read_successors, SUCCESSORS
from vitgate.spec.versions import cpu_model, machine, packages


@observation(required=True)
def environment(observer: LocalObserver) -> Evidence:
    """Return what describes this PyTorch build and machine; the `environment` of a record."""
    check_imports()
    return Evidence({**describe(), "processor": observer.plan.processor, "kernels": kernels_taken()})


@observation()
def tutorial_call(observer: LocalObserver, call: str) -> Evidence:
    """Return whether that call of `fixtures/api.toml` works, its error, and its warnings."""
    observer.get(environment)
    from vitgate.observe.tutorial_calls import probe

    return Evidence(asdict(probe(call, Path(observer.plan.session))))


def check_imports() -> None:
    """Import torch, torchvision and timm; MachineError in one line where they do not fit each other."""
    if os.environ.get("PYTORCH_JIT") == "0":
        raise MachineError("TorchScript is switched off", where="PYTORCH_JIT=0", do="unset that variable")
    try:
        import timm  # noqa: F401  # likewise
        import torch
        import torchvision  # noqa: F401  # imported for its check against torch
    except Exception as error:  # of any of a thousand modules: a KeyError where the user has no name
        versions = ", ".join(
            f"{name} {version}" for name, version in packages().items() if name.startswith(("torch", "timm"))
        )
        do = "install torch and torchvision together from one index"
        nameless = ("getpwuid", "No username set")  # what `getpass` says, which torch calls
        if any(words in str(error) for words in nameless):
            do = "set USER to any name, and HOME to a folder that can be written"
        raise MachineError(f"the packages do not import together: {reason(error)}", where=versions, do=do) from None
    del torch


def check_held(processor: Processor) -> None:
    """MachineError where the kernels of this process are not held to that processor."""
    if processor == HOST:
        return
    check_imports()
    if wrong := not_taken(processor, kernels_taken()):
        do = "unset what sets the instructions of these libraries, or name another processor"
        raise MachineError(f"the kernels are not held to {processor}: {wrong}", where="--processor", do=do)


def describe() -> dict[str, Any]:
    """Return the values of `environment`; imports torch."""
    return {
        **torch_build(),
        "packages": packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": machine(),
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
    }


def lacking(observer: Observer, cell: CellId) -> Outcome | None:
    """Return the `unsupported` outcome if a library, engine or package that the cell needs is missing.

    MachineError as `lacking_engine`.
    """
    if missing := missing_library(read_cases()[cell.case]):
        message = f"{missing} is not installed, which builds {cell.case}: {LIBRARY_ADVICE}"
        return Outcome("unsupported", error=NO_TOOLS, message=message)
    if outcome := lacking_engine(observer, cell.engine):
        return outcome
    if cell.variant not in SUCCESSORS:
        return None
    return read_successors()[cell.variant].lacking(observer.get(environment).values["torch"])


def lacking_runtime(observer: Observer, file: FieldFile) -> Outcome | None:
    """Return the `unsupported` outcome if a file from elsewhere cannot be run: its engine or packages, or its code."""
    if file.engine is not None and (outcome := lacking_engine(observer, file.engine)):
        return outcome
    if file.runtime == "inductor" and not observer.plan.allow_code:
        message = "an AOTInductor package is machine code: --allow-code runs it"
        return Outcome("unsupported", error=NO_TOOLS, message=message)
    alike = [name for name, variant in SUCCESSORS.items() if variant.runtime == file.runtime]
    needed = file.variant if file.variant in alike else next(iter(alike), None)
    return read_successors()[needed].lacking(observer.get(environment).values["torch"]) if needed else None


def lacking_engine(observer: Observer, engine: Engine) -> Outcome | None:
    """Return the `unsupported` outcome if this build lacks the engine; MachineError where the user named it."""
    if engine == NO_ENGINE:
        return None
    values = observer.get(environment).values
    if engine in values["engines"]:
        return None
    if observer.plan.explicit_engines:
        raise MachineError(
            f"this PyTorch build has no engine {engine!r}",
            where=f"torch {values['torch']}",
            do=f"choose from {', '.join(values['engines'])}",
        )
    return Outcome("unsupported", message=f"this PyTorch build has no engine {engine}")


def default_engine(observer: Observer) -> Engine:
    """Return the engine under which users of this build quantize."""
    return usual_engine(observer.get(environment).values["engines"], machine())
