"""The worked example of docs/own-pictures.md: the example's model over a folder of drawings, as its reader runs it."""

from __future__ import annotations

import csv
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId
from vitgate.spec.variants import VARIANTS

from .processes import Done, ROOT, run_pytest

pytestmark = pytest.mark.long

PAGE = (ROOT / "docs" / "own-pictures.md").read_text(encoding="utf-8")
CASE = ("--case-file", "examples/own_model/vitgate.toml", "--case", "shapes", "--engine", "qnnpack")
COUNT = 8  # drawings of each shape
SIDE = 72  # pixels, as in examples/own_model/train.py


def draw(shape: str, rng: random.Random) -> Image.Image:
    """Return a dark shape on a light ground, as the example's model has learned them."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(rng.randrange(200, 256) for _ in range(3)))
    ink, size = tuple(rng.randrange(80) for _ in range(3)), rng.uniform(34, 46)
    left, top = rng.uniform(10, SIDE - 10 - size), rng.uniform(10, SIDE - 10 - size)
    box, pen = (left, top, left + size, top + size), ImageDraw.Draw(picture)
    if shape == "circle":
        pen.ellipse(box, fill=ink)
    elif shape == "square":
        pen.rectangle(box, fill=ink)
    else:
        pen.polygon([(left, top + size), (left + size, top + size), (left + size / 2, top)], fill=ink)
    return picture


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """Return a folder of labelled drawings, with a note of somebody's between them."""
    rng = random.Random(7)
    for shape in ("circle", "square", "triangle"):
        (tmp_path / "drawings" / shape).mkdir(parents=True)
        for number in range(COUNT):
            draw(shape, rng).save(tmp_path / "drawings" / shape / f"{number}.png")
    (tmp_path / "drawings" / "circle" / "notes.txt").touch()
    return tmp_path / "drawings"


def over(folder: Path, *arguments: str, claim: str = "images", at: Path) -> Done:
    """Run the claim about the pictures of that folder."""
    return run_pytest("tests/conformance", *CASE, "--claim", claim, "--images", str(folder), *arguments, folder=at)


def by_variant(done: Done) -> dict[str, ClaimRow]:
    return {row.variant: row for row in done.record.claims if row.claim == "images"}


