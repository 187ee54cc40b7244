"""Golden inputs of a user's case: written and read whole, and one line for what cannot be such."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitgate.cli import main
from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.golden_inputs import check_files, golden_of, picture_file, read_golden, with_golden, write_golden
from vitgate.spec.cases import OwnCase, read_own
from vitgate.spec.options import OWN

from ..conftest import Refuses

CASE = """
[[case]]
id = "mine"
title = "mine"
build = "mine:build"
input = [3, 32, 32]
files = "mine"
picture = [{ file = "a.png", label = 0 }, { file = "b.png", label = 1, name = "bee" }]
inputs = "kept/golden.npz"
"""


@pytest.fixture
def case(tmp_path: Path) -> OwnCase:
    """Return a case with two pictures."""
    for name, seed in (("a.png", 0), ("b.png", 1)):
        pixels = np.random.RandomState(seed).randint(0, 256, (40, 50, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return case_of(tmp_path, CASE)


def case_of(folder: Path, text: str) -> OwnCase:
    read_own.cache_clear()
    (folder / "cases.toml").write_text(text, encoding="utf-8")
    return read_own(folder / "cases.toml").case[0]


def test_golden_inputs_come_back_as_written(case: OwnCase) -> None:
    written, found = write_golden(case), read_golden(case)

    assert np.array_equal(found.x, written.x)
    assert (found.x.shape, found.x.dtype) == ((2, 3, 32, 32), np.float32)
    assert [row.name for row in found.about.pictures] == ["a", "bee"]
    assert {"torch", "torchvision", "pillow"} <= found.about.versions.keys()
    assert np.array_equal(golden_of(case).x, found.x)
    assert [path.name for path in (case.folder / "kept").iterdir()] == ["golden.npz"]


def test_file_of_a_picture_is_seen_as_pillow_reads_it(case: OwnCase) -> None:
    found, pixels = picture_file(case.folder / "a.png"), np.asarray(Image.open(case.folder / "a.png"))

    assert found.mean == pytest.approx(pixels.reshape(-1, 3).mean(0), abs=1e-3)
    assert len(found.sha256) == 64


def test_file_that_pillow_cannot_read_has_its_digest_alone(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"not a picture")

    found = picture_file(tmp_path / "x.npy")

    assert (found.decoded, found.mean, len(found.sha256)) == ("", (), 64)
    assert picture_file(tmp_path / "none.png").sha256 == ""


def test_golden_inputs_are_not_overwritten_unless_told(case: OwnCase, refuses: Refuses) -> None:
    write_golden(case)
    before = (case.folder / "kept" / "golden.npz").stat().st_mtime_ns

    refuses(lambda: write_golden(case), "there already", "golden.npz", "--force")
    assert (case.folder / "kept" / "golden.npz").stat().st_mtime_ns == before
    write_golden(case, force=True)
    assert (case.folder / "kept" / "golden.npz").stat().st_mtime_ns != before


def _rewrite(path: Path, **arrays: Any) -> None:
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    np.savez_compressed(path, **{**kept, **arrays})


def _about(text: str) -> Any:
    return np.frombuffer(text.encode(), np.uint8)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "no golden inputs"),
    "empty": (lambda path: path.write_bytes(b""), "cannot read these arrays"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "cannot read these arrays"),
    "no npz": (lambda path: path.write_text("golden"), "cannot read these arrays"),
    "another npz": (lambda path: np.savez_compressed(path, y=np.zeros(3)), "cannot read these arrays"),
    "pickled": (lambda path: _rewrite(path, x=np.array([{}], dtype=object)), "cannot read these arrays"),
    "float64": (lambda path: _rewrite(path, x=np.zeros((2, 3, 32, 32))), "array 'x' is float64"),
    "another shape": (lambda path: _rewrite(path, x=np.zeros((2, 3, 16, 16), np.float32)), "of shape [2, 3, 16, 16]"),
    "fewer": (lambda path: _rewrite(path, x=np.zeros((1, 3, 32, 32), np.float32)), "of shape [1, 3, 32, 32]"),
    "no dimensions": (lambda path: _rewrite(path, x=np.float32(0)), "other pictures"),
    "no words": (lambda path: _rewrite(path, about=_about("{")), "what it says of its pictures"),
    "other words": (lambda path: _rewrite(path, about=_about(json.dumps({"pictures": 1}))), "what it says of its"),
    "deep words": (lambda path: _rewrite(path, about=_about("[" * 100_000)), "what it says of its pictures"),
    "other pictures": (
        lambda path: _rewrite(path, about=_about('{"pictures": [{"name": "wolf"}], "versions": {}}')),
        "other pictures: wolf",
    ),
}


@pytest.mark.refuses("model", "golden inputs (`inputs`) that are damaged, no `.npz`, or of other pictures or shapes")
@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_no_golden_file_is_one_line(spoilt: str, case: OwnCase, refuses: Refuses) -> None:
    spoil, words = SPOILT[spoilt]
    write_golden(case)
    spoil(case.folder / "kept" / "golden.npz")

    refuses(lambda: read_golden(case), words, "golden.npz")


def test_changed_picture_file_is_one_line(case: OwnCase, refuses: Refuses) -> None:
    about = write_golden(case).about
    Image.new("RGB", (40, 40)).save(case.folder / "b.png")
    now = [picture_file(case.folder / row.file) for row in case.picture]

    refuses(lambda: check_files(case, about, now), "the file of bee has changed", "--force")


def test_tensor_that_is_no_number_is_not_written(case: OwnCase, refuses: Refuses) -> None:
    code = "import numpy\n\ndef transform(path):\n    return numpy.full((3, 32, 32), numpy.nan, numpy.float32)\n"
    (case.folder / "mine_nan.py").write_text(code, encoding="utf-8")
    spoilt = case_of(case.folder, CASE + 'transform = "mine_nan:transform"\n')

    refuses(lambda: write_golden(spoilt), "the tensor of a holds NaN or infinity", "case mine")
    assert not (case.folder / "kept").exists()


def test_file_that_cannot_be_written_is_a_matter_of_the_machine(case: OwnCase) -> None:
    (case.folder / "kept").write_text("a file", encoding="utf-8")

    with pytest.raises(MachineError, match="cannot write golden inputs"):
        write_golden(case)


def test_cases_with_golden_inputs_are_found(case: OwnCase, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--case-file"):
        with_golden(())
    monkeypatch.setenv(OWN, str(case.folder / "cases.toml"))
    assert [row.id for row in with_golden(())] == [row.id for row in with_golden(("all",))] == ["mine"]


def test_case_that_names_no_golden_inputs_is_told_how(
    case: OwnCase, monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    other = case.folder / "other.toml"
    other.write_text(CASE.replace('inputs = "kept/golden.npz"\n', ""), encoding="utf-8")
    monkeypatch.setenv(OWN, str(other))

    refuses(lambda: with_golden(()), "no golden inputs", "case mine", 'inputs = "golden.npz"')


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["golden", *map(str, arguments)])
    return (ended.value.code, *capsys.readouterr())


def test_command_writes_golden_inputs_once(
    case: OwnCase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN, "")
    file = case.folder / "cases.toml"

    status, out, _ = _run(capsys, "--case-file", file)
    again, _, error = _run(capsys, "--case-file", file, "--case", "mine")

    assert (status, again) == (0, 4)
    assert out.startswith("mine: 2 pictures, [3, 32, 32], in ")
    assert error.startswith("ERROR: golden inputs are there already")
    assert len(error.splitlines()) == 1
    assert _run(capsys, "--case-file", file, "--case", "mine", "--force")[0] == 0
    assert _run(capsys, "--case", "digits")[0] == 4
