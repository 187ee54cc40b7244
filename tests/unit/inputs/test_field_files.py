"""Field folders: what is read from one, and the one line for whatever cannot be read."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.files.hashing import sha256_of
from vitgate.inputs.field_files import (
    committed,
    FieldFile,
    FieldItem,
    FieldManifest,
    given,
    located,
    MANIFEST,
    OWN,
    passed_over,
    read_field,
    SEEN,
    seen,
    selected,
)

from ..conftest import Refuses

X = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
LOGITS = np.array([[1.0, 2.0], [4.0, 3.0]], dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder."""
    made = tmp_path / "field"
    made.mkdir()
    return made


def row(folder: Path, name: str = "a.pt", **fields: Any) -> FieldFile:
    """Write a file and return its row."""
    path = folder / name
    path.write_bytes(b"content of " + name.encode())
    whole = {"id": name, "file": name, "runtime": "torchscript", "bytes": path.stat().st_size}
    return FieldFile(**{**whole, "sha256": sha256_of(path), **fields})


def write(folder: Path, *rows: object, **fields: Any) -> None:
    """Write a manifest of these rows."""
    whole = {"schema_version": 1, "maker": "2.12.1", "machine": "x86_64", "files": rows}
    text = FieldManifest(**{**whole, **fields}).model_dump_json()
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def alter(folder: Path, change: Any) -> None:
    """Change the manifest's JSON as nobody's code would."""
    data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data), encoding="utf-8")


# ---- the manifest


def test_folder_with_manifest_is_read(folder: Path) -> None:
    known = row(folder, "lite.ptl", runtime="lite_interpreter", case="digits", engine="qnnpack", variant="lite")
    write(folder, known, row(folder))

    found = read_field(folder)

    assert [(item.folder, item.maker, item.row.id) for item in found] == [
        (str(folder), "2.12.1", "lite.ptl"),
        (str(folder), "2.12.1", "a.pt"),
    ]
    assert [str(item.cell) for item in found] == ["digits-qnnpack-lite", "None"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(schema_version=2), ("schema 2 is newer than 1", "upgrade vitgate")),
        (lambda data: data.update(schema_version=0), ("schema_version", "mend that entry")),
        (lambda data: data.pop("maker"), ("maker",)),
        (lambda data: data.update(extra=1), ("extra",)),
        (lambda data: data["files"].append(data["files"][0]), ("duplicate name 'a.pt'",)),
        (lambda data: data["files"][0].update(id="../x"), ("files.0.id",)),
        (lambda data: data["files"][0].update(sha256="ab"), ("files.0.sha256",)),
        (lambda data: data["files"][0].update(engine="cuda"), ("files.0.engine",)),
        (lambda data: data["files"][0].update(case="digit"), ("case 'digit' does not exist", "digits")),
        (lambda data: data["files"][0].update(file="../a.pt"), ("'../a.pt' is not a plain file name",)),
        (lambda data: data["files"][0].update(file="/etc/passwd"), ("'/etc/passwd' is not a plain file name",)),
        (lambda data: data["files"][0].update(file="sub/a.pt"), ("'sub/a.pt' is not a plain file name",)),
        (lambda data: data["files"][0].update(file=""), ("'' is not a plain file name",)),
        (lambda data: data["files"][0].update(file=".."), ("'..' is not a plain file name",)),
    ],
)
def test_invalid_manifest_is_refused(
    folder: Path, refuses: Refuses, change: Callable[..., Any], words: tuple[str, ...]
) -> None:
    write(folder, row(folder))
    alter(folder, change)

    refuses(lambda: read_field(folder), folder, *words)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"schema_version": "1"}', "\ufffe", "null"])
def test_unparsable_manifest_is_refused(folder: Path, refuses: Refuses, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-16" if text == "\ufffe" else "utf-8")

    refuses(lambda: read_field(folder), MANIFEST)


def test_manifest_that_is_a_folder_is_refused(folder: Path, refuses: Refuses) -> None:
    (folder / MANIFEST).mkdir()

    refuses(lambda: read_field(folder), "not a readable manifest")


def test_equal_ids_in_two_folders_are_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for each in (folder, other):
        write(each, row(each))

    refuses(lambda: given((str(folder), str(other))), "duplicate name 'a.pt'", folder, other)


def test_files_are_verified_by_content(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder), row(folder, "b.pt"))
    (item, other) = read_field(folder)
    (folder / "b.pt").write_bytes(b"another")

    assert located(item, tmp_path) == folder / "a.pt"
    refuses(lambda: located(other, tmp_path), "b.pt is not the file of the manifest")
    (folder / "b.pt").unlink()
    refuses(lambda: located(other, tmp_path), "b.pt is not the file of the manifest")


