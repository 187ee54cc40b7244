"""What is called on one thread and on two does run on so many, in a process that has no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from vitgate.observe import runtimes, threads
from vitgate.observe.observer import LocalObserver
from vitgate.observe.serving import in_own_process
from vitgate.observe.threads import _took, compared, Load, unsplit
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import ClaimFailed, Evidence, FIXED_BATCH, Outcome
from vitgate.spec.variants import Runtime

WIDE = np.ones((64, 4096), np.float32)  # more than the 32768 numbers from which on torch splits an operator
CELL = CellId("digits", "fbgemm", "scripted")

needs_tasks = pytest.mark.skipif(unsplit(2) is not None, reason="nothing counts the threads of a process")


def on_two(load: Load, x: np.ndarray = WIDE, runtime: Runtime = "torchscript") -> dict[str, Any]:
    """Compare one thread and two in a process of its own, which has no other threads yet."""
    torch.set_num_threads(1)  # what this process has of threads, its copy lacks
    return in_own_process(lambda: compared(runtime, load, [x], 2), 60.0, "two threads")


def always(run: Callable[[torch.Tensor], torch.Tensor]) -> Load:
    return lambda _: run


@needs_tasks
def test_operator_is_split_among_the_threads_that_were_set() -> None:
    found = on_two(always(torch.exp))

    assert (found["took"], found["ran"]) == ([1, 2], [1, 2])
    assert found["one"] == found["all"]
    assert all(seconds > 0.0 for seconds in found["seconds"])


@needs_tasks
def test_call_too_small_to_be_split_shows_no_thread() -> None:
    found = on_two(always(torch.exp), x=WIDE[:1, :8])

    assert (found["took"], found["ran"]) == ([1, 2], [1, 1])


@needs_tasks
def test_logits_that_depend_on_the_number_of_threads_are_seen() -> None:
    found = on_two(always(lambda x: x[:1, :2] * torch.get_num_threads()))

    assert (found["one"], found["all"]) == ([[1.0, 1.0]], [[2.0, 2.0]])


@needs_tasks
def test_threads_of_onnx_runtime_are_those_of_its_session(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    shape = [64, 4096]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Exp", ["x"], ["y"])], "exp", ends[:1], ends[1:])
    opset = [onnx.helper.make_opsetid("", 17)]
    path = str(tmp_path / "exp.onnx")
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)

    def load(count: int) -> Any:
        run = runtimes.loaded("onnxruntime", path, count)
        return lambda x: run(x)[0]  # type: ignore[index]  # a list, of a runtime of `FLAT`

    found = on_two(load, runtime="onnxruntime")

    assert (found["took"], found["ran"]) == ([1, 2], [1, 2])
    assert found["one"] == found["all"]


@needs_tasks
def test_threads_of_executorch_are_those_of_its_pool() -> None:
    pool = pytest.importorskip("executorch.extension.pybindings.portable_lib")

    def load(count: int) -> Any:
        pool._unsafe_reset_threadpool(count)
        return lambda x: x

    found = on_two(load, runtime="executorch")

    assert (found["took"], found["ran"]) == ([1, 2], [1, 2])


def test_one_core_is_unsupported() -> None:
    outcome = unsplit(1)

    assert outcome is not None
    assert (outcome.kind, outcome.error) == ("unsupported", "")
    assert "one core" in outcome.message


def test_system_that_counts_no_threads_is_unsupported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "_TASKS", tmp_path / "none")
    outcome = unsplit(2)

    assert outcome is not None and outcome.kind == "unsupported"


def observing(batched: Evidence) -> LocalObserver:
    return cast(LocalObserver, SimpleNamespace(get=lambda *_: batched))


def test_file_of_one_picture_is_called_with_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "served", lambda *_: np.zeros((16, 1, 2, 2), np.float32))
    fixed = Outcome("failed at", "run", FIXED_BATCH, "fixed to a batch of 1")

    lone, whole = (threads._calls(observing(each), CELL) for each in (Evidence(outcome=fixed), Evidence()))

    assert [len(x) for x in lone] == [1] * threads.ALONE
    assert [len(x) for x in whole] == [1] * threads.ALONE + [8]


def test_variant_that_does_not_run_fails_as_it_does_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "served", lambda *_: WIDE)
    failed = Outcome("failed at", "load", "RuntimeError", "no such operator")

    with pytest.raises(ClaimFailed) as caught:
        threads._calls(observing(Evidence(outcome=failed)), CELL)

    assert caught.value.outcome == failed


@pytest.mark.parametrize(("says", "took"), [({"_threadpool_get_thread_count": lambda: 2}, 2), ({}, 5)])
def test_executorch_that_does_not_say_has_as_many_threads_as_it_made(
    monkeypatch: pytest.MonkeyPatch, says: dict[str, Any], took: int
) -> None:
    for name in ("executorch", "executorch.extension"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    bindings = SimpleNamespace(portable_lib=SimpleNamespace(**says))
    monkeypatch.setitem(sys.modules, "executorch.extension.pybindings", bindings)

    assert _took("executorch", 5) == took
