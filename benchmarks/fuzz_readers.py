"""Every reader of a file from outside, with valid files to start from and how they are mutated.

A `Reader` is made in a folder of its own, where its sound files are put; each case then replaces one of them.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import fuzz_mutations as spoil
import numpy as np

from vitgate.compare.acceptance import Acceptances, read_acceptances
from vitgate.compare.verdict import compare
from vitgate.files.errors import UsageError
from vitgate.files.hashing import sha256_of
from vitgate.files.schemas import fixtures_folder, read_model, Strict
from vitgate.files.text import reason
from vitgate.inputs import hub, pictures, preprocess, standin
from vitgate.inputs.checkpoint_files import read_state
from vitgate.inputs.field_files import FieldFile, FieldManifest, located, read_field, seen
from vitgate.inputs.model_files import check_exported, check_external_data, check_form, copy_whole, runtime_of
from vitgate.inputs.picture_files import load_picture
from vitgate.inputs.picture_folder import check_classes, contents, read_folder
from vitgate.inputs.weights import check_state
from vitgate.judge import deviations, operators, tolerances, torch_warnings
from vitgate.judge.table import differences, parse, read_table
from vitgate.judge.tolerances import Tolerances
from vitgate.observe.store import pack, Store, unpack
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.records.consistency import check_consistent
from vitgate.records.merge import merge
from vitgate.records.record import read_with_seal, Record
from vitgate.report.compatibility import page
from vitgate.report.verdict import html, junit, markdown, terminal
from vitgate.spec import cases, claims
from vitgate.spec.outcome import Evidence
from vitgate.upgrade.environments import MARKER, read_marker
from vitgate.upgrade.requirements import is_pinned, Needs, parse_side, whole_set

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Case = Callable[[Random], bytes]


@dataclass(frozen=True)
class Reader:
    """What `read` reads at `path`; `sound` are files that it takes, `case` draws a hostile one."""

    path: Path
    sound: list[bytes]
    case: Case
    read: Callable[[Path], object]


Make = Callable[[Path], Reader]


# ---- records and verdicts


def small_record() -> dict[str, Any]:
    """Return a committed record, cut down to one case and engine and a few claims."""
    whole: dict[str, Any] = json.loads((fixtures_folder() / "records" / "2.12.1.json").read_text(encoding="utf-8"))
    rows = [row for row in whole["claims"] if (row.get("case"), row.get("engine")) == ("digits", "qnnpack")]
    rows = [row for row in rows if row.get("variant") in ("scripted", "lite") and row["claim"] != "field"]
    declared = [row for row in whole["claims"] if row["status"] == "declared"][:1]
    cells = [row for row in whole["cells"] if row["case"] == "digits" and row["engine"] == "qnnpack"]
    cells = [row for row in cells if row["variant"] in ("original", "optimized")]
    own: dict[str, Any] = {"claims": [*rows[:6], *declared], "cells": cells}
    own |= {
        name: sorted({row[name[:-1]] for row in [*rows[:6], *declared] if name[:-1] in row})
        for name in ("cases", "engines")
    }
    own["complete"] = False
    own["cells"] = [
        {name: value for name, value in {**row, "outcome": "not checked"}.items() if name not in ("at", "deviation")}
        for row in own["cells"]
    ]
    return {**whole, **own, "inputs": [row for row in whole["inputs"] if row["case"] == "digits"]}


def _json_reader(folder: Path, name: str, tree: Any, read: Callable[[Path], object]) -> Reader:
    sound = json.dumps(tree).encode()
    return Reader(folder / name, [sound], lambda rng: spoil.json_file(rng, tree), read)


def record(folder: Path) -> Reader:
    """A record, checked against itself."""
    return _json_reader(folder, "record.json", small_record(), _unsealed)


def _unsealed(path: Path) -> Record:
    """Read a record as a comparison does, whatever its seal: who forges a record forges that too."""
    found, _ = read_with_seal(path)
    check_consistent(found, where=path)
    return found


# What a record may say freely.
_FREE = ("message", "note", "against", "unit", "torch", "cpu", "weights_note", "test", "subject", "link")


def verdict(folder: Path) -> Reader:
    """Two records compared and merged, and every report of the verdict."""
    tree = small_record()
    sound = json.dumps(tree).encode()
    (folder / "other.json").write_bytes(sound)
    other = _unsealed(folder / "other.json")

    def case(rng: Random) -> bytes:
        return spoil.json_file(rng, tree) if rng.random() < 0.3 else _reworded(rng, tree)

    return Reader(folder / "record.json", [sound], case, lambda path: _judge(_unsealed(path), other))


def _reworded(rng: Random, tree: Any) -> bytes:
    """Change only what a record may say freely: texts and numbers."""
    changed = json.loads(json.dumps(tree))
    numbers = rng.random() < 0.2
    places = [(holder, key) for holder, key in spoil.places(changed) if _is_free(holder, key, numbers)]
    for holder, key in rng.sample(places, k=min(len(places), rng.choice((1, 2, 5, 20)))):
        is_text = isinstance(holder[key], str)
        holder[key] = rng.choice(spoil.TEXTS) if is_text else rng.choice((*spoil.NUMBERS, None))
    return json.dumps(changed).encode()


def _is_free(holder: Any, key: Any, numbers: bool) -> bool:
    """Whether a record stays one, whatever stands there; of its numbers few are as free as its texts."""
    if not numbers:
        return key in _FREE
    return isinstance(holder, dict) and type(holder[key]) in (int, float) and key != "schema_version"


def _judge(given: Record, other: Record) -> None:
    """Compare, write all reports and the compatibility page, merge; no control character or markup may come through."""
    compare(given, other, accepted=Acceptances())
    found = compare(other, given, accepted=Acceptances())
    target = io.StringIO()
    terminal.write(found, target, "never")
    texts = [target.getvalue(), markdown.render(found), html.render(found), junit.render(found)]
    ElementTree.fromstring(texts[-1])  # noqa: S314  # nosec B314  # our own report: is it XML?
    found.model_dump_json()
    texts.append(page({"given": given}, maker="fuzz"))
    if any("<script" in text for text in texts[1:]):
        raise ValueError("a script tag came through")
    _printable(texts)
    with suppress(UsageError):  # where they say different things of one row
        check_consistent(merge([given, other]), where="merged")
    merge([given])


def _printable(texts: list[str]) -> None:
    for text in texts:
        bad = {char for char in set(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != "\n"}
        if bad:
            raise ValueError(f"control characters came through: {bad!r}")


# ---- TOML


def _toml_reader(folder: Path, source: str, rows: int, read: Callable[[Path], object]) -> Reader:
    whole = tomllib.loads((fixtures_folder() / source).read_text(encoding="utf-8"))
    few = {key: value if key == "sentence" else value[:rows] for key, value in whole.items() if isinstance(value, list)}
    few = {**whole, **few}
    return _tree_reader(folder, few, read)


def _tree_reader(folder: Path, tree: Any, read: Callable[[Path], object]) -> Reader:
    sound = spoil.toml_text(tree).encode()
    return Reader(folder / "data.toml", [sound], lambda rng: spoil.toml_file(rng, tree), read)


def accept(folder: Path) -> Reader:
    """An accept file."""
    text = """accept = [{id = "xnnpack-gone", reason = "we ship the frozen file", owner = "ml", expires = 2027-01-31},
      {id = "label[digits-qnnpack-lite]", reason = "known", owner = "ml", expires = 2027-01-31}]"""
    return _tree_reader(folder, tomllib.loads(text.replace("\n", "")), lambda path: read_acceptances((), path))


def own_cases(folder: Path) -> Reader:
    """A user's own cases, with a tolerance."""
    case = {
        "id": "mine",
        "title": "my ViT",
        "build": "mine:build",
        "weights": "a.pth",
        "input": [3, 32, 32],
        "files": "mine",
    }
    shown = [{"file": "a.png", "label": 1, "name": "a"}, {"file": "b.png", "label": 0}]
    bound = {
        "id": "mine.size",
        "claim": "size",
        "statistic": "size_ratio",
        "unit": "1",
        "against": "parent",
        "upper": 2.0,
    }
    words = {"reason": "small", "measured": "here"}
    sound = {
        "case": [{**case, "picture": shown, "operators": ["aten::mean.dim"]}],
        "tolerance": [{**bound, **words}],
    }

    def read(path: Path) -> Tolerances:
        return Tolerances([], path, tolerances.own_tolerances(cases.read_own.__wrapped__(path), path))

    return _tree_reader(folder, sound, read)