def test_symbolic_link_is_verified_by_target_content(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder))
    (folder / "a.pt").rename(tmp_path / "elsewhere.pt")
    (folder / "a.pt").symlink_to(tmp_path / "elsewhere.pt")
    (item,) = read_field(folder)

    assert located(item, tmp_path).read_bytes() == b"content of a.pt"
    (tmp_path / "elsewhere.pt").write_bytes(b"other")
    refuses(lambda: located(item, tmp_path), "is not the file")


def test_committed_files_match_their_manifests(tmp_path: Path) -> None:
    items = committed()

    makers = list(dict.fromkeys(item.maker for item in items if item.row.engine != "none"))
    assert makers == sorted(makers, key=lambda text: [int(part) for part in text.split(".")])
    assert "2.12.1" in makers
    for item in [item for item in items if item.maker == "2.12.1" or item.row.engine == "none"]:
        assert located(item, tmp_path).stat().st_size == item.row.bytes
        found = seen(item)
        assert found.logits is not None
        assert found.original is not None
        assert len(found.x) == len(found.logits) == len(found.original)
        assert found.least_sqnr_db is None


def test_three_releases_of_each_successors_package_are_committed() -> None:
    packages = [item.row.id.partition("_")[0] for item in committed() if item.row.engine == "none"]

    assert {name: packages.count(name) for name in packages} == {"executorch": 3, "onnxruntime": 3, "torch": 3}


def test_run_checks_files_of_its_engines_and_of_unknown_ones() -> None:
    def item(**fields: Any) -> FieldItem:
        whole = {"id": "a", "file": "a.pt", "runtime": "torchscript", "bytes": 1, "sha256": "0" * 64}
        return FieldItem("", "", FieldFile(**whole, **fields))

    lite, other, own = item(case="digits", engine="qnnpack"), item(case="deit_base", engine="x86"), item()
    of_engine = item(engine="x86")

    assert list(selected([lite, other, own, of_engine], ["digits"], ["qnnpack"])) == [lite, own]
    assert list(selected([lite, other, own, of_engine], ["deit_base"], ["x86"])) == [other, own, of_engine]


# ---- what the maker saw


def test_recorded_inputs_and_logits_are_read(folder: Path) -> None:
    write(folder, row(folder, case="digits"), row(folder, "own.pt", least_sqnr_db=33.0))
    arrays: dict[str, Any] = {"x/digits": X, "x/own.pt": X + 1, "logits/own.pt": LOGITS, "original/digits": LOGITS}
    np.savez_compressed(folder / SEEN, **arrays)

    built, own = map(seen, read_field(folder))

    assert np.array_equal(built.x, X)
    assert built.logits is None
    assert built.original is not None
    assert np.array_equal(built.original, LOGITS)
    assert (built.least_sqnr_db, own.least_sqnr_db, own.bound) == (None, 33.0, "field.toml: least_sqnr_db")
    assert np.array_equal(own.x, X + 1)
    assert own.logits is not None
    assert np.array_equal(own.logits, LOGITS)
    assert own.original is None


def _arrays(arrays: dict[str, Any]) -> Any:
    """Return arrays as keywords of `np.savez`, whose options NumPy's stubs take for arrays."""
    return arrays


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60:120] = bytes(60)
    path.write_bytes(bytes(data))


def _pickled(path: Path) -> None:
    np.savez(path, **_arrays({"x/a.pt": np.array([{}], dtype=object)}))


