"""Models and weights: programs and files of every runtime, checkpoints, the stand-in's head, a hub's archive."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import fuzz_mutations as spoil
import numpy as np
from fuzz_form import Reader

from vitgate.files.errors import UsageError
from vitgate.files.text import reason
from vitgate.inputs import hub, standin
from vitgate.inputs.checkpoint_files import read_state
from vitgate.inputs.model_files import check_exported, check_external_data, check_form, copy_whole, runtime_of
from vitgate.inputs.weights import check_state


def exported(folder: Path) -> Reader:
    """An exported program, as it is looked at before `torch.export.load` gets it."""
    node = {"target": "torch.ops.aten.linear.default", "inputs": [{"name": "x", "arg": {"as_tensor": {"name": "x"}}}]}
    size = {"as_expr": {"expr_str": "Max(1, Symbol('s0', integer=True))", "hint": {"as_int": 2}}}
    tree = {"graph_module": {"graph": {"nodes": [node, {**node, "target": "_operator.getitem"}]}}, "sizes": [size]}
    program = json.dumps(tree).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr("model/models/model.json", program)
        made.writestr("model/data/weights/weight_0", bytes(64))
    sound = target.getvalue()
    entries = spoil.zip_entries(sound)

    def content(rng: Random, data: bytes) -> bytes:
        return spoil.json_file(rng, tree) if data == program else spoil.in_bytes(rng, data)

    def read(path: Path) -> None:
        try:
            check_form(path, runtime_of(path) or "export")
            check_exported(path)
        except (ValueError, zipfile.BadZipFile) as error:  # which become the outcome `failed at load`
            raise UsageError(str(error), where=path, do="export it again") from None

    return Reader(folder / "model.pt2", [sound], lambda rng: spoil.zip_file(rng, entries, content), read)


def program(folder: Path) -> Reader:
    """A program of ExecuTorch, as far as it is looked at before its runtime gets it."""
    sound = b"\x1c\x00\x00\x00ET12eh00" + bytes(64)
    read = lambda path: check_form(path, "executorch")  # noqa: E731  # as short as the others
    return Reader(folder / "model.pte", [sound], lambda rng: spoil.in_bytes(rng, sound), read)


def onnx_model(folder: Path) -> Reader:
    """An ONNX model with weights in a file beside it, as it is looked at and copied before its runtime gets it."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import helper, numpy_helper
    from onnx.external_data_helper import set_external_data

    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy")
    weights = numpy_helper.from_array(np.eye(2, dtype=np.float32), "weights")
    set_external_data(weights, "weights.bin")
    weights.ClearField("raw_data")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "graph", [x], [y], [weights])
    sound = helper.make_model(graph).SerializeToString()
    (folder / "weights.bin").write_bytes(bytes(16))

    def read(path: Path) -> None:
        target = path.with_name("copy.onnx")
        try:
            check_external_data(path)
            copy_whole(path, target)
        except (ValueError, OSError, DecodeError) as error:  # which become the outcome `failed at load`
            raise UsageError(reason(error), where=path, do="export it again") from None
        finally:
            target.unlink(missing_ok=True)

    return Reader(folder / "model.onnx", [sound], lambda rng: spoil.in_bytes(rng, sound), read)


def hub_archive(folder: Path) -> Reader:
    """The archive of a commit, as GitHub gives it for `--weights hub`."""
    commit, members = "0123456789" * 4, [("deit-01/hubconf.py", b"import torch\n" * 9), ("deit-01/a/b.py", b"1\n")]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
        made.comment = commit.encode()

    def read(path: Path) -> None:
        if problem := hub.not_the_commit(path, commit):
            raise UsageError(problem, where=path.name, do="fetch it again")
        try:
            hub.unpacked(path, path.parent / "session" / "inner")
        finally:
            shutil.rmtree(path.parent / "session", ignore_errors=True)

    def case(rng: Random) -> bytes:
        return spoil.in_bytes(rng, target.getvalue()) if rng.random() < 0.5 else _renamed(rng, members, commit)

    return Reader(folder / "commit.zip", [target.getvalue()], case, read)


