"""The worked example of docs/own-model.md, run as its reader runs it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from .processes import Done, ROOT, run_pytest

PAGE = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "own_model"


def run(folder: Path, *arguments: str) -> Done:
    """Run the command of the page, on one engine."""
    (command,) = re.findall(r"^    pytest (.+--case-file.+)$", PAGE, re.MULTILINE)
    return run_pytest(*shlex.split(command), "--engine", "fbgemm", *arguments, folder=folder)


def test_the_page_shows_the_example_as_it_is() -> None:
    assert (EXAMPLE / "vitgate.toml").read_text(encoding="utf-8").partition("\n\n")[2] in PAGE
    assert "def build()" in PAGE


def test_every_claim_about_the_model_of_the_example_holds(tmp_path: Path) -> None:
    done = run(tmp_path)

    assert done.status == 0, done.text
    rows = done.record.claims
    assert {row.case for row in rows if row.claim == "label"} == {"shapes"}
    assert {row.status for row in rows} <= {"passed", "declared"}
    assert [row.weights for row in done.record.inputs] == ["own"]


def test_a_label_that_the_model_does_not_give_turns_the_run_red(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    (copy / "vitgate.toml").write_text(text.replace('circle_1.png", label = 0', 'circle_1.png", label = 2'))

    done = run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), "--claim", "label[shapes-fbgemm-scripted]",
        folder=tmp_path,
    )  # fmt: skip

    assert done.status == 1
    assert "circle_1: got 0, expected 2" in done.text


SIZES = """
[[tolerance]]
id = "shapes.traced.{statistic}"
claim = "size"
statistic = "{statistic}"
unit = "{unit}"
against = "{against}"
lower = {lower}
upper = {upper}
reason = "Of a model this small the traced code is a good part."
measured = "here"
"""


def test_a_model_that_is_traced_holds_every_claim_too(tmp_path: Path) -> None:
    """The page says which operators its lite file needs beside those of scripted ones."""
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")
    text = (copy / "vitgate.toml").read_text(encoding="utf-8")
    (more,) = re.findall(r'^(conversion = "trace".*\noperators = .+)$', PAGE, re.MULTILINE)
    sizes = SIZES.format(statistic="size_per_number", unit="bytes", against="", lower=4.0, upper=6.0)
    sizes += SIZES.format(statistic="reduction", unit="1", against="scripted", lower=0.35, upper=0.7)
    sizes += SIZES.format(statistic="size_ratio", unit="1", against="parent", lower=0.4, upper=2.0)
    text = text.replace('id = "shapes"', f'id = "shapes"\n{more}', 1)
    (copy / "vitgate.toml").write_text(text + sizes, encoding="utf-8")

    done = run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), "--case", "shapes", "--engine", "fbgemm",
        folder=tmp_path,
    )  # fmt: skip

    assert done.status == 0, done.text
    assert {row.status for row in done.record.claims} <= {"passed", "declared"}
