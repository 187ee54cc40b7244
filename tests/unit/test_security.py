"""What a stranger's file must not do: execute, leave its folder, fill memory or time, or speak to the terminal."""

from __future__ import annotations

import ast
import io
import json
import lzma
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vitgate
from vitgate.cli import _run
from vitgate.compare.acceptance import read_acceptances
from vitgate.files import archives
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.schemas import fixtures_folder, MOST_JSON, MOST_TOML, read_json, read_toml
from vitgate.inputs import picture_files
from vitgate.inputs.checkpoint_files import check_pickle, more_than_tensors
from vitgate.inputs.picture_files import load_picture
from vitgate.inputs.pictures import PictureRow
from vitgate.observe.store import pack, Store, unpack
from vitgate.records.record import Environment, read_record, Record
from vitgate.records.rows import CellRow, ClaimRow
from vitgate.report.answer import answer
from vitgate.report.compatibility import page
from vitgate.spec.cases import Case, CheckpointRow
from vitgate.spec.outcome import Evidence
from vitgate.upgrade.requirements import parse_side

from .conftest import Refuses

SOURCES = sorted(Path(vitgate.__file__).parent.rglob("*.py"))
HOSTILE = "\x1b[31m<script>alert(1)</script> | a [b](javascript:c)\x9b2J\u202e"


# ---- nothing is executed


def _calls() -> Iterator[Any]:
    """Yield module, line, dotted name and keywords of every call in the sources."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.name}:{node.lineno}", ast.unparse(node.func), {k.arg: k.value for k in node.keywords}


def test_no_call_executes_file_content() -> None:
    forbidden = {"eval", "exec", "pickle.load", "pickle.loads", "marshal.loads", "os.system", "os.popen", "yaml.load"}
    forbidden |= {"shelve.open", "torch.hub.load", "shutil.unpack_archive", "np.memmap"}
    extracts = ("extract", "extractall")

    found = [(where, name) for where, name, _ in _calls() if name in forbidden or name.rpartition(".")[2] in extracts]

    (asked,) = found  # for `--weights hub` alone, in a process that is no part of the suite
    assert (asked[0].partition(":")[0], asked[1]) == ("hub_worker.py", "torch.hub.load")


@pytest.mark.parametrize(
    ("name", "option", "value"), [("torch.load", "weights_only", True), ("np.load", "allow_pickle", False)]
)
def test_every_load_disables_unpickling(name: str, option: str, value: bool) -> None:
    found = {where: options.get(option) for where, called, options in _calls() if called == name}

    assert found and all(isinstance(given, ast.Constant) and given.value is value for given in found.values()), found


def test_no_command_uses_a_shell() -> None:
    started = [(where, options) for where, name, options in _calls() if name.startswith("subprocess.")]

    assert started
    assert all("shell" not in options for _, options in started)


# ---- what a pickle asks for


def nested(depth: Any) -> Any:
    """Return a pickle of a tuple of two tuples of two tuples…: some bytes for 2**depth values."""
    steps = b"".join(b"r" + struct.pack("<I", n) + (b"j" + struct.pack("<I", n)) * 2 + b"\x86" for n in range(depth))
    return b"\x80\x02)" + steps + b"."


class Asks:
    def __reduce__(self) -> Any:
        return bytearray, (10_000_000_000,)


def test_nested_pickle_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="nested without end"):
        check_pickle(nested(60))
    check_pickle(nested(10))


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_pickle_with_other_globals_is_refused(protocol: int) -> None:
    assert "bytearray" in more_than_tensors(pickle.dumps({"w": Asks()}, protocol))
    assert more_than_tensors(pickle.dumps({"w": (1, 2.5, "text", [None, True])}, protocol)) == ""


@pytest.mark.parametrize("data", [b"", b"\x80\x02}", b"no pickle", b"\x80\x02h\x05.", b"\x80\x02X\xff\xff\xff\x7f."])
def test_invalid_pickle_raises_expected_exception(data: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        more_than_tensors(data)


# ---- archives that unfold


def bomb(path: Path, name: str = "x.npy", size: Any = 30_000_000) -> None:
    """Write an `.npz` of some 30 kB that unfolds to a thousand times as much."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (size // 4,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        file.write(header.getvalue())
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))


