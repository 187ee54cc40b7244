"""Batches of different pictures, and work in a process that cannot hold up the run."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from vitgate.expected.logits import expected_logits
from vitgate.expected.schemes import DynamicInt8
from vitgate.observe.serving import _batch, _in_batches, different, in_own_process
from vitgate.spec.outcome import ClaimFailed, FIXED_BATCH, Outcome


def failing(run: Any) -> Outcome:
    with pytest.raises(ClaimFailed) as failed:
        run()
    return failed.value.outcome


def test_pictures_of_batch_are_alldifferent() -> None:
    x = np.arange(2 * 1 * 2 * 4, dtype=np.float32).reshape(2, 1, 2, 4)

    found = different(x, 7)

    assert found.shape == (7, 1, 2, 4)
    assert np.array_equal(found[:2], x)
    assert len({each.tobytes() for each in found}) == 7


def test_file_of_one_picture_is_named_by_what_its_runtime_says() -> None:
    def refusing(x: torch.Tensor) -> torch.Tensor:
        raise ClaimFailed(Outcome("failed at", "run", "RuntimeError", "Guard failed: x.size()[0] == 1"))

    outcome = failing(lambda: _batch(refusing, np.zeros((8, 1), np.float32)))

    assert (str(outcome), outcome.error) == ("failed at run", FIXED_BATCH)
    assert outcome.message == "fixed to a batch of 1: Guard failed: x.size()[0] == 1"
    assert failing(lambda: _batch(refusing, np.zeros((1, 1), np.float32))).error == "RuntimeError"


def test_answer_for_first_picture_alone_is_found() -> None:
    outcome = failing(lambda: _batch(lambda x: x[:1], np.zeros((8, 3), np.float32)))

    assert outcome.message == "fixed to a batch of 1: without an error it gives logits of shape [1, 3] for 8 pictures"


def test_time_of_a_batch_is_its_fastest_call_by_picture() -> None:
    seconds, calls = [9.0, 0.2, 9.0], list[int]()

    def running(x: torch.Tensor) -> torch.Tensor:
        end = time.thread_time() + seconds[len(calls) % 3] / 100
        calls.append(len(x))
        while time.thread_time() < end:
            pass
        return x

    logits, took = _in_batches(running, np.arange(9, dtype=np.float32).reshape(9, 1), 8)

    assert calls == [8, 8, 8]  # there is one batch, and a cold call says little
    assert logits.tolist() == [[each] for each in range(8)]
    assert 0.002 / 8 <= took < 0.09 / 8


def test_expected_logits_share_scale_over_batch() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8)).eval()
    x = torch.randn(4, 8) * torch.tensor([[1.0], [2.0], [4.0], [8.0]])

    alone, pairs, together = (expected_logits(model, DynamicInt8(7), x, batch=size) for size in (1, 2, 4))

    assert torch.equal(pairs[:2], expected_logits(model, DynamicInt8(7), x[:2], batch=2))
    errors = [float((each[0] - model(x[:1]).detach()[0]).abs().max()) for each in (alone, together)]
    assert errors[0] < errors[1]


def test_work_in_own_process_gives_its_values() -> None:
    assert in_own_process(lambda: {"answers": 80, "own": os.getpid()}, 60.0, "the test")["own"] != os.getpid()


def test_failure_in_own_process_keeps_its_outcome() -> None:
    outcome = Outcome("failed at", "run", "RuntimeError", "not shared")

    def fail() -> dict[str, Any]:
        raise ClaimFailed(outcome)

    assert failing(lambda: in_own_process(fail, 60.0, "the test")) == outcome


def test_any_error_in_own_process_is_told() -> None:
    def fail() -> dict[str, Any]:
        raise AttributeError("module has no _threadpool_get_thread_count")

    outcome = Outcome("failed at", "run", "AttributeError", "module has no _threadpool_get_thread_count")
    assert failing(lambda: in_own_process(fail, 60.0, "the test")) == outcome


def test_dead_lock_in_own_process_ends_in_time() -> None:
    outcome = failing(lambda: in_own_process(lambda: {"never": threading.Event().wait()}, 0.2, "the test"))

    assert (str(outcome), outcome.error) == ("failed at run", "TimeoutError")


def test_crash_of_own_process_is_named() -> None:
    outcome = failing(lambda: in_own_process(os.abort, 60.0, "the test"))

    assert (str(outcome), outcome.error) == ("failed at run", "ProcessDied")
