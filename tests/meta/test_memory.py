"""Memory measured for real by a run of the suite: sound files pass, and a runtime that leaks is found in each file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vitgate.observe.memory import uncounted

from .processes import run_pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(uncounted() is not None, reason="takes /proc/self/smaps_rollup"),
]

MEMORY = ("tests/conformance", "--case=digits", "--engine=qnnpack", "--claim=memory", "--memory")

# A runtime that keeps each answer, with the gradient that nobody asked for: here 100 kB.
LEAKING = """
import sys

if "vitgate.observe.memory_worker" in sys.orig_argv:
    import torch
    from vitgate.observe import runtimes

    sound, kept = runtimes.loaded, []

    def loaded(runtime, path):
        run = sound(runtime, path).module

        def call(x):
            kept.append(torch.ones(25_000))
            return run(x)

        return runtimes.Loaded(call)

    runtimes.loaded = loaded
"""


def test_sound_files_keep_nothing(tmp_path: Path) -> None:
    done = run_pytest(*MEMORY, folder=tmp_path)

    assert done.status == 0, done.text
    (row,) = (row for row in done.record.claims if row.variant == "lite_frozen")
    numbers = {each.statistic: each.value for each in row.findings}
    assert {"growth", "peak", "peak_ratio", "second", "second_ratio", "imports"} == set(numbers)


def test_leak_of_100_kb_a_call_is_found_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LEAKING, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = run_pytest(*MEMORY, folder=tmp_path, PYTHONPATH=path)

    assert done.status == 1, done.text
    rows = {row.variant: row for row in done.record.claims}
    assert {rows[name].status for name in ("scripted", "scripted_quantized", "lite_frozen")} == {"failed"}
    assert all("growth: 100" in rows[name].message for name in ("scripted", "scripted_quantized", "lite_frozen"))