def test_npz_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 20 << 20)
    bomb(tmp_path / "bomb.npz")
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 20 MB of arrays"):
        archives.read_npz(tmp_path / "bomb.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    assert peak < 10_000_000


def test_archive_with_too_many_entries_is_refused_before_listing(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(b"PK\x01\x02" * 200_000)

    with path.open("rb") as file, pytest.raises(ValueError, match="more than 100000 entries"):
        archives.zip_entries(file)


def test_entry_across_chunk_border_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_AT_ONCE", 6)
    monkeypatch.setattr(archives, "_MOST_ENTRIES", 9)
    path = tmp_path / "many.zip"
    path.write_bytes(b"PK\x01\x02" * 10)

    with path.open("rb") as file, pytest.raises(ValueError, match="entries"):
        archives.zip_entries(file)


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([{}], dtype=object))
    np.save(tmp_path / "x.npy", np.array(["text"]))

    with pytest.raises(ValueError, match="allow_pickle"):
        archives.read_npz(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="something else than numbers"):
        archives.read_npy(tmp_path / "x.npy")


def test_huge_tar_header_is_refused() -> None:
    header = tarfile.TarInfo("x")
    header.size, header.type = 2_000_000_000, tarfile.XHDTYPE
    packed = lzma.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(3_000_000))

    with lzma.open(io.BytesIO(packed)) as stream, pytest.raises(tarfile.TarError, match="manifest"):
        archives.measured_tar(stream, [100])


def test_repeated_tar_members_are_limited_by_manifest() -> None:
    member = tarfile.TarInfo("a.pt")
    member.size = 1000
    tar = io.BytesIO((member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)) * 5000)

    with archives.measured_tar(tar, [1000]) as archive, pytest.raises(tarfile.TarError, match="manifest"):
        for each in archive:
            archive.extractfile(each).read()  # type: ignore[union-attr]  # each is a file


def test_torch_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file/data.pkl", bytes(40_000_000))

    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="larger than the file"):
        archives.pytorch_entries(path)


# ---- texts that cost more than they weigh


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 2000, "cannot read this file"),
        ("x = " + "9" * 4900, "cannot read this file"),
        ("a" + ".a" * 5000 + " = 1", "a line of more than 5000 characters"),
        ("# " + "x\n#" * MOST_TOML, "it has more than 512 kB"),
    ],
)
def test_expensive_toml_is_refused(
    data_file: Callable[[str, str], Path], refuses: Refuses, text: str, words: str
) -> None:
    path = data_file("x.toml", text)

    refuses(lambda: read_toml(path), path, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 5000, "not a readable thing"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ('["\\ud800"]', "surrogates not allowed"),
        ('["\\uD83D"]', "surrogates not allowed"),
        (" " * (MOST_JSON + 1), "it has more than 8192 kB"),
    ],
)
def test_invalid_json_is_refused(
    data_file: Callable[[str, str], Path], refuses: Refuses, text: str, words: str
) -> None:
    path = data_file("x.json", text)

    refuses(lambda: read_json(path, "thing", "mend it"), path, words)


def test_surrogate_pairs_are_read(data_file: Callable[[str, str], Path]) -> None:
    assert read_json(data_file("x.json", '["\\ud83d\\ude00 \\\\udder"]'), "thing", "") == ["😀 \\udder"]


@pytest.mark.parametrize("piece", ["{},", "0,", "[],"])
def test_record_with_many_errors_is_refused_cheaply(
    data_file: Callable[[str, str], Path], refuses: Refuses, record: Callable[..., Record], piece: str
) -> None:
    whole = json.loads(record().text())
    text = json.dumps({**whole, "claims": ["@"]}).replace('"@"', (piece * 100_000).rstrip(","))
    path = data_file("record.json", text)
    tracemalloc.start()
    refuses(lambda: read_record(path), "claims.0", "mend that entry")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 40_000_000


def test_a_record_of_unknown_keys_is_counted_and_not_listed(
    data_file: Callable[[str, str], Path], refuses: Refuses, record: Callable[..., Record]
) -> None:
    whole = json.loads(record().text()) | {f"x{n}": 0 for n in range(2000)}

    refuses(lambda: read_record(data_file("record.json", json.dumps(whole))), "it is wrong in 2000 places")


def test_large_accept_file_is_read_in_linear_time(data_file: Callable[[str, str], Path]) -> None:
    rows = (f'[[accept]]\nid="{n}"\nreason="r"\nowner="o"\nexpires=2030-01-01\n' for n in range(4000))
    found = read_acceptances(file=data_file("accept.toml", "".join(rows)))

    assert found.entries[-1].where.endswith(f":{3999 * 5 + 2}")


# ---- paths that lead elsewhere


def case(**fields: Any) -> Case:
    whole = {"id": "a", "title": "", "model": "m", "input": (3, 8, 8), "files": "a", "preprocessing": "digits"}
    return Case(**{**whole, "arithmetic": {}, "anchor": "a.npz", **fields})


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\0b", "..\\x", "a\x1b"])
@pytest.mark.parametrize("key", ["anchor", "standin", "trained", "heldout"])
def test_case_path_outside_folder_is_refused(key: str, path: str) -> None:
    with pytest.raises(ValueError, match="a path within this folder"):
        case(**{key: path})
    assert getattr(case(**{key: "heads/a.toml"}), key) == "heads/a.toml"


