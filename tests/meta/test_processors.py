"""Kernels held to other processors, for real: that they are, and that a file which is wrong there is found.

The faults of `tests/meta/faults/processors.py` are made up, since a process can be held to one processor only.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitgate.spec.processors import LEVELS, lower_than, Processor

from .processes import ROOT, run_pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not lower_than("host"), reason="this machine can be held to no lower processor"),
]

DIGITS = ("tests/conformance", "--case=digits", "--engine=fbgemm")
LAYERS = (*DIGITS, "--claim=layers")

# What int8 was before its kernels reduced the range: right with VNNI, and wrong without.
EIGHT_BITS = """
import torch
from torch.ao.nn.quantized import dynamic

def forward(self, x):
    return torch.ops.quantized.linear_dynamic(x, self._packed_params._packed_params, False)

dynamic.Linear.forward = forward
"""

# ATen takes the machine's own instructions before the server can hold it to others.
TOO_EARLY = """
import os, sys

if "vitgate.observe.server" in sys.orig_argv:
    os.environ.pop("ATEN_CPU_CAPABILITY", None)
    import torch

    torch.ones(2) + 1
"""


@pytest.mark.parametrize("processor", lower_than("host"))
def test_run_is_held_to_named_processor(processor: Processor, tmp_path: Path) -> None:
    done = run_pytest(*LAYERS, f"--processor={processor}", folder=tmp_path)

    assert done.status == 0, done.text
    assert done.record.environment.processor == processor
    kernels = done.record.environment.kernels
    assert [name for name, words in LEVELS[processor].took.items() if kernels[name] not in words] == []
    assert {row.status for row in done.record.claims} <= {"passed", "declared"}


def test_kernels_not_held_to_processor_stop_run(tmp_path: Path) -> None:
    lowest = lower_than("host")[-1]
    (tmp_path / "sitecustomize.py").write_text(TOO_EARLY, encoding="utf-8")
    done = run_pytest(*LAYERS, f"--processor={lowest}", folder=tmp_path, PYTHONPATH=str(tmp_path))

    assert done.status == 6, done.text
    assert f"the kernels are not held to {lowest}: ATen took" in done.text
    assert not done.record_file.exists()


def test_tutorial_files_are_right_on_every_processor(tmp_path: Path) -> None:
    done = run_pytest(*DIGITS, "--claim=processors", "--processors=all", folder=tmp_path)

    assert done.status == 0, done.text
    rows = {row.variant: row for row in done.record.claims}
    assert (rows["scripted_quantized"].status, rows["lite_frozen"].status) == ("passed", "passed")
    shown = {each.statistic for each in rows["lite_frozen"].findings}
    assert {f"sqnr on {name}" for name in ("host", *lower_than("host"))} <= shown


@pytest.mark.skipif("avx2" not in lower_than("host"), reason="FBGEMM knows nothing below this machine's AVX2")
def test_saturating_file_without_vnni_is_found(tmp_path: Path) -> None:
    own = shutil.copytree(ROOT / "examples" / "own_model", tmp_path / "own")
    (own / "shapes.py").write_text((own / "shapes.py").read_text(encoding="utf-8") + EIGHT_BITS, encoding="utf-8")
    case = (f"--case-file={own / 'vitgate.toml'}", "--case=shapes", "--engine=fbgemm")
    done = run_pytest("tests/conformance", *case, "--claim=processors", "--processors=all", folder=tmp_path)

    assert done.status == 1, done.text
    (row,) = (row for row in done.record.claims if row.variant == "scripted_quantized")
    assert row.status == "failed"
    assert "avx2" in row.message.partition("Wrong on: ")[2].partition(".")[0]