def _no_arrays(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.pt.npy", b"nothing")


def _bare(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def _huge(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.pt.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


@pytest.mark.parametrize(
    "spoil",
    [
        *(_truncated, _damaged, _pickled, _no_arrays, _bare, _huge),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive"),
    ],
)
def test_unreadable_arrays_are_refused(folder: Path, refuses: Refuses, spoil: Callable[..., Any]) -> None:
    write(folder, row(folder))
    np.savez_compressed(
        folder / SEEN, **_arrays({"x/a.pt": np.random.default_rng(0).standard_normal((2, 64), np.float32)})
    )
    spoil(folder / SEEN)
    (item,) = read_field(folder)

    refuses(lambda: seen(item), SEEN, "again")


def test_file_without_inputs_is_refused(folder: Path, refuses: Refuses) -> None:
    write(folder, row(folder))
    np.savez(folder / SEEN, **_arrays({"x/other": X}))

    refuses(lambda: seen(read_field(folder)[0]), "no inputs for a.pt")


# ---- archives


def pack(folder: Path, *members: tuple[tarfile.TarInfo, bytes], mode: Any = "w:xz") -> str:
    """Write an archive of (TarInfo, content); return its name."""
    with tarfile.open(folder / "files.tar.xz", mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "files.tar.xz"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: Any = "") -> Any:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def packed(folder: Path, *members: tuple[tarfile.TarInfo, bytes], **options: Any) -> Any:
    """Write a manifest of the file `a.pt`, and an archive of it and these members."""
    rows = [row(folder)]
    content = (folder / "a.pt").read_bytes()
    (folder / "a.pt").unlink()
    write(folder, *rows, archive=pack(folder, *members, (member("a.pt"), content), **options))
    return read_field(folder)[0]


def test_archive_is_unpacked_once_per_session(folder: Path, tmp_path: Path) -> None:
    item = packed(folder)

    path = located(item, tmp_path / "session")

    assert path.read_bytes() == b"content of a.pt"
    assert path.is_relative_to(tmp_path / "session")
    before = path.stat()
    assert located(item, tmp_path / "session").stat().st_mtime_ns == before.st_mtime_ns
    assert [each.name for each in folder.iterdir()] == ["files.tar.xz", MANIFEST] or len(list(folder.iterdir())) == 2


def test_killed_unpacking_is_repeated(folder: Path, tmp_path: Path) -> None:
    item = packed(folder)
    path = located(item, tmp_path)
    path.write_bytes(b"half")
    path.parent.with_suffix(".unpacked").unlink()

    assert located(item, tmp_path).read_bytes() == b"content of a.pt"


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../evil.pt", tarfile.REGTYPE, ""),
        ("/tmp/evil.pt", tarfile.REGTYPE, ""),  # noqa: S108  # a name, never written to
        ("sub/a.pt", tarfile.REGTYPE, ""),
        ("stranger.pt", tarfile.REGTYPE, ""),
        ("a.pt", tarfile.SYMTYPE, "/etc/passwd"),
        ("a.pt", tarfile.LNKTYPE, "../../a.pt"),
        ("a.pt", tarfile.DIRTYPE, ""),
        ("a.pt", tarfile.FIFOTYPE, ""),
        ("a.pt", tarfile.CHRTYPE, ""),
    ],
)
def test_archive_member_outside_manifest_is_refused(
    folder: Path, tmp_path: Path, refuses: Refuses, name: str, kind: bytes, link: str
) -> None:
    item = packed(folder, (member(name, kind, link), b""))

    refuses(lambda: located(item, tmp_path / "session"), "not a file of the manifest", "export the files again")
    assert [path for path in tmp_path.rglob("*evil*")] == []


def test_archive_member_larger_than_declared_is_not_unpacked(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    item = packed(folder, (member("a.pt"), bytes(50_000_000)))
    assert (folder / "files.tar.xz").stat().st_size < 50_000

    refuses(lambda: located(item, tmp_path / "session"), "not a file of the manifest")
    assert sum(path.stat().st_size for path in (tmp_path / "session").rglob("*.pt")) == 0


def test_manifest_of_more_than_16_gib_is_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    write(folder, row(folder, bytes=1 << 40), archive=pack(folder))

    refuses(lambda: located(read_field(folder)[0], tmp_path), "more than 16 GiB")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive at all"),
        lambda path: path.write_bytes(path.read_bytes()[:2000]),
        lambda path: path.write_bytes(lzma.compress(b"no archive")),
        lambda path: path.write_bytes(path.read_bytes()[:200] + bytes(60) + path.read_bytes()[260:]),
    ],
)
def test_unreadable_archive_is_refused(
    folder: Path, tmp_path: Path, refuses: Refuses, spoil: Callable[..., Any]
) -> None:
    noise = np.random.default_rng(0).bytes(4000)
    rows = [row(folder, "b.pt", bytes=len(noise))]
    write(folder, *rows, archive=pack(folder, (member("b.pt"), noise)))
    spoil(folder / "files.tar.xz")

    refuses(lambda: located(read_field(folder)[0], tmp_path / "session"), "files.tar.xz", "again")


@pytest.mark.parametrize("name", ["../files.tar.xz", "/files.tar.xz", "sub/files.tar.xz"])
def test_archive_outside_folder_is_refused(folder: Path, tmp_path: Path, refuses: Refuses, name: str) -> None:
    write(folder, row(folder), archive=name)

    refuses(lambda: located(read_field(folder)[0], tmp_path), "is not a plain file name")


# ---- a user's own folder


