"""Loading a variant with the runtime that its users have, and calling it on one thread.

Eager, TorchScript and the lite interpreter, and those of the successors.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from vitgate.pipeline.stages import stage
from vitgate.spec.variants import Runtime

Runnable = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Loaded:
    """What a runtime has loaded, `module`, as a runnable: a call that fails is the outcome `failed at run`."""

    module: Any

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of one input."""
        with stage("run"), torch.no_grad():
            output: torch.Tensor = self.module(x)
        return output


def load(runtime: Runtime, path: str) -> Loaded:
    """Load a file (not `eager`, which has none); whatever goes wrong is the outcome `failed at load`."""
    with stage("load"):
        return Loaded(_LOADERS[runtime](path))


def _lite_interpreter(path: str) -> Any:
    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(path)


def _exported(path: str) -> Any:
    with suppress(ImportError):
        import torchao.quantization  # noqa: F401  # a file that torchao quantized holds tensors of its classes
    return torch.export.load(path).module()


def _inductor(path: str) -> Any:
    from torch._inductor import aoti_load_package

    return aoti_load_package(path)


def _executorch(path: str) -> Any:
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    portable_lib._unsafe_reset_threadpool(1)  # XNNPACK's pool is ExecuTorch's own, not torch's
    method = Runtime.get().load_program(path).load_method("forward")
    return lambda x: method.execute([x])[0].clone()  # the output's memory is the method's, and written again


def _onnxruntime(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


_LOADERS: dict[str, Callable[[str], Any]] = {
    "torchscript": torch.jit.load,
    "lite_interpreter": _lite_interpreter,
    "export": _exported,
    "inductor": _inductor,
    "executorch": _executorch,
    "onnxruntime": _onnxruntime,
}
