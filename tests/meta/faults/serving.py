"""Faults that a single call on one thread does not show: of batches, several callers at once, and of all cores."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import torch

from vitgate.expected.logits import expected_logits
from vitgate.expected.schemes import DynamicInt8
from vitgate.observe import serving, threads
from vitgate.observe.artifacts import model_of
from vitgate.pipeline.stages import stage

from ..scene import Scene
from .catalogue import fault

QUANTIZED = ("scripted_quantized",)


# Batches


@fault(batch=("scripted",))
def answer_depends_on_neighbours(scene: Scene) -> None:
    """A normalization in training mode moves each picture's logits by a ten-thousandth towards the batch's mean."""

    def wrap(run: Any) -> Any:
        def moved(x: torch.Tensor) -> torch.Tensor:
            logits = run(x)
            return logits + 1e-4 * (logits.mean(0) - logits)

        return moved

    scene.serving("scripted", wrap)


@fault(batch=QUANTIZED, says="sqnr_change")
def answers_of_neighbours(scene: Scene) -> None:
    """In a batch each picture gets the answer of the one before it."""
    scene.serving("scripted_quantized", lambda run: lambda x: run(x).roll(1, 0))


@dataclass(frozen=True)
class _OfTheFirst(DynamicInt8):
    """A scale that the first picture of a call gives for all."""

    def activation(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rounded activations, float32 [N, ..., in]."""
        low, high = min(float(x[0].min()), 0.0), max(float(x[0].max()), 0.0)
        levels = 2**self.bits - 1
        scale = (high - low) / levels
        zero = round(-low / scale)
        return (x / scale).round().add(zero).clamp(0, levels).sub(zero).mul(scale)


@fault(batch=QUANTIZED, says="sqnr_change")
def scale_of_the_first_picture(scene: Scene) -> None:
    """An int8 kernel takes its activations' scale from the first picture of a batch alone, and cuts the others off."""
    model = model_of(scene.observer, scene.case)

    def wrap(run: Any) -> Any:
        return lambda x: run(x) if len(x) == 1 else expected_logits(model, _OfTheFirst(7), x, batch=len(x))

    scene.serving("scripted_quantized", wrap)


@fault(batch=("scripted",), stage="run", says="fixed to a batch of 1: shape")
def batch_is_refused(scene: Scene) -> None:
    """A file has the batch of one picture, with which it was traced, written into it."""

    def wrap(run: Any) -> Any:
        def fixed(x: torch.Tensor) -> torch.Tensor:
            with stage("run"):
                return run(x.view(1, *x.shape[1:]))

        return fixed

    scene.serving("scripted", wrap)


@fault(batch=("scripted",), stage="run", says="logits of shape [1, 10] for 8 pictures")
def first_of_a_batch_answered_alone(scene: Scene) -> None:
    """A runtime does not look at the size of its input: of a batch it answers the first picture alone."""
    scene.serving("scripted", lambda run: lambda x: run(x[:1]))


# Several callers


@fault(concurrent=("scripted",))
def buffer_shared_by_callers(scene: Scene) -> None:
    """A module keeps its input in a buffer, and reads it back a moment later."""

    def wrap(run: Any) -> Any:
        kept: list[torch.Tensor] = []

        def keeping(x: torch.Tensor) -> torch.Tensor:
            kept[:] = [x]
            time.sleep(1e-3)
            return run(kept[0])

        return keeping

    scene.serving("scripted", wrap)


@fault(concurrent=QUANTIZED, stage="run", says="TimeoutError")
def callers_lock_each_other_out(scene: Scene) -> None:
    """A runtime whose second caller never gets the lock that the first one holds."""
    scene.patch.setattr(serving, "LEAST_SECONDS", 0.5)
    scene.patch.setattr(serving, "TIMES_SLOWER", 0.0)

    def wrap(run: Any) -> Any:
        held = threading.Lock()

        def locking(x: torch.Tensor) -> torch.Tensor:
            if not held.acquire(blocking=False):
                threading.Event().wait()
            time.sleep(1e-3)
            logits = run(x)
            held.release()
            return logits

        return locking

    scene.serving("scripted_quantized", wrap)


@fault(concurrent=QUANTIZED, stage="run", says="not shared")
def second_caller_is_refused(scene: Scene) -> None:
    """A runtime that allows one caller at a time raises for the second."""

    def wrap(run: Any) -> Any:
        held = threading.Lock()

        def refusing(x: torch.Tensor) -> torch.Tensor:
            with stage("run"):
                if not held.acquire(blocking=False):
                    raise RuntimeError("not shared")
            try:
                time.sleep(1e-3)
                return run(x)
            finally:
                held.release()

        return refusing

    scene.serving("scripted_quantized", wrap)


# All cores


@fault(threads=("scripted",), says="sqnr")
def piece_of_a_split_sum_is_lost(scene: Scene) -> None:
    """Where a call is split among threads, its sums lose the last piece: a fifty-thousandth of each logit."""

    def wrap(run: Any) -> Any:
        return lambda x: run(x) * (1.0 - 2e-5 * (torch.get_num_threads() > 1))

    scene.serving("scripted", wrap)


@fault(threads=QUANTIZED, says="sqnr")
def each_thread_takes_its_own_scale(scene: Scene) -> None:
    """An int8 kernel splits a call's pictures among threads before it looks for their scale, and so finds several."""

    def wrap(run: Any) -> Any:
        return lambda x: torch.cat([run(piece) for piece in x.chunk(torch.get_num_threads())])

    scene.serving("scripted_quantized", wrap)


@fault(threads=("scripted",), says="threads: 1")
def number_of_threads_is_ignored(scene: Scene) -> None:
    """A build without OpenMP: it is told how many threads to use, and uses one."""
    real = torch.set_num_threads
    scene.patch.setattr(torch, "set_num_threads", lambda count: real(1))
    scene.serving("scripted", lambda run: run)


@fault(threads=QUANTIZED, stage="run", says="TimeoutError")
def threads_wait_for_each_other(scene: Scene) -> None:
    """A call that is split never ends: its threads wait for one that the copied process does not have."""
    scene.patch.setattr(threads, "LEAST_SECONDS", 0.5)
    scene.patch.setattr(threads, "TIMES_SLOWER", 0.0)

    def wrap(run: Any) -> Any:
        def waiting(x: torch.Tensor) -> torch.Tensor:
            if torch.get_num_threads() > 1:
                threading.Event().wait()
            return run(x)

        return waiting

    scene.serving("scripted_quantized", wrap)