@pytest.mark.accepts("saved file (`--field`)", "a file about which nothing is recorded: it loads, runs and repeats")
def test_user_files_without_field_toml_get_defaults(folder: Path) -> None:
    for name in ("phone.ptl", "a b(1).pt", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "folder.pt").mkdir()
    (folder / "gone.pt").symlink_to(folder / "nowhere")

    found = read_field(folder)

    assert [(item.row.id, item.row.file, item.row.runtime, item.maker, item.cell) for item in found] == [
        ("own-a_b_1_.pt", "a b(1).pt", "torchscript", "", None),
        ("own-phone.ptl", "phone.ptl", "lite_interpreter", "", None),
    ]
    default = seen(found[1])
    assert default.x.shape == (1, 3, 224, 224)
    assert default.x.dtype == np.float32
    assert default.logits is None
    assert np.array_equal(default.x, seen(found[0]).x)  # the same numbers everywhere, for two PyTorch to compare
    assert located(found[1], folder) == folder / "phone.ptl"


TOLD = """
[[file]]
file = "phone.ptl"
x = "x.npy"
logits = "logits.npy"
engine = "qnnpack"
runtime = "torchscript"
least_sqnr_db = 31.5

[[file]]
file = "small.pt"
input = [3, 1, 8, 8]
"""


@pytest.mark.accepts("saved file (`--field`)", "inputs, logits, engine and bound in `field.toml`")
def test_user_files_with_field_toml_get_its_values(folder: Path) -> None:
    for name in ("phone.ptl", "small.pt"):
        (folder / name).write_bytes(b"x")
    (folder / OWN).write_text(TOLD, encoding="utf-8")
    np.save(folder / "x.npy", X.astype(np.float64))
    np.save(folder / "logits.npy", LOGITS)

    phone, small = read_field(folder)

    found = seen(phone)
    assert (phone.row.engine, phone.row.runtime, phone.row.least_sqnr_db) == ("qnnpack", "torchscript", 31.5)
    assert np.array_equal(found.x, X)
    assert found.x.dtype == np.float32
    assert found.logits is not None
    assert np.array_equal(found.logits, LOGITS)
    assert (found.least_sqnr_db, found.bound) == (31.5, "field.toml: least_sqnr_db")
    assert seen(small).x.shape == (3, 1, 8, 8)
    assert small.row.engine is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ('[[file]]\nfile = "phon.ptl"', ("no file 'phon.ptl' here", "mend its name")),
        ('[[file]]\nfile = "phone.ptl"\n[[file]]\nfile = "phone.ptl"', ("duplicate name 'phone.ptl'",)),
        ('[[file]]\nfile = "phone.ptl"\ninptu = [1]', ("inptu",)),
        ('[[file]]\nfile = "phone.ptl"\nengine = "cuda"', ("engine",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = []', ("must be an image shape",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = [1, -3, 224, 224]', ("must be an image shape",)),
        (f'[[file]]\nfile = "phone.ptl"\ninput = {[1] * 33}', ("must be an image shape",)),
        ('[[file]]\nfile = "phone.ptl"\ninput = [1000, 1000, 1000]', ("must be an image shape",)),
        ("[[file]", ("cannot read this file",)),
        ("file = 3", ("file",)),
    ],
)
def test_invalid_field_toml_is_refused(folder: Path, refuses: Refuses, told: str, words: tuple[str, ...]) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(told, encoding="utf-8")

    refuses(lambda: read_field(folder), folder / OWN, *words)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (lambda path: None, ("not a readable array",)),
        (lambda path: path.write_bytes(b""), ("not a readable array",)),
        (lambda path: path.write_bytes(b"text"), ("not a readable array",)),
        (lambda path: np.savez(path.open("wb"), x=X), ("not a readable array",)),
        (lambda path: np.save(path, np.array([{}], dtype=object)), ("not a readable array",)),
        (lambda path: np.save(path, np.array(["a"])), ("not a readable array",)),
        (lambda path: np.save(path, np.float32(1.0)), ("an array of shape ()",)),
        (lambda path: np.save(path, X[:0]), ("an array of shape (0, 1, 2, 2)",)),
    ],
)
@pytest.mark.parametrize("key", ["x", "logits"])
def test_unreadable_user_arrays_are_refused(
    folder: Path, refuses: Refuses, save: Callable[..., Any], words: tuple[str], key: str
) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(f'[[file]]\nfile = "phone.ptl"\n{key} = "array.npy"', encoding="utf-8")
    save(folder / "array.npy")
    (item,) = read_field(folder)

    refuses(lambda: seen(item), folder / "array.npy", *words)