def own_folder(folder: Path) -> Reader:
    """A user's `field.toml`, in a folder with two files."""
    for name in ("a.pt", "b.ptl"):
        (folder / name).write_bytes(b"content")
    np.save(folder / "x.npy", np.ones((2, 1, 2, 2), np.float32))
    text = """file = [{file = "a.pt", input = [1, 3, 8, 8], engine = "qnnpack", least_sqnr_db = 25.0},
      {file = "b.ptl", x = "x.npy", logits = "x.npy", runtime = "torchscript"}]"""
    reader = _tree_reader(folder, tomllib.loads(text.replace("\n", "")), lambda path: _items(path.parent))
    return Reader(folder / "field.toml", reader.sound, reader.case, reader.read)


def _items(folder: Path) -> None:
    try:
        for item in read_field(folder):
            seen(item)
            located(item, folder / "session")
    finally:
        shutil.rmtree(folder / "session", ignore_errors=True)


# ---- field folders


def _manifest(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a sound manifest and its files, which are not there yet."""
    names = ("digits-qnnpack-lite.ptl", "own-b.pt")
    files = {name: Random(name).randbytes(300) for name in names}  # noqa: S311  # the same each time
    rows = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        cell = {"case": "digits", "engine": "qnnpack", "variant": "lite"} if "digits" in name else {}
        runtime = "lite_interpreter" if name.endswith(".ptl") else "torchscript"
        rows.append(
            FieldFile(id=name, file=name, runtime=runtime, bytes=len(data), sha256=sha256_of(folder / name), **cell)  # type: ignore[arg-type]  # of the right names
        )
    whole = FieldManifest(schema_version=1, maker="2.12.1", machine="x86_64", files=tuple(rows))
    return json.loads(whole.model_dump_json()), files


def _seen(names: list[str]) -> bytes:
    x, logits = np.ones((2, 1, 2, 2), np.float32), np.ones((2, 3), np.float32)
    arrays = {"x/digits": x, "original/digits": logits, **{f"x/{name}": x for name in names[1:]}}
    target = io.BytesIO()
    np.savez_compressed(target, **arrays, **{f"logits/{name}": logits for name in names})  # type: ignore[arg-type]  # NumPy's stub
    return target.getvalue()


def manifest(folder: Path) -> Reader:
    """A `field.json`, with its files and arrays beside it."""
    tree, files = _manifest(folder)
    (folder / "seen.npz").write_bytes(_seen(list(files)))
    return _json_reader(folder, "field.json", tree, lambda path: _items(path.parent))


def arrays(folder: Path) -> Reader:
    """A `seen.npz`."""
    tree, files = _manifest(folder)
    (folder / "field.json").write_text(json.dumps(tree), encoding="utf-8")
    sound = _seen(list(files))
    entries = spoil.zip_entries(sound)
    return Reader(
        folder / "seen.npz",
        [sound],
        lambda rng: spoil.in_bytes(rng, sound) if rng.random() < 0.2 else spoil.zip_file(rng, entries, spoil.npy_file),
        lambda path: [seen(item) for item in read_field(path.parent)],
    )


def array(folder: Path) -> Reader:
    """A user's own `.npy`."""
    target = io.BytesIO()
    np.save(target, np.ones((2, 1, 2, 2), np.float32))
    sound = target.getvalue()
    (folder / "a.pt").write_bytes(b"content")
    (folder / "field.toml").write_text('[[file]]\nfile = "a.pt"\nx = "x.npy"\n', encoding="utf-8")
    read = lambda path: [seen(item) for item in read_field(path.parent)]  # noqa: E731  # as short as the others
    return Reader(folder / "x.npy", [sound], lambda rng: spoil.npy_file(rng, sound), read)


def archive(folder: Path) -> Reader:
    """A `files.tar.xz`."""
    tree, files = _manifest(folder)
    for name in files:
        (folder / name).unlink()
    (folder / "field.json").write_text(json.dumps({**tree, "archive": "files.tar.xz"}), encoding="utf-8")
    members = list(files.items())
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as made:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))

    def read(path: Path) -> None:
        try:
            for item in read_field(path.parent):
                located(item, path.parent / "session")
        finally:
            shutil.rmtree(path.parent / "session", ignore_errors=True)

    return Reader(folder / "files.tar.xz", [target.getvalue()], lambda rng: spoil.tar_file(rng, members), read)


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


