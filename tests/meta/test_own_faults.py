"""The faults that can be put into a user's own model are found there too: its bounds are its own.

Of the catalogue, those of the files, of what runs them, and of the way to the model's input. Some need a third block,
more than three classes or more pictures than the example has, and go into a model like it that is deeper.
"""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitgate.inputs.golden_inputs import write_golden
from vitgate.spec.cases import read_own
from vitgate.spec.options import OWN

from .baseline import Baseline, clean_run, OWN_CASE
from .faults import catalogue, Fault
from .processes import ROOT
from .scene import red, Scene
from .test_faults import wanted_of

pytestmark = pytest.mark.long

EXAMPLE = ROOT / "examples" / "own_model"
FILES = ("artifacts", "layers", "lite", "model", "preprocessing", "quantization", "runtime")
NOT_THERE = {
    "original_epsilon": "what a user's model is, it is: only the record of another release shows that it was another",
    "original_epsilon_of_one_norm": "likewise",
    "original_gelu_by_tanh": "likewise",
    "original_softmax_in_half": "likewise",
    "pictures_in_another_order": "labels that the original gets wrong judge nothing",
    "rows_in_another_order": "there are no held-out pictures",
    "three_percent_of_pictures_lost": "there are no held-out pictures",
}
ALSO = {"previous_call_remembered": "logits_parent"}  # which is held to 100 dB, as many as the millionths are
DEEP = """
from timm.models.vision_transformer import VisionTransformer


def build():
    return VisionTransformer(
        img_size=32, patch_size=8, num_classes=10, embed_dim=64, depth=4, num_heads=2, mlp_ratio=2.0
    )
"""


def catalogued() -> list[Fault]:
    """Return the faults that are no matter of the pictures, the calls or the data of the suite's own cases."""
    own = [fault for fault in catalogue() if fault.inject.__module__.rpartition(".")[2] in FILES]
    return [fault for fault in own if fault.engine == "fbgemm" and fault.id not in NOT_THERE]


def deep_case(folder: Path) -> Path:
    """Write a case like the example, of four blocks and ten classes; it takes every picture for the first class."""
    shutil.copytree(EXAMPLE / "pictures", folder / "pictures")
    (folder / "deep.py").write_text(DEEP, encoding="utf-8")
    torch.manual_seed(0)
    state = runpy.run_path(str(folder / "deep.py"))["build"]().state_dict()
    state = {name: tensor + 0.01 * torch.randn_like(tensor) for name, tensor in state.items()}
    state["head.bias"][0] += 1
    save_file(state, folder / "weights.safetensors")
    text = (EXAMPLE / "vitgate.toml").read_text(encoding="utf-8").replace("shapes:build", "deep:build")
    (folder / "vitgate.toml").write_text(text, encoding="utf-8")
    (case,) = read_own(folder / "vitgate.toml").case
    write_golden(case)
    return folder / "vitgate.toml"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """Return the clean run of the deeper model under fbgemm."""
    folder = tmp_path_factory.mktemp("clean-own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN, str(deep_case(folder)))
        yield clean_run("fbgemm", folder, OWN_CASE)


def test_clean_run_is_green(clean: Baseline) -> None:
    assert {name: clean.rows[name].message for name in red(clean.rows)} == {}


def test_exceptions_name_known_faults() -> None:
    assert NOT_THERE.keys() <= {fault.id for fault in catalogue()}


@pytest.mark.parametrize("fault", catalogued(), ids=lambda fault: fault.id)
def test_fault_is_found(fault: Fault, clean: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, wanted = Scene(clean, tmp_path, monkeypatch), wanted_of(fault, clean)
    fault.inject(scene)
    rows = scene.rows()
    assert not wanted or wanted & red(rows), f"{fault.what} Not found."
    may = (*fault.may, ALSO.get(fault.id, ""))
    others = {name: rows[name].message for name in red(rows) - wanted if rows[name].claim not in may}
    assert others == {}, f"{fault.what} Something else turned red."
    if fault.step:
        assert f"first step that differs: {fault.step}" in rows[f"inputs[{OWN_CASE}]"].message
