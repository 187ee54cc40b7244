"""What a process has freed goes back to the system, and quantizing an ONNX model makes few copies of it."""

from __future__ import annotations

import ctypes
import gc
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vitgate.pipeline.free_memory import release_free_memory

PIECE, PIECES = 64 * 1024, 2000  # too small for memory of their own, which goes back when it is freed
STATM = Path("/proc/self/statm")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a file as large as that of a model whose memory counts; it takes no room on the disk."""
    path = tmp_path / "large.pt"
    path.touch()
    os.truncate(path, 100 << 20)
    return path


def resident() -> int:
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not STATM.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="neither /proc nor glibc's malloc_trim"
)
def test_freed_pieces_go_back_to_the_system(large: Path) -> None:
    pieces = [bytearray(PIECE) for _ in range(PIECES)]
    last = pieces[-1]  # holds the end of the heap
    full = resident()
    del pieces
    release_free_memory(large)

    assert full - resident() > 0.9 * PIECE * PIECES
    assert len(last) == PIECE


def test_a_c_library_that_cannot_trim_is_left_alone(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())

    release_free_memory(large)


def test_small_file_costs_no_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: pytest.fail("it looked at all objects"))
    small = tmp_path / "small.pt"
    small.write_bytes(b"x")

    release_free_memory(small)


def test_shapes_are_inferred_without_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    inference = pytest.importorskip("onnxruntime.quantization.shape_inference")
    from vitgate.pipeline import successor_stages

    real, given = inference.quant_pre_process, []

    def pre_process(model: Any, *arguments: Any, **options: Any) -> None:
        given.append(model.ByteSize())
        real(model, *arguments, **options)

    monkeypatch.setattr(inference, "quant_pre_process", pre_process)
    source, path = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    successor_stages.save_onnx(successor_stages.export_onnx(nn.Linear(400, 400).eval(), torch.rand(1, 400)), source)
    successor_stages.quantize_onnx(source, path)

    assert given[0] < 0.1 * source.stat().st_size
    assert path.stat().st_size < 0.3 * source.stat().st_size
