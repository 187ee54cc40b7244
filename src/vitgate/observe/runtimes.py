"""Loading a variant with the runtime that its users have, and calling it on one thread.

Eager, TorchScript and the lite interpreter, and those of the successors.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from vitgate.inputs.model_files import check_exported, check_external_data
from vitgate.pipeline.stages import stage
from vitgate.spec.model_output import ModelOutput
from vitgate.spec.variants import Runtime

_MOST_TOKENS = 5  # a class, a distillation token and four registers
_EXECUTORCH_FLOAT = 6  # of its ScalarType
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FLAT: tuple[Runtime, ...] = ("executorch", "onnxruntime")
"""Runtimes that know the output as a flat list of tensors, whatever held them in the model."""
POOLED: tuple[Runtime, ...] = ("executorch", "onnxruntime")
"""Runtimes whose threads are their own, not torch's: how many there are is decided when the file is loaded."""
Runnable = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Loaded:
    """What a runtime has loaded, `module`, as a runnable: a call that fails is the outcome `failed at run`.

    `shape` is that of the one float32 input, where the file's own signature says it: 1 where it leaves a size open.
    `output` says where the logits are in what a call returns; None where nobody says it.
    """

    module: Any
    shape: tuple[int, ...] = ()
    output: ModelOutput | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of one input."""
        with stage("run"), torch.no_grad():
            returned = self.module(x)
            logits: torch.Tensor = self.output.taken(returned) if self.output else returned
        return logits

    def likely_shape(self) -> tuple[int, ...]:
        """Return the input's shape as the weights of a Vision Transformer tell it, empty where they do not.

        The patches' projection is [D, C, p, p]; the positions are [1, N, D], of a square and up to five tokens more.
        """
        named = getattr(self.module, "named_parameters", dict)  # the lite interpreter's modules tell of none
        sizes = [tuple(tensor.shape) for _, tensor in named()]
        for width, channels, patch, _ in (size for size in sizes if len(size) == 4):
            lengths = [size[1] for size in sizes if len(size) == 3 and (size[0], size[2]) == (1, width)]
            sides = [math.isqrt(length) for length in lengths if length - math.isqrt(length) ** 2 <= _MOST_TOKENS]
            if sides:
                return (1, channels, max(sides) * patch, max(sides) * patch)  # the least are those of tokens alone
        return ()


def load(runtime: Runtime, path: str, output: ModelOutput | None = None, threads: int = 1) -> Loaded:
    """Load a file; whatever goes wrong is the outcome `failed at load`.

    Args:
        runtime: With which; not `eager`, which has no file.
        path: The file's.
        output: Where the logits are in what a call returns: of `FLAT` runtimes by their place in the flat list.
        threads: How many a call is split among by a `POOLED` runtime; of others torch decides at the call. ExecuTorch
            has one pool a process: files that were loaded before, with another number, must not be called again.
    """
    with stage("load"):
        return replace(loaded(runtime, path, threads), output=output)


def loaded(runtime: Runtime, path: str, threads: int = 1) -> Loaded:
    """Load a file as `load` does, but raise what the runtime raises; ValueError for a runtime that is unknown.

    What a `FLAT` runtime returns is a list of tensors.

    Args:
        runtime: As for `load`.
        path: The file's.
        threads: As for `load`.
    """
    if runtime not in _LOADERS:
        raise ValueError(f"no runtime {runtime!r}")
    return _LOADERS[runtime](path, threads) if runtime in POOLED else _LOADERS[runtime](path)


def load_foreign(runtime: Runtime, path: str, output: ModelOutput | None = None) -> Loaded:
    """Load a file that was made elsewhere as `load` does, so that no code of its own is run while it is loaded.

    An AOTInductor package is code, and the caller's to allow.

    Args:
        runtime: With which.
        path: The file's.
        output: As for `load`; None for a file that is no case's, whose logits are what it returns, or returns first.
    """
    first = ModelOutput(key=0) if runtime in FLAT else None
    with stage("load"):
        return replace(_foreign(runtime, path), output=output or first)


def _foreign(runtime: Runtime, path: str) -> Loaded:
    if runtime == "export":
        check_exported(Path(path))
        with _weights_only():
            return _exported(path)
    if runtime == "onnxruntime":
        check_external_data(Path(path))
    return loaded(runtime, path)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let `torch.load` unpickle nothing but tensors and what libraries have declared safe, whatever its caller says.

    ValueError for anything else, which names it.
    """
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    except UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ValueError(unknown_class(named[1]) if named else "it holds more than tensors: do not run it") from None
    finally:
        del os.environ[_FORCE]
        if before is not None:
            os.environ[_FORCE] = before


