"""What kind of model file a path is, and whether it can be loaded without running code that it brings along.

Nothing of a file is executed or unpickled here. TorchScript, the lite interpreter, ExecuTorch and ONNX Runtime
interpret their files; `torch.export.load` is more trusting: it evaluates symbolic expressions, resolves names of
functions, and unpickles (torch/_export/serde/serialize.py, torch/export/pt2_archive/_package.py). `check_exported`
refuses what it should not be given.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitgate.files.archives import pytorch_entries
from vitgate.files.errors import UsageError
from vitgate.spec.variants import Runtime

SUFFIXES: dict[str, Runtime] = {
    ".pt": "torchscript",
    ".ptl": "lite_interpreter",
    ".pt2": "export",
    ".pte": "executorch",
    ".onnx": "onnxruntime",
}
PACKAGES: dict[Runtime, str] = {"executorch": "executorch", "onnxruntime": "onnxruntime"}
"""What it takes to run a file of that runtime, beside torch."""

_POINTER = b"version https://git-lfs"
_PROGRAM = (b"ET12",)  # the schemas of ExecuTorch's programs: `file_identifier` of schema/program.fbs
_COMPILED = re.compile(r"(^|/)data/aotinductor/|\.so$")
_OPAQUE = re.compile(r"(^|/)data/constants/(opaque_obj|custom_obj)_")
_PROGRAMS = re.compile(r"(^|/)models/[^/]+\.json$|(^|/)serialized_exported_program\.json$")
_OPERATORS = re.compile(
    r"torch\.ops\.(?!load_library|import_module|loaded_libraries)[A-Za-z0-9_]+\.[A-Za-z0-9_.]+"
    r"|torch\.(sym_[a-z_]+|_higher_order_ops\.[a-z_.]+)|_operator\.[a-z_]+|math\.[a-z]+"
)
_SYMBOL = re.compile(r"Symbol\('[A-Za-z0-9_]+'((, [a-z_]+=(True|False))*)\)")
_EXPRESSION = re.compile(r"[A-Za-z0-9_+\-*/%(), .<>=!&|~]*")
_CALLED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_FUNCTIONS = frozenset(
    (
        *("Integer", "Rational", "Float", "Add", "Mul", "Pow", "Abs", "Max", "Min", "Mod", "PythonMod", "floor"),
        *("ceiling", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "FloatTrueDiv", "ModularIndexing", "Where"),
        *("PowByNatural", "FloatPow", "ToFloat", "TruncToInt", "RoundToInt", "Eq", "Ne", "Lt", "Le", "Gt", "Ge"),
        *("And", "Or", "Not", "Identity", "Piecewise", "StrictLessThan", "StrictGreaterThan", "LessThan"),
        *("GreaterThan", "Equality", "Unequality"),
    )
)
"""What SymPy and torch.utils._sympy.functions write into a symbolic size."""
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    zlib.error,
    zipfile.BadZipFile,
)  # what zipfile and JSON raise
_LONGEST_EXPRESSION = 2000
_MOST_PROGRAM = 256 << 20  # bytes of a program's JSON
_DEEPEST = 200


def runtime_of(path: Path) -> Runtime | None:
    """Return the runtime of a file by its suffix, and for `.pt2` by what is in it; None for any other file."""
    found = SUFFIXES.get(path.suffix.lower())
    return "inductor" if found == "export" and any(_COMPILED.search(name) for name in _names(path)) else found


def check_form(path: Path, runtime: Runtime) -> None:
    """UsageError for a file that is plainly something else, of which its runtime would say that it is corrupted."""
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise UsageError("this is a Git LFS pointer, not the file itself", where=path, do="run git lfs pull")
    if runtime == "executorch":
        _check_program(path, start[4:8])
    names = {name.partition("/")[2] for name in _names(path)}
    if "data.pkl" in names and "constants.pkl" not in names:
        do = "save the model with torch.jit.script(model).save(path)"
        raise UsageError("this is a checkpoint of torch.save, not a TorchScript file", where=path, do=do)
    if runtime == "lite_interpreter" and "data.pkl" in names and "bytecode.pkl" not in names:
        do = "name it .pt, or save it with module._save_for_lite_interpreter(path)"
        raise UsageError("this TorchScript file has no bytecode for the lite interpreter", where=path, do=do)


def _check_program(path: Path, schema: bytes) -> None:
    if re.fullmatch(rb"ET\d\d", schema) and schema not in _PROGRAM:
        known = ", ".join(each.decode() for each in _PROGRAM)
        what = f"an ExecuTorch program of schema {schema.decode()}, and {known} is known"
        raise UsageError(what, where=path, do="export it again with the ExecuTorch that runs it")
    if schema not in _PROGRAM:
        do = "write it with program.write_to_file(file)"
        raise UsageError("this is no program of ExecuTorch", where=path, do=do)


def _names(path: Path) -> list[str]:
    try:
        return [entry.filename for entry in pytorch_entries(path)]
    except (ValueError, zipfile.BadZipFile):  # what the runtime says of it is more than could be said here
        return []


def check_exported(path: Path) -> None:
    """ValueError for an exported program that brings code along: machine code, pickled objects, expressions."""
    names = _names(path)
    if any(_COMPILED.search(name) for name in names):
        raise ValueError("machine code in an exported program (an AOTInductor package? --allow-code runs it)")
    if opaque := next((name for name in names if _OPAQUE.search(name)), ""):
        raise ValueError(f"{opaque} is a pickled object, and loading it runs what it says")
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise ValueError(f"this is no archive: {error}") from None
    with archive:
        for name in filter(_PROGRAMS.search, names):
            if archive.getinfo(name).file_size > _MOST_PROGRAM:
                raise ValueError(f"{name} is larger than {_MOST_PROGRAM >> 20} MiB")
            try:
                program = json.loads(archive.read(name))
            except RecursionError:
                raise ValueError(f"{name} is nested too deeply") from None
            except _UNREADABLE as error:
                raise ValueError(f"{name} cannot be read: {error or type(error).__name__}") from None
            _check_graph(program, name)


def check_external_data(path: Path) -> None:
    """ValueError for an `.onnx` file whose weights lie in files that are missing, or outside of its folder."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            name = next((each.value for each in tensor.external_data if each.key == "location"), "")
            if not all(isinstance(each, str) for each in (name, tensor.name)):  # others come as bytes
                raise ValueError(f"the name {name!r} or {tensor.name!r} is no UTF-8")
            inside = (path.parent / name).resolve()
            if path.parent.resolve() not in inside.parents:
                raise ValueError(f"the weights of {tensor.name} lie outside of the file's folder, in {name!r}")
            if not inside.is_file():
                raise ValueError(f"the file {name!r} is missing, which holds the weights of {tensor.name}")