# ---- weights, pictures, lite files


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


def picture(folder: Path) -> Reader:
    """A picture, of all formats that are read."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    image, sound = Image.fromarray(noise), {}
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        target = io.BytesIO()
        image.save(target, form)
        sound[form] = target.getvalue()
    for name, mode in (("grey", "I;16"), ("palette", "P"), ("alpha", "RGBA")):
        target = io.BytesIO()
        (image.convert("L").convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)).save(target, "PNG")
        sound[name] = target.getvalue()
    files = list(sound.values())

    def case(rng: Random) -> bytes:
        data = rng.choice(files)
        return spoil.png_file(rng, data) if data[1:4] == b"PNG" and rng.random() < 0.6 else spoil.in_bytes(rng, data)

    return Reader(folder / "picture.png", files, case, load_picture)


def labelled_folder(folder: Path) -> Reader:
    """A folder of a user's pictures, listed, read and hashed; the bytes are a picture's."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(target, "PNG")
    sound = target.getvalue()
    (folder / "7").mkdir()
    (folder / "8").mkdir()
    (folder / "8" / "a.png").write_bytes(sound)

    def read(path: Path) -> None:
        found = read_folder(path.parents[1])
        check_classes(found, 10, "fuzz")
        contents(found, lambda done: None, decode=True)

    return Reader(folder / "7" / "b.jpg", [sound], lambda rng: spoil.in_bytes(rng, sound), read)