def _renamed(rng: Random, members: list[tuple[str, bytes]], commit: str) -> bytes:
    """Return the archive with one hostile name among its own."""
    names = [
        "../up",
        "/abs",
        "deit-01/../../up",
        "deit-01/a\x00b",
        "C:\\up",
        "deit-01//x",
        "other/x",
        "deit-01/a",
        "x" * 400,
    ]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, data in [*members, (rng.choice(names), b"up")]:
            made.writestr(name, data)
        made.comment = commit.encode()
    return target.getvalue()


def _state() -> dict[str, Any]:
    import torch

    return {"pos": torch.ones(1, 2, 3), "head.weight": torch.ones(4, 3), "head.bias": torch.zeros(4)}


_SHAPES = {"pos": (1, 2, 3), "head.weight": (4, 3), "head.bias": (4,)}


def _weights(path: Path) -> None:
    import torch

    own = {name: torch.empty(shape, device="meta") for name, shape in _SHAPES.items()}
    check_state(read_state(path), own, where=str(path), model="fuzz")


def checkpoint(folder: Path) -> Reader:
    """A `.pth` of torch.save, in its zip form."""
    import torch

    target = io.BytesIO()
    torch.save({"model": _state()}, target)
    sound = target.getvalue()
    entries = spoil.zip_entries(sound)

    def content(rng: Random, data: bytes) -> bytes:
        return spoil.pickle_bytes(rng, data) if data[:1] == b"\x80" else spoil.in_bytes(rng, data)

    def case(rng: Random) -> bytes:
        if rng.random() < 0.2:
            return spoil.in_bytes(rng, sound)
        return spoil.zip_file(rng, _weighted(rng, entries), content)

    return Reader(folder / "file.pth", [sound], case, _weights)


def _weighted(rng: Random, entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Change the pickle in most cases, since most of what can happen happens there."""
    if rng.random() < 0.3:
        return entries
    return [(name, spoil.pickle_bytes(rng, data) if name.endswith("/data.pkl") else data) for name, data in entries]


def legacy(folder: Path) -> Reader:
    """A `.pth` of torch.save, in the form before torch 1.6."""
    import torch

    target = io.BytesIO()
    torch.save({"model": _state()}, target, _use_new_zipfile_serialization=False)
    sound = target.getvalue()
    head = sound[:15]

    def case(rng: Random) -> bytes:
        return head + spoil.pickle_bytes(rng, sound[15:]) if rng.random() < 0.8 else spoil.in_bytes(rng, sound)

    return Reader(folder / "file.pth", [sound], case, _weights)


def safetensors(folder: Path) -> Reader:
    """A `.safetensors`."""
    from safetensors.torch import save

    sound = save(_state())
    return Reader(folder / "file.safetensors", [sound], lambda rng: spoil.safetensors_file(rng, sound), _weights)


def head(folder: Path) -> Reader:
    """The classifier's rows of the stand-in weights, a `.safetensors` read without torch."""
    from safetensors.numpy import save

    rows: dict[str, Any] = {"weight": np.ones((3, 4), np.float16), "bias": np.ones(3, np.float32)}
    sound = save({"classes": np.arange(3, dtype=np.int32), **rows})
    case = lambda rng: spoil.safetensors_file(rng, sound)  # noqa: E731  # as short as the others
    return Reader(folder / "head.safetensors", [sound], case, standin.read_head)


def lite(folder: Path) -> Reader:
    """The head of a lite file: bytecode version and operators."""
    import torch

    from vitgate.observe.lite_info import lite_info
    from vitgate.pipeline.stages import stage

    script: Any = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.GELU()))
    path = folder / "file.ptl"
    script._save_for_lite_interpreter(str(path))
    sound = path.read_bytes()
    entries = spoil.zip_entries(sound)

    def read(path: Path) -> None:
        with stage("load"):  # as the suite calls it: what the loader raises is an outcome
            lite_info(path)

    def case(rng: Random) -> bytes:
        return spoil.in_bytes(rng, sound) if rng.random() < 0.2 else spoil.zip_file(rng, entries, spoil.pickle_bytes)

    return Reader(path, [sound], case, read)
