"""The worked example of docs/own-model.md, run as its reader runs it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import Done, ROOT, run_pytest

pytestmark = pytest.mark.long

PAGE = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "own_model"


def run(folder: Path, *arguments: str) -> Done:
    """Run the command of the page, on one engine."""
    (command,) = re.findall(r"^    pytest (.+--case-file.+)$", PAGE, re.MULTILINE)
    return run_pytest(*shlex.split(command), "--engine", "fbgemm", *arguments, folder=folder)


def test_page_shows_example_verbatim() -> None:
    assert (EXAMPLE / "vitgate.toml").read_text(encoding="utf-8").partition("\n\n")[2] in PAGE
    assert "def build()" in PAGE


def test_example_model_passes_every_claim(tmp_path: Path) -> None:
    done = run(tmp_path)

    assert done.status == 0, done.text
    rows = done.record.claims
    assert {row.case for row in rows if row.claim == "label"} == {"shapes"}
    assert {row.status for row in rows} <= {"passed", "declared"}
    assert [row.weights for row in done.record.inputs] == ["own"]


def test_crashing_model_is_reported_with_signal_and_stage(tmp_path: Path) -> None:
    own = shutil.copytree(EXAMPLE, tmp_path / "own")
    crash = "\n\ndef build():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGILL)\n"
    (own / "shapes.py").write_text((own / "shapes.py").read_text(encoding="utf-8") + crash, encoding="utf-8")
    case = (f"--case-file={own / 'vitgate.toml'}", "--case=shapes", "--engine=fbgemm", "--claim=build")
    done = run_pytest("tests/conformance", *case, folder=tmp_path)

    assert done.status == 1, done.text
    (row,) = (row for row in done.record.claims if row.variant == "scripted")
    assert (row.error, row.outcome) == ("ProcessDied", "failed at")
    assert ": Illegal instruction on " in row.message
    assert 'shapes.py", line' in row.message


TRANSFORM = """
import torch
from torchvision import transforms
from vitgate.inputs.picture_files import load_picture


def transform(path):
    x = transforms.functional.pil_to_tensor(load_picture(__import__("pathlib").Path(path))).float() / 255
    x = transforms.functional.resize(x, [32, 32], antialias=True)
    return transforms.functional.normalize(x, [0.5] * 3, [0.5] * 3)
"""


@pytest.mark.parametrize(
    ("was", "now", "status", "words"),
    [
        ("", "", 0, ""),
        ("antialias=True", "antialias=False", 1, "first step that differs: resize"),
        ("[0.5] * 3, [0.5] * 3", "[0.4] * 3, [0.5] * 3", 1, "first step that differs: normalize (each channel"),
        ("/ 255", "/ 255\n    x = x.flip(0)", 1, "first step that differs: colour order (the channels are 3, 2, 1"),
    ],
    ids=["same", "antialias", "mean", "order"],
)
def test_changed_transform_of_the_user_is_named(tmp_path: Path, was: str, now: str, status: int, words: str) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    (copy / "pictures_in.py").write_text(TRANSFORM, encoding="utf-8")
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    (copy / "vitgate.toml").write_text(f'{text}transform = "pictures_in:transform"\n', encoding="utf-8")
    case = f"--case-file={copy / 'vitgate.toml'}"
    code = "import sys; from vitgate.cli import main; main(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, "golden", case, "--force"], check=True, capture_output=True)
    (copy / "pictures_in.py").write_text(TRANSFORM.replace(was, now), encoding="utf-8")

    done = run_pytest("tests/conformance", case, "--case=shapes", "--claim=inputs", "-n", "0", folder=tmp_path)

    assert done.status == status, done.text
    (row,) = done.record.claims
    assert words in row.message
    assert (row.name, row.case, row.engine) == ("inputs[shapes]", "shapes", "")
    assert len(done.record.inputs[0].preprocessed) == 6


@pytest.mark.parametrize(
    ("labels", "status"), [((2, 0, 1, 1, 2, 2), 0), ((2, 1, 0, 2, 1, 0), 1)], ids=["one-wrong", "all-wrong"]
)
def test_wrong_labels_of_user_model_are_named(tmp_path: Path, labels: tuple[int, ...], status: int) -> None:
    """One is a mistake of the model's, or of who wrote it down; if all are wrong, the model is used otherwise."""
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    given = iter(labels)
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    (copy / "vitgate.toml").write_text(re.sub(r"label = \d", lambda _: f"label = {next(given)}", text))

    done = run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), "--claim", "label[shapes-fbgemm-original]",
        folder=tmp_path,
    )  # fmt: skip

    assert done.status == status
    assert "circle_1: got 0, expected 2" in done.text


def test_traced_model_passes_every_claim(tmp_path: Path) -> None:
    """Its lite file needs other operators than those of scripted ones, and a traced file has more code."""
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    text = text.replace('id = "shapes"', 'id = "shapes"\nconversion = "trace"', 1)
    (copy / "vitgate.toml").write_text(text, encoding="utf-8")

    done = run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), "--case", "shapes", "--engine", "fbgemm",
        folder=tmp_path,
    )  # fmt: skip

    assert done.status == 0, done.text
    assert {row.status for row in done.record.claims} <= {"passed", "declared"}


def test_failing_case_does_not_stop_others(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    case = text[text.index("[[case]]") :]
    bad = case.replace('id = "shapes"', 'id = "damaged"').replace("weights.safetensors", "damaged.safetensors")
    (copy / "vitgate.toml").write_text(f"{bad}\n{case}", encoding="utf-8")
    (copy / "damaged.safetensors").write_bytes(b"damaged")

    done = run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), "--case", "damaged", "--case", "shapes",
        "--claim", "label", "--engine", "qnnpack", folder=tmp_path,
    )  # fmt: skip

    assert done.status == 4
    assert "No answer for case damaged: the inputs cannot be used." in done.text
    assert "cannot use this file as weights" in done.text
    found = {row.case: (row.status, row.at) for row in done.record.claims if row.subject.endswith("-original")}
    assert found == {"damaged": ("environment error", "inputs"), "shapes": ("passed", "")}