def golden(folder: Path) -> Reader:
    """Arrays that were committed: labelled pictures."""
    target = io.BytesIO()
    np.savez(target, images=np.ones((3, 4, 4), np.uint8), labels=np.ones(3, np.uint8))
    sound = target.getvalue()
    entries = spoil.zip_entries(sound)
    case = lambda rng: spoil.zip_file(rng, entries, spoil.npy_file)  # noqa: E731  # as short as the others
    return Reader(folder / "labelled.npz", [sound], case, preprocess.read_labelled)


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


# ---- requirements, evidence, caches, tables

_REQUIREMENTS = b"""# pinned
torch==2.12.1 \\
    --hash=sha256:""" + b"0a" * 32 + b"""
torchvision==0.27.1
timm>=1.0.20,<2 ; python_version >= "3.10"
numpy @ https://example.org/numpy-2.0-py3-none-any.whl
"""  # fmt: skip


def _side(text: str) -> None:
    side = parse_side(text, where="OLD")
    whole_set(side, Needs(("timm>=1.0.15", "torch>=1.13.1")))
    is_pinned(side)


def requirements(folder: Path) -> Reader:
    """A requirements file."""
    case = lambda rng: (spoil.in_text if rng.random() < 0.6 else spoil.in_bytes)(rng, _REQUIREMENTS)  # noqa: E731  # likewise
    return Reader(folder / "requirements.txt", [_REQUIREMENTS], case, lambda path: _side(str(path)))


def side(folder: Path) -> Reader:
    """What the user writes in the place of a version."""
    sound = [
        b"2.12.1",
        b"torch==2.12.1 timm==1.0.20",
        b"torch >= 2.0, < 3",
        b"2.13rc1",
        b"torch @ https://example.org/t.whl",
    ]

    def case(rng: Random) -> bytes:
        return (spoil.in_text if rng.random() < 0.3 else spoil.in_bytes)(rng, rng.choice(sound))

    return Reader(folder / "text", sound, case, lambda path: _side(path.read_bytes().decode(errors="surrogateescape")))


def evidence(folder: Path) -> Reader:
    """Evidence that another process of the run wrote: values."""
    store = Store(folder / "store")
    store.get("outputs", "digits", lambda: Evidence({"a": [1, 2]}, {"x": np.ones(3, np.float32)}))
    tree = {"values": {"a": [1, 2]}, "outcome": {"kind": "failed", "at": "", "error": "E", "message": "m", "findings": [
        {"statistic": "sqnr", "value": 1.0, "unit": "dB"}]}}  # fmt: skip
    return _json_reader(folder / "store" / "outputs", "digits.json", tree, lambda path: store.find("outputs", "digits"))


def packed(folder: Path) -> Reader:
    """Evidence in the cache, or whose arrays another process wrote: an archive of arrays."""
    path = folder / "store" / "outputs" / "digits.npz"
    store = Store(folder / "store")
    store.get("outputs", "digits", lambda: Evidence({}, {"x": np.ones(3, np.float32)}))
    pack(Evidence({"a": 1}, {"x": np.ones(3, np.float32)}), path)
    sound = path.read_bytes()
    entries = spoil.zip_entries(sound)

    def read(path: Path) -> None:
        store.find("outputs", "digits")
        unpack(path)

    return Reader(path, [sound], lambda rng: spoil.zip_file(rng, entries, spoil.npy_file), read)


