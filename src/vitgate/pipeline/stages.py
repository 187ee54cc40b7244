"""The tutorial's steps, one small function a stage, each exactly the call that the tutorial makes.

Every function takes the live parent and returns the live child, or writes the file. Warnings that PyTorch gives are
not judged here (see `vitgate.observe.tutorial_calls`); they are silenced so that a run stays readable.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitgate.files.atomic import is_full
from vitgate.files.errors import MachineError, NO_ROOM, VitgateError
from vitgate.files.text import reason
from vitgate.inputs.pictures import made_up_pictures
from vitgate.inputs.user_model import own_model
from vitgate.spec.cases import Case, OwnCase
from vitgate.spec.engines import Engine, NO_ENGINE
from vitgate.spec.outcome import ClaimFailed, Outcome
from vitgate.spec.variants import Stage


@contextmanager
def stage(name: Stage, folder: Path | None = None) -> Iterator[None]:
    """Turn an exception of the stage into the outcome `failed at NAME`; a full disk or memory is a MachineError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ClaimFailed, VitgateError):
        raise
    except MemoryError:
        raise MachineError("out of memory", where=name, do="free memory or use fewer workers (-n 1)") from None
    except Exception as error:  # the stage boundary: any failure becomes a named outcome
        _check_disk(error, name, folder)
        raise ClaimFailed(Outcome("failed at", name, type(error).__name__, reason(error))) from error


def _check_disk(error: Exception, name: str, folder: Path | None) -> None:
    full = isinstance(error, OSError) and error.errno in NO_ROOM
    if full or (folder is not None and is_full(folder)):
        raise MachineError(f"cannot write at stage {name}", where=folder or "", do="free disk space") from error


@contextmanager
def engine_set(engine: Engine) -> Iterator[None]:
    """Make `engine` the quantized backend within the block, on one thread; `none` leaves what PyTorch has.

    ClaimFailed (`failed at set_engine`) if PyTorch has another one at the start or the end of the block.
    qnnpack and XNNPACK have a thread pool of their own, which only `set_num_threads` holds to one thread.
    """
    torch.set_num_threads(1)
    if engine == NO_ENGINE:
        yield
        return
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        _require(engine)
        yield
        _require(engine)
    finally:
        torch.backends.quantized.engine = before


def _require(engine: Engine) -> None:
    if torch.backends.quantized.engine != engine:
        message = f"{engine} was set, PyTorch has {torch.backends.quantized.engine}"
        raise ClaimFailed(Outcome("failed at", "set_engine", message=message))


def architecture(case: Case, **extra: Any) -> nn.Module:
    """Build the case's model, with weights or without; `extra` goes to timm."""
    if isinstance(case, OwnCase):
        return own_model(case)
    if case.library == "transformers":
        from vitgate.pipeline.huggingface import classifier

        return classifier(case)
    import timm
    from timm.models.vision_transformer import VisionTransformer

    if case.model == "VisionTransformer":
        return VisionTransformer(**case.arguments, **extra)
    return timm.create_model(case.model, pretrained=False, **case.arguments, **extra)


def stored_names(case: Case, model: nn.Module) -> dict[str, str]:
    """Return, for each name in the model's state, the one under which its weights are kept."""
    if case.library == "transformers":
        from vitgate.pipeline import huggingface

        return huggingface.stored_names(model)
    return {name: name for name in model.state_dict()}


def create_model(case: Case, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return the eager model in evaluation mode with these weights; torch adopts them without a copy from 2.1 on.

    `state` has the names under which weights are kept.
    """
    if "assign" in nn.Module.load_state_dict.__code__.co_varnames:  # from torch 2.1 on
        model = unfilled(case)
        model.load_state_dict(_own_names(case, model, state), strict=True, assign=True)
    else:
        model = architecture(case)
        model.load_state_dict(_own_names(case, model, state), strict=True)
    return model.eval()


def unfilled(case: Case) -> nn.Module:
    """Return the model without memory for values where torch, from 2.0 on, and the model's library can build it so."""
    if not isinstance(case, OwnCase) and hasattr(torch.device, "__enter__"):  # others' code may need real tensors
        try:
            with torch.device("meta"):
                return architecture(case)
        except (RuntimeError, NotImplementedError):  # timm 1.0.15 to 1.0.20 reads a value while it builds a ViT
            pass
    return architecture(case)


def _own_names(case: Case, model: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state under the model's own names; an unknown name stays, and load_state_dict reports it."""
    own = {stored: name for name, stored in stored_names(case, model).items()}
    return {own.get(name, name): tensor for name, tensor in state.items()}


def trace(model: nn.Module, case: Case) -> torch.jit.ScriptModule:
    """Trace the model on one made-up picture, as users do with code that torch.jit.script cannot compile.

    torch.jit.trace takes a dictionary for an output only where it is told to, by `strict=False`.
    """
    strict = not isinstance(case.returns.key, str)
    traced: torch.jit.ScriptModule = torch.jit.trace(model, example(case), strict=strict)
    return traced


def example(case: Case) -> torch.Tensor:
    """Return one made-up picture, float32 [1, C, H, W], to trace or export by; its numbers do not matter."""
    return torch.from_numpy(made_up_pictures(case)[:1])


def quantize_dynamic(model: nn.Module, engine: Engine, *, as_the_tutorial: bool = True) -> nn.Module:
    """Quantize every Linear to int8 as the tutorial does.

    Args:
        model: The eager float model, in evaluation mode.
        engine: Whose default static qconfig is set on the model meanwhile.
        as_the_tutorial: False leaves that qconfig out, as for a user's own model. What is no plain Linear then stays in
            float: the output projection of `nn.MultiheadAttention`, and embeddings, which that qconfig would convert to
            modules that do not run.
    """
    if not as_the_tutorial:
        return _quantized(model)
    model.qconfig = torch.quantization.get_default_qconfig(engine)  # type: ignore[assignment]  # what the tutorial does
    try:
        return _quantized(model)
    finally:
        del model.qconfig


def _quantized(model: nn.Module) -> nn.Module:
    quantized: nn.Module = torch.quantization.quantize_dynamic(model, qconfig_spec={nn.Linear}, dtype=torch.qint8)
    return quantized


def optimize_for_mobile(scripted: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Run the mobile optimizer."""
    from torch.utils.mobile_optimizer import optimize_for_mobile as optimize

    optimized: torch.jit.ScriptModule = optimize(scripted)
    return optimized


def save_for_lite_interpreter(module: torch.jit.ScriptModule, path: Path) -> None:
    """Save with bytecode for the lite interpreter."""
    module._save_for_lite_interpreter(str(path))  # the tutorial's own private call
