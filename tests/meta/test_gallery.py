"""The gallery of users' models (`examples/gallery`): each kind holds every claim about its files and numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitgate.spec.cases import read_own

from .processes import Done, ROOT, run_pytest

pytestmark = pytest.mark.long

GALLERY = ROOT / "examples" / "gallery"
UNQUANTIZABLE = "torchvision_swin"
KINDS = {case.id: case.title for case in read_own(GALLERY / "vitgate.toml").case}
CASES = [case for case in KINDS if case != UNQUANTIZABLE]
CLAIMS = (
    "build",
    "label",
    "repeatable",
    "logits_original",
    "logits_parent",
    "weights",
    "arithmetic",
    "layers",
    "size",
    "lite_operators",
)


def check(folder: Path, cases: list[str], *more: str) -> Done:
    """Run the claims about files and numbers of these cases."""
    copy = shutil.copytree(GALLERY, folder / "gallery")
    chosen = [word for case in cases for word in ("--case", case)]
    claims = [word for claim in CLAIMS for word in ("--claim", claim)]
    return run_pytest(
        "tests/conformance", "--case-file", str(copy / "vitgate.toml"), *chosen, *claims, *more, folder=folder
    )


def test_every_kind_of_model_passes_every_claim_on_every_engine(tmp_path: Path) -> None:
    done = check(tmp_path, CASES, "-n", "2")

    red = [f"{row.name}: {row.message}" for row in done.record.claims if row.status not in ("passed", "declared")]
    assert red == []
    assert done.status == 0, done.text
    assert {row.case for row in done.record.claims} == {*CASES}


@pytest.mark.refuses("model", "code that reads the weight of a Linear as a tensor: the stage and PyTorch's reason")
def test_unquantizable_model_fails_at_its_stage_with_pytorch_message(tmp_path: Path) -> None:
    done = check(tmp_path, [UNQUANTIZABLE], "--engine", "qnnpack")

    assert done.status == 1
    (row,) = [row for row in done.record.claims if row.name == f"build[{UNQUANTIZABLE}-qnnpack-scripted_quantized]"]
    assert (row.outcome, row.at) == ("failed at", "script")
    assert "method cannot be used as a value" in row.message


@pytest.mark.parametrize(
    "case", [*(pytest.param(case, marks=pytest.mark.accepts("model", KINDS[case])) for case in CASES), UNQUANTIZABLE]
)
def test_models_page_lists_what_works(case: str) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert f"| `{case}` |" in page