def cache(folder: Path) -> Reader:
    """An entry of the artifact cache."""

    def write(target: Path) -> None:
        target.write_bytes(b"content")

    artifacts = ArtifactCache(folder / "cache")

    def read(path: Path) -> None:
        found = artifacts.get("key", "a.pt", write)
        if Path(found.path).read_bytes() != b"content":
            raise ValueError("the cache gave another file")

    read(folder)
    path = folder / "cache" / "key" / "entry.json"
    return _json_reader(path.parent, path.name, json.loads(path.read_text(encoding="utf-8")), read)


def marker(folder: Path) -> Reader:
    """The marker of a cached environment."""
    tree = {"format": 1, "name": "2.12.1", "requirements": ["torch==2.12.1"], "torch": "2.12.1", "bytes": 1}
    tree |= {"versions": {"torch": "2.12.1"}, "made": "2026-01-01T00:00:00", "packages": "ab"}
    return _json_reader(folder, MARKER, tree, lambda path: read_marker(path.parent))


def table(folder: Path) -> Reader:
    """An accepted table."""
    sound = (fixtures_folder() / "tables" / "digits-qnnpack.txt").read_bytes()
    own = parse(sound.decode())

    case = lambda rng: (spoil.in_text if rng.random() < 0.6 else spoil.in_bytes)(rng, sound)  # noqa: E731  # likewise
    return Reader(folder / "table.txt", [sound], case, lambda path: differences(own, read_table(path)))


def _fixture(source: str, rows: int, read: Callable[[Path], object]) -> Make:
    return lambda folder: _toml_reader(folder, source, rows, read)


def _model(model: type[Strict]) -> Callable[[Path], object]:
    return lambda path: read_model(model, path)


READERS: dict[str, tuple[str, Make]] = {
    "record": ("record", record),
    "verdict": ("records compared, merged and reported", verdict),
    "accept": ("accept file", accept),
    "cases": ("`cases.toml`", _fixture("cases.toml", 2, cases._committed.__wrapped__)),
    "own_cases": ("cases of a user", own_cases),
    "claims": ("`claims.toml`", _fixture("claims.toml", 3, lambda path: claims.read_claims.__wrapped__(path))),
    "tolerances": (
        "`tolerances/*.toml`",
        _fixture("tolerances/weights.toml", 3, lambda path: tolerances._read.__wrapped__(path, ())),
    ),
    "deviations": ("`deviations.toml`", _fixture("deviations.toml", 3, deviations.read_deviations.__wrapped__)),
    "operators": ("`operators.toml`", _fixture("operators.toml", 2, _model(operators.OperatorFile))),
    "api": ("`api.toml`", _fixture("api.toml", 4, claims.read_calls.__wrapped__)),
    "warnings": ("`torch_warnings.toml`", _fixture("warnings.toml", 3, torch_warnings.read_warnings.__wrapped__)),
    "standin": ("description of a stand-in", _fixture("heads/deit_base.toml", 2, _model(pictures.StandinFile))),
    "own_folder": ("`field.toml`", own_folder),
    "manifest": ("`field.json`", manifest),
    "arrays": ("`seen.npz`", arrays),
    "array": ("`.npy` of a user", array),
    "archive": ("`files.tar.xz`", archive),
    "exported": ("exported program", exported),
    "program": ("program of ExecuTorch", program),
    "onnx": ("`.onnx` with weights beside it", onnx_model),
    "hub": ("archive of a hub repository", hub_archive),
    "checkpoint": ("checkpoint, zip form", checkpoint),
    "legacy": ("checkpoint, old form", legacy),
    "safetensors": ("checkpoint, safetensors", safetensors),
    "head": ("head of the stand-in", head),
    "picture": ("picture", picture),
    "labelled_folder": ("folder of a user's pictures", labelled_folder),
    "golden": ("labelled pictures, `.npz`", golden),
    "lite": ("head of a lite file", lite),
    "requirements": ("requirements file", requirements),
    "side": ("version or requirements, as typed", side),
    "evidence": ("evidence, values", evidence),
    "packed": ("evidence, arrays", packed),
    "cache": ("entry of the artifact cache", cache),
    "marker": ("marker of an environment", marker),
    "table": ("accepted table", table),
}
"""By the name on the command line: what the table calls it, and how it is made."""