def unknown_class(name: str) -> str:
    """Say what a file holds that unpickling does not know, and what to do: its package is missing, or another one."""
    package = name.partition(".")[0]
    if find_spec(package) is None:
        return f"it holds {name}: install {package}, or do not run it"
    return f"it holds {name}, which the installed {package} does not have: run it with the {package} that made it"


def _torchscript(path: str) -> Loaded:
    return Loaded(torch.jit.load(path))


def _lite_interpreter(path: str) -> Loaded:
    from torch.jit.mobile import _load_for_lite_interpreter

    return Loaded(_load_for_lite_interpreter(path))


def exported_program(path: str) -> Any:
    """Return the ExportedProgram of a file; whatever torch raises."""
    with suppress(ImportError):
        import torchao.quantization  # noqa: F401  # a file that torchao quantized holds tensors of its classes
    return torch.export.load(path)


def _exported(path: str) -> Loaded:
    program = exported_program(path)
    names = set(program.graph_signature.user_inputs)
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    pictures = [each for each in inputs if isinstance(each, torch.Tensor) and each.dtype == torch.float32]
    shape = _shape([tuple(each.shape) for each in pictures], len(inputs))
    return Loaded(program.module(), shape)


def _shape(found: Sequence[Sequence[Any]], inputs: int) -> tuple[int, ...]:
    """Return the shape of the one input; ValueError where there are several, or one that is no float32 tensor."""
    if inputs != 1 or len(found) != 1:
        what = f"{inputs} inputs" if inputs != 1 else "an input that is no tensor of float32"
        raise ValueError(f"it takes {what}, and only files that take one picture can be run")
    return tuple(size if type(size) is int and size > 0 else 1 for size in found[0])


def _inductor(path: str) -> Loaded:
    from torch._inductor import aoti_load_package

    return Loaded(aoti_load_package(path))


def _executorch(path: str, threads: int) -> Loaded:
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(threads)  # XNNPACK's pool is ExecuTorch's own, not torch's
    method = Runtime.get().load_program(path).load_method("forward")
    said = method.metadata
    inputs = said.num_inputs()
    metas = [said.input_tensor_meta(number) for number in range(inputs)]
    shape = _shape([tuple(each.sizes()) for each in metas if each.dtype() == _EXECUTORCH_FLOAT], inputs)

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        found = (each for each in method.execute([x]) if isinstance(each, torch.Tensor))
        return [each.clone() for each in found]  # the output's memory is the method's, and written again

    return Loaded(run, shape)


def onnx_session(model: str | bytes, threads: int = 1) -> Any:
    """Return ONNX Runtime's session of a file, or of a serialized model, on that many threads; whatever it raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _onnxruntime(path: str, threads: int) -> Loaded:
    session = onnx_session(path, threads)
    inputs = session.get_inputs()
    shape = _shape([each.shape for each in inputs if each.type == "tensor(float)"], len(inputs))
    name = inputs[0].name
    return Loaded(lambda x: [torch.from_numpy(each) for each in session.run(None, {name: x.numpy()})], shape)


_LOADERS: dict[Runtime, Callable[..., Loaded]] = {
    "torchscript": _torchscript,
    "lite_interpreter": _lite_interpreter,
    "export": _exported,
    "inductor": _inductor,
    "executorch": _executorch,
    "onnxruntime": _onnxruntime,
}