@pytest.mark.parametrize("fields", [{"model": "hf-hub:x/y"}, {"model": "local-dir:/tmp"}, {"files": "../a"}])
def test_case_model_or_files_outside_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        case(**fields)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "https://x.org/..", "https://x.org/", "https://[/a.pth", "ftp://x.org/a.pth"]
)
def test_checkpoint_url_without_plain_file_name_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        CheckpointRow(url=url, sha256="0123abcd")
    assert CheckpointRow(url="https://x.org/a/b-0123abcd.pth", sha256="0123abcd").url.endswith(".pth")


def test_embedded_picture_outside_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="a path within this folder"):
        PictureRow(file="../a.png", label=0, name="", sha256="", margin=0.0)


# ---- requirements


@pytest.mark.parametrize("escape", ["\\n", "\\x0a", "\\r", "\\x00", "\\u2028", "\\ud800"])
def test_requirement_cannot_inject_uv_option(
    data_file: Callable[[str, str], Path], refuses: Refuses, escape: str
) -> None:
    line = f"torch==2.12.1 ; python_version >= '{escape}--index-url=https://harm.example'"
    path = data_file("requirements.txt", line)

    refuses(lambda: parse_side(str(path), where="OLD"), path, "is not a requirement")


def test_very_long_version_is_refused(refuses: Refuses) -> None:
    refuses(lambda: parse_side("9" * 5000, where="OLD"), "OLD")


# ---- pictures


def test_eps_picture_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(harm) print\n%%EOF\n")

    refuses(lambda: load_picture(path), path, "not a picture of a known format")


def test_a_picture_of_many_scans_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    from PIL import Image

    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 90).convert("RGB").save(path, progressive=True)
    load_picture(path)
    data = path.read_bytes()
    last = data[data.rfind(b"\xff\xda") : -2]
    path.write_bytes(data[:-2] + last * 100 + data[-2:])

    refuses(lambda: load_picture(path), path, "too many scans")


@pytest.mark.parametrize(("mode", "megapixels"), [("I", 1), ("F", 1), ("I;16", 2)])
def test_pictures_that_take_more_memory_on_the_way_have_a_lower_limit(
    tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, mode: str, megapixels: int
) -> None:
    from PIL import Image

    monkeypatch.setattr(picture_files, "MAXIMUM_PIXELS", 4_000_000)
    path = tmp_path / "a.tif"
    side = int((megapixels * 1_000_000) ** 0.5) + 10
    Image.new(mode, (side, side)).save(path, compression="tiff_adobe_deflate")

    refuses(lambda: load_picture(path), path, f"below {megapixels} megapixels")


# ---- evidence


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "3", '{"values": 3, "outcome": null}', '{"values": {}}'])
def test_damaged_evidence_gives_one_line_error(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.get("outputs", "digits", Evidence)
    (tmp_path / "outputs" / "digits.json").write_text(text, encoding="utf-8")

    with pytest.raises(MachineError, match="is damaged") as caught:
        store.find("outputs", "digits")
    assert "start again" in str(caught.value)


def test_damaged_cached_evidence_gives_one_line_error(tmp_path: Path) -> None:
    pack(Evidence({"a": 1}), tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:50])

    with pytest.raises(MachineError, match="is damaged"):
        unpack(tmp_path / "a.npz")


# ---- what is printed


def test_an_error_is_one_printable_line_of_bounded_length() -> None:
    text = str(UsageError(f"bad\n{HOSTILE}{'x' * 10_000}", where=HOSTILE, do=HOSTILE))

    assert text.isprintable()
    assert "\\x1b[31m" in text
    assert len(text) < 7000


def test_hostile_record_sends_no_control_sequence_to_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"schema_version": 1, HOSTILE: 1}), encoding="utf-8")

    assert _run(["compare", str(path), str(path)]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.strip().isprintable()


@pytest.mark.parametrize("status", ["failed", "declared"])
def test_answer_and_page_of_hostile_record_are_escaped(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    environment: Environment,
    status: str,
) -> None:
    row = {"status": status, "outcome": "failed at load", "deviation": HOSTILE, "message": HOSTILE}
    rows = (claim_row(**row), *(claim_row(name, "", subject=HOSTILE, **row) for name in ("field", "calls")))
    cells = (cell_row(HOSTILE, case="digits", engine=HOSTILE), cell_row("lite", case="digits", engine=HOSTILE))
    other = environment.model_copy(update={"torch": HOSTILE, "cpu": HOSTILE})
    hostile = record(claims=rows, cells=cells, environment=other, missing=(HOSTILE,))

    assert answer(hostile).isprintable()
    text = page({HOSTILE: hostile}, maker="a test", errors={HOSTILE: HOSTILE})
    assert text.replace("\n", "").isprintable()
    assert "<script" not in text
    assert "[b](" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {3}


def test_committed_files_are_far_below_size_limits() -> None:
    sizes = {path.name: path.stat().st_size for path in fixtures_folder().rglob("*.toml")}
    records = [path.stat().st_size for path in (fixtures_folder() / "records").glob("*.json")]

    assert max(sizes.values()) < MOST_TOML / 4
    assert max(records) < MOST_JSON / 4