def copy_whole(path: Path, target: Path) -> None:
    """Copy a model file; the weights that an `.onnx` file keeps in others beside it go into the copy."""
    with suppress(ImportError, ValueError, OSError):  # without onnx, or weights that can be read, it stays as it is
        if path.suffix.lower() == ".onnx" and _is_apart(path):
            import onnx

            check_external_data(path)
            onnx.save(onnx.load(str(path)), str(target))
            return
    shutil.copyfile(path, target)


def _is_apart(path: Path) -> bool:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        return any(map(uses_external_data, onnx.load(str(path), load_external_data=False).graph.initializer))
    except DecodeError:  # no ONNX file at all
        return False


def _check_graph(program: object, name: str) -> None:
    for key, value in _texts(program, 0):
        if key == "target" and value.startswith(("torch", "math", "_operator")) and not _OPERATORS.fullmatch(value):
            raise ValueError(f"{name} calls {value!r}, which is no operator")
        if key == "expr_str" and not _is_arithmetic(value):
            raise ValueError(f"{name} has the expression {value[:60]!r}, which is no arithmetic")


def _is_arithmetic(text: str) -> bool:
    """Whether a symbolic size, which torch.export evaluates as Python, is one: names, numbers, operators, functions."""
    plain = _SYMBOL.sub("s", text) if len(text) <= _LONGEST_EXPRESSION else "__"
    called = set(_CALLED.findall(plain))
    return bool(_EXPRESSION.fullmatch(plain)) and "__" not in plain and called <= _FUNCTIONS


def _texts(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON object with its key."""
    if depth > _DEEPEST:
        raise ValueError("a program that is nested too deeply")
    items: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [("", each) for each in value]
    for key, each in items:
        if isinstance(each, str):
            yield key, each
        else:
            yield from _texts(each, depth + 1)