@pytest.mark.parametrize("name", ["../x.npy", "/x.npy", "sub/x.npy"])
def test_user_arrays_outside_folder_are_refused(folder: Path, refuses: Refuses, name: str) -> None:
    (folder / "phone.ptl").write_bytes(b"x")
    (folder / OWN).write_text(f'[[file]]\nfile = "phone.ptl"\nx = "{name}"', encoding="utf-8")

    refuses(lambda: seen(read_field(folder)[0]), "is not a plain file name")


@pytest.mark.refuses("saved file (`--field`)", "a folder without such files")
def test_folders_without_model_files_are_refused(folder: Path, tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_field(folder), folder, "no .pt, .ptl, .pt2, .pte, .onnx file here")
    (folder / "model.tflite").touch()
    refuses(lambda: read_field(folder), "no .pt, .ptl, .pt2, .pte, .onnx file here")
    refuses(lambda: read_field(tmp_path / "missing"), "no such folder of artifacts", "--field")
    refuses(lambda: read_field(folder / "model.tflite"), "no such folder of artifacts")


def test_file_names_with_equal_ids_are_refused(folder: Path, refuses: Refuses) -> None:
    for name in ("a b.pt", "a_b.pt"):
        (folder / name).write_bytes(b"x")

    refuses(lambda: read_field(folder), "duplicate name 'own-a_b.pt'")


def test_unreadable_folder_is_refused(folder: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("vitgate.inputs.field_files.sha256_of", denied)
    (folder / "a.pt").write_bytes(b"x")

    refuses(lambda: read_field(folder), "cannot read this folder: Permission denied", folder / "a.pt")


def test_full_disk_while_unpacking_stays_an_os_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: Any, file: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vitgate.inputs.field_files.shutil.copyfileobj", full)

    with pytest.raises(OSError, match="No space left"):
        located(packed(folder), tmp_path)


# What a user's folder may hold


def _archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"{path.stem}/{name}", b"")


@pytest.mark.accepts(
    "saved file (`--field`)", "`.pt`, `.pth`, `.ptl`, in capitals too, and any file that `field.toml` names"
)
def test_suffix_is_case_insensitive_and_named_files_are_read(tmp_path: Path) -> None:
    for name in ("UPPER.PT", "phone.PTL", "plain.torchscript", "notes.md"):
        (tmp_path / name).write_bytes(b"anything")
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "plain.torchscript"\n', encoding="utf-8")

    found = {item.row.file: item.row.runtime for item in read_field(tmp_path)}

    assert found == {"UPPER.PT": "torchscript", "phone.PTL": "lite_interpreter", "plain.torchscript": "torchscript"}
    assert passed_over(tmp_path) == ["notes.md"]


def test_arrays_named_in_field_toml_are_not_reported_as_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"anything")
    np.save(tmp_path / "x.npy", np.zeros((1, 3), np.float32))
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "a.pt"\nx = "x.npy"\n', encoding="utf-8")

    assert passed_over(tmp_path) == []


@pytest.mark.refuses(
    "saved file (`--field`)", "a full TorchScript module named `.ptl`, a state dict, an archive of another kind"
)
@pytest.mark.parametrize(
    ("name", "entries", "words"),
    [
        (
            "full.ptl",
            ("data.pkl", "constants.pkl", "code/__torch__.py"),
            ("no bytecode for the lite interpreter", ".pt"),
        ),
        ("state.pt", ("data.pkl", "data/0"), ("a checkpoint of torch.save", "torch.jit.script")),
    ],
)
def test_file_of_unsupported_format_is_named(
    name: str, entries: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, refuses: Refuses
) -> None:
    _archive(tmp_path / name, *entries)

    refuses(lambda: read_field(tmp_path), *words)


@pytest.mark.refuses("saved file (`--field`)", "a Git LFS pointer")
def test_git_lfs_pointer_is_named(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "phone.ptl").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")

    refuses(lambda: read_field(tmp_path), "a Git LFS pointer", "git lfs pull")


@pytest.mark.accepts(
    "saved file (`--field`)", "no `input`: [1, 3, 224, 224] is assumed, which is said where the file fails"
)
@pytest.mark.parametrize(("line", "assumed"), [("", True), ("input = [1, 3, 8, 8]\n", False)])
def test_assumed_input_shape_is_marked(line: str, assumed: bool, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"anything")
    (tmp_path / "field.toml").write_text(f'[[file]]\nfile = "a.pt"\n{line}', encoding="utf-8")

    assert seen(read_field(tmp_path)[0]).assumed is assumed
