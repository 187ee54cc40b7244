"""The faults of transformers' image processors are found on a user's case whose pictures go that way, and alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitgate.inputs.golden_inputs import write_golden
from vitgate.spec.cases import missing_processor, read_cases, read_own
from vitgate.spec.options import OWN

from .baseline import Baseline, clean_run, OWN_CASE
from .faults import catalogue, Fault
from .scene import red, Scene
from .test_faults import assert_found
from .test_own_faults import EXAMPLE

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing_processor(read_cases()["vit_base_hf"])), reason="transformers is not installed"),
]

ROW = f"image_processor[{OWN_CASE}]"
FAULTS = [fault for fault in catalogue() if "image_processor" in fault.reds]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """Return the clean run of the example, its pictures preprocessed as transformers does it."""
    folder = tmp_path_factory.mktemp("clean-transformers")
    path = Path(shutil.copytree(EXAMPLE, folder / "case")) / "vitgate.toml"
    text = path.read_text(encoding="utf-8").replace("files =", 'preprocessing = "transformers"\nfiles =')
    path.write_text(text, encoding="utf-8")
    write_golden(read_own(path).case[0], force=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN, str(path))
        yield clean_run("fbgemm", folder, OWN_CASE)


def test_clean_run_is_green_and_names_both_processors(clean: Baseline) -> None:
    assert {name: clean.rows[name].message for name in red(clean.rows)} == {}
    assert [finding.against for finding in clean.rows[ROW].findings if finding.statistic == "steps"] == ["slow", "fast"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_fault_is_found(fault: Fault, clean: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(clean, tmp_path, monkeypatch)
    assert_found(fault, scene)
    if fault.step:
        assert f"first step that differs: {fault.step}" in scene.rows()[ROW].message
