"""The code of the pages "from the lite interpreter to …", run as its reader runs it, on a small model."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vitgate.pipeline import successor_stages
from vitgate.spec.variants import read_successors
from vitgate.spec.versions import packages

from .processes import ROOT

MODEL = """
import torch
from timm.models.vision_transformer import VisionTransformer

torch.manual_seed(0)
model = VisionTransformer(img_size=32, patch_size=8, num_classes=10, embed_dim=64, depth=2, num_heads=2).eval()
x = torch.rand(1, 3, 32, 32)
"""
CHECK = """
with torch.no_grad():
    expected = model(x)
noise = ((logits - expected) ** 2).mean()
assert logits.shape == expected.shape and logits.dtype == torch.float32
print(f"{10 * torch.log10((expected**2).mean() / noise):.1f}")
"""
CALLS = ("quantize_", "prepare_pt2e", "to_edge_transform_and_lower", "quant_pre_process", "aoti_compile_and_package")
PAGES = sorted({row.page for row in read_successors().values()})


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("page", PAGES)
def test_code_of_page_gives_logits_within_int8_noise(page: str, tmp_path: Path) -> None:
    rows = [row for row in read_successors().values() if row.page == page]
    if lacking := [found.message for row in rows if (found := row.lacking(packages()["torch"]))]:
        pytest.skip("; ".join(lacking))
    (tmp_path / "page.py").write_text("\n".join([MODEL, *blocks(page), CHECK]), encoding="utf-8")

    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr
    assert 15.0 < float(done.stdout.split()[-1]) < 60.0


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_code_of_suite(page: str) -> None:
    source = inspect.getsource(successor_stages)

    assert [name for name in CALLS if f"{name}(" not in source] == []
    assert [name for name in CALLS if f"{name}(" in "".join(blocks(page))], "the page and the suite go different ways"