def changed(done: Done) -> list[dict[str, str]]:
    with done.record_file.with_name("record-images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_drawings_pass_every_claim(drawings: Path, tmp_path: Path) -> None:
    (command,) = re.findall(r"^    pytest (.+--case-file.+--images.+)$", PAGE, re.MULTILINE)
    arguments = [str(drawings) if part == "drawings" else part for part in shlex.split(command)]

    done = run_pytest(*arguments, "--engine", "qnnpack", "--claim", "images", "--claim", "label", folder=tmp_path)

    assert done.status == 0, done.text
    rows = by_variant(done)
    built = {row.variant for row in done.record.claims if row.claim == "label" and row.outcome == "passed"}
    assert {"original", "scripted", "scripted_quantized", "lite_frozen"} <= built
    assert {name for name, row in rows.items() if row.outcome == "passed"} == built
    assert set(rows) == set(VARIANTS)
    values = {finding.statistic: finding.value for finding in rows["lite_frozen"].findings}
    assert values["accuracy"] == values["agreement"] == 1.0
    assert "24 pictures of 3 classes in " in done.text
    assert "; 1 other files ignored" in done.text
    assert "shapes on qnnpack, your pictures" in done.text
    assert "changed labels: " in done.text
    assert changed(done) == []


def test_wrong_labels_fail_accuracy_alone(drawings: Path, tmp_path: Path) -> None:
    (drawings / "circle").rename(drawings / "swap")
    (drawings / "square").rename(drawings / "circle")
    (drawings / "swap").rename(drawings / "square")

    done = over(drawings, "--images-accuracy", "0.9", at=tmp_path)

    assert done.status == 1
    rows = by_variant(done)
    assert {row.outcome_text for row in rows.values()} <= {
        "failed",
        "blocked by optimized",
        "failed at optimize_for_mobile",
    }
    for name in ("original", "lite_frozen"):
        out = [each.statistic for each in rows[name].findings if each.tolerance == "--images-accuracy"]
        assert out == ["accuracy_high"]
        assert "accuracy_high: 0.5" in rows[name].message
    assert changed(done) == []


ODD = """
from pathlib import Path

import shapes
from safetensors.torch import load_file
from torch import nn

class Odd(nn.Module):
    '''Gives answers that hang on digits of the logits which float variants keep, and int8 does not.'''

    def __init__(self):
        super().__init__()
        self.model = shapes.build()
        self.model.load_state_dict(load_file(Path(shapes.__file__).with_name("weights.safetensors")))

    def forward(self, x):
        return (self.model(x) * 300.0).sin()

def build():
    return Odd()
"""


def test_labels_changed_by_int8_are_listed(drawings: Path, tmp_path: Path) -> None:
    done = odd_model(drawings, tmp_path)

    assert done.status == 1, done.text
    row = by_variant(done)["lite_frozen"]
    assert "agreement_high against original" in row.message
    assert " labels changed: " in row.message
    rows = [each for each in changed(done) if each["cell"] == str(CellId("odd", "qnnpack", "lite_frozen"))]
    (count,) = [finding.value for finding in row.findings if finding.statistic == "changed_labels"]
    assert len(rows) == count
    assert len(rows) > 3
    assert all(each["top1"] != each["original_top1"] for each in rows)
    assert {each["picture"] for each in rows} <= {str(path.relative_to(drawings)) for path in drawings.rglob("*.png")}
    assert by_variant(done)["scripted"].outcome == "passed"


def odd_model(drawings: Path, folder: Path) -> Done:
    """Run the claim about the odd model."""
    example = ROOT / "examples" / "own_model"
    (folder / "odd.py").write_text(f"import sys\nsys.path.insert(0, {str(example)!r})\n{ODD}")
    (folder / "circle.png").write_bytes((example / "pictures" / "circle_1.png").read_bytes())
    case = '[[case]]\nid = "odd"\ntitle = "odd"\nbuild = "odd:build"\ninput = [3, 32, 32]\nfiles = "odd"\n'
    (folder / "odd.toml").write_text(f'{case}picture = [{{ file = "circle.png", label = 0 }}]\n', encoding="utf-8")
    options = ("--case-file", str(folder / "odd.toml"), "--case", "odd", "--engine", "qnnpack", "--claim", "images")
    return run_pytest("tests/conformance", *options, "--images", str(drawings), folder=folder)


def damage(folder: Path) -> None:
    path = folder / "square" / "5.png"
    path.write_bytes(path.read_bytes()[:150])


def another_class(folder: Path) -> None:
    (folder / "star").mkdir()


def too_high_an_index(folder: Path) -> None:
    for number, name in enumerate(("circle", "square", "triangle"), start=1):
        (folder / name).rename(folder / str(number))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damage, ("damaged or truncated picture", "square/5.png")),
        (another_class, ("4 classes by name, but shapes has 3", "or have one for each class")),
        (too_high_an_index, ("a class 3, but shapes has 3", "by class index (0 to 2)")),
    ],
)
def test_unsuitable_folder_gives_one_line_error(
    drawings: Path, tmp_path: Path, spoil: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    spoil(drawings)

    done = over(drawings, at=tmp_path)

    (line,) = {each.removeprefix("Exit: ") for each in done.stdout.splitlines() if each.startswith("ERROR: ")}
    assert done.status == 4 and [word for word in words if word not in line] == [], done.text
    assert not done.record_file.exists()
    assert not list(tmp_path.glob("*.csv"))


def test_run_without_images_option_writes_no_list(tmp_path: Path) -> None:
    done = run_pytest("tests/conformance", *CASE, "--claim", "label[shapes-qnnpack-scripted]", folder=tmp_path)

    assert done.status == 0
    assert not list(tmp_path.glob("*.csv"))
    assert not [row for row in done.record.claims if row.claim == "images"]
