"""A model file from elsewhere is loaded only if loading runs nothing that it brings along."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.inputs.model_files import check_exported, check_external_data, check_form, copy_whole, runtime_of

NODE = {"target": "torch.ops.aten.linear.default"}


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an exported program with these nodes, expressions and further entries."""

    def write(*nodes: dict[str, Any], expression: str = "", entries: tuple[str, ...] = ()) -> Path:
        path = tmp_path / "model.pt2"
        program = {"graph_module": {"graph": {"nodes": [NODE, *nodes]}}, "size": {"as_expr": {"expr_str": expression}}}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/models/model.json", json.dumps(program))
            for name in entries:
                archive.writestr(f"model/{name}", b"x")
        return path

    return write


@pytest.mark.parametrize(
    "expression",
    ["", "s77", "Symbol('s77', positive=True, integer=True)", "Max(1, Symbol('s0', integer=True) + 2)", "Eq(s0, 1)"],
)
def test_a_program_of_operators_and_sizes_is_taken(exported: Callable[..., Path], expression: str) -> None:
    nodes = [{"target": name} for name in ("_operator.getitem", "torch.sym_max", "math.ceil", "output")]
    path = exported(*nodes, expression=expression, entries=("data/weights/weight_0",))

    check_exported(path)

    assert runtime_of(path) == "export"


@pytest.mark.parametrize(
    "target", ["torch.hub.load", "torch.ops.load_library", "torch._C._jit_clear_class_registry", "math.__loader__"]
)
def test_a_function_that_is_no_operator_is_refused(exported: Callable[..., Path], target: str) -> None:
    with pytest.raises(ValueError, match="is no operator"):
        check_exported(exported({"target": target}))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')",
        "open('/etc/passwd')",
        "eval(s0)",
        "s0.__class__",
        "Symbol('s0', x=exit())",
        "[s0 for s0 in s1]",
    ],
)
def test_an_expression_that_is_no_arithmetic_is_refused(exported: Callable[..., Path], expression: str) -> None:
    with pytest.raises(ValueError, match="is no arithmetic"):
        check_exported(exported(expression=expression))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("data/constants/opaque_obj_0", "pickled object"),
        ("data/constants/custom_obj_0", "pickled object"),
        ("data/aotinductor/model/model.so", "machine code"),
        ("extra/library.so", "machine code"),
    ],
)
def test_code_run_on_load_is_refused(exported: Callable[..., Path], entry: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_exported(exported(entries=(entry,)))


def test_aotinductor_package_is_recognized_by_content(exported: Callable[..., Path]) -> None:
    assert runtime_of(exported(entries=("data/aotinductor/model/model.so",))) == "inductor"


def test_deeply_nested_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/models/model.json", "[" * 100_000 + "]" * 100_000)

    with pytest.raises(ValueError, match="nested too deeply"):
        check_exported(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x00\x00\x00\x00ET11", ("schema ET11", "ET12 is known", "export it again")),
        (b"PK\x03\x04", ("no program of ExecuTorch",)),
        (b"", ("no program of ExecuTorch",)),
    ],
)
def test_program_of_another_format_gives_one_line_error(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "model.pte"
    path.write_bytes(content)

    with pytest.raises(UsageError) as refused:
        check_form(path, "executorch")

    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize("name", ["gone.data", "../outside.data", "/etc/passwd"])
def test_external_weights_must_lie_beside_model(tmp_path: Path, name: str) -> None:
    onnx = pytest.importorskip("onnx")
    (tmp_path / "outside.data").write_bytes(b"x" * 64)
    folder = tmp_path / "models"
    folder.mkdir()
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value=name)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), folder / "model.onnx")

    with pytest.raises(ValueError, match="is missing|lie outside"):
        check_external_data(folder / "model.onnx")


@pytest.mark.parametrize("there", [True, False])
def test_copy_contains_external_weights(tmp_path: Path, there: bool) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value="weights.data")
    source, target = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), source)
    if there:
        (tmp_path / "weights.data").write_bytes(b"12345678")

    copy_whole(source, target)

    copied = onnx.load(str(target), load_external_data=False).graph.initializer[0]
    assert bytes(copied.raw_data) == (b"12345678" if there else b"")
    assert there or target.read_bytes() == source.read_bytes()


def test_file_that_is_no_model_is_copied_unchanged(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")

    copy_whole(tmp_path / "model.onnx", tmp_path / "copy.onnx")

    assert (tmp_path / "copy.onnx").read_bytes() == b"no model"


@pytest.mark.parametrize("spoiled", [b"wei", b"other"])
def test_names_in_a_model_must_be_text(tmp_path: Path, spoiled: bytes) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="weights", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="other.data")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])).SerializeToString()
    source, target = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    source.write_bytes(model.replace(spoiled, b"\xff" * len(spoiled)))

    with pytest.raises(ValueError, match="is no UTF-8"):
        check_external_data(source)
    copy_whole(source, target)

    assert target.read_bytes() == source.read_bytes()


def test_weights_that_cannot_be_looked_for_are_not_copied(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="x" * 5000)  # longer than a file's name may be
    source, target = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), source)

    copy_whole(source, target)

    assert target.read_bytes() == source.read_bytes()
