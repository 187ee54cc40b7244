"""transformers' own image processors: the installed ones, and what becomes of other releases' names and faults."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.golden_inputs import picture_file
from vitgate.inputs.image_processor import CONFIGURATION, processed, processors
from vitgate.inputs.preprocess import preprocess
from vitgate.judge.image_processors import processor_steps
from vitgate.judge.tolerances import read_tolerances
from vitgate.spec.cases import missing_processor, read_cases
from vitgate.spec.outcome import ClaimFailed, Finding

CASE = read_cases()["vit_base_hf"]
PATHS = sorted((fixtures_folder() / "images").glob("*.png"))

installed = pytest.mark.skipif(bool(missing_processor(CASE)), reason="transformers is not installed")


class Processor:
    """As much of a processor as is asked of one."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Processor:
        return cls(values)

    def fetch_images(self, path: str) -> Any:
        return Image.open(path).convert("RGB")

    def __call__(self, image: Any, return_tensors: str) -> dict[str, Any]:
        size = self.values["size"]
        return {"pixel_values": torch.zeros(1, 3, size["height"], size["width"])}


class TorchvisionBackend(Processor):
    """The base of fast processors since transformers 5.4."""


class ViTImageProcessor(Processor):
    """One of Pillow's, as up to 5.3."""


class OfTorchvision(TorchvisionBackend):
    """One of torchvision's, as from 5.4 on."""


class Broken(Processor):
    """One that does not fit what is installed."""

    def __call__(self, image: Any, return_tensors: str) -> dict[str, Any]:
        raise RuntimeError("operator torchvision::nms does not exist")


class ByAddress(Processor):
    """One that reads addresses alone, as up to 4.52."""

    def fetch_images(self, path: str) -> Any:
        raise ValueError(f"Invalid URL {path!r}")


class OfAnimations(Processor):
    """One that reads a file as all of its pictures, as torchvision does of an animated GIF."""

    def fetch_images(self, path: str) -> Any:
        return torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


def release(patch: pytest.MonkeyPatch, **classes: type) -> None:
    """Let transformers be a release with these classes alone."""
    module = ModuleType("transformers")
    module.__dict__.update(classes)
    images: Any = ModuleType("transformers.image_utils")
    images.load_image = lambda path: Image.open(path).convert("RGB")
    patch.setitem(sys.modules, "transformers", module)
    patch.setitem(sys.modules, "transformers.image_utils", images)


@pytest.mark.parametrize(
    ("classes", "kinds"),
    [
        ({"": ViTImageProcessor, "Fast": Broken}, {"slow": "ViTImageProcessor", "fast": "Broken"}),
        ({"Pil": Processor, "": OfTorchvision, "Fast": Broken}, {"slow": "Processor", "fast": "OfTorchvision"}),
        ({"": ViTImageProcessor}, {"slow": "ViTImageProcessor"}),
        ({"": OfTorchvision}, {"fast": "OfTorchvision"}),
        ({}, {}),
    ],
    ids=["up to 5.3", "from 5.4 on", "before the fast ones", "slow ones removed", "all removed"],
)
def test_processors_are_told_apart_under_names_of_each_release(
    classes: dict[str, type], kinds: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, **{f"ViTImageProcessor{suffix}": each for suffix, each in classes.items()})
    found = processors(224, 192)
    assert {kind: type(each).__name__ for kind, each in found.items()} == kinds
    assert all(each.values == {**CONFIGURATION, "size": {"height": 224, "width": 192}} for each in found.values())


def failure(patch: pytest.MonkeyPatch, **classes: type) -> str:
    release(patch, **classes)
    with pytest.raises(ClaimFailed) as failed:
        processed(PATHS[:1], (3, 224, 224))
    assert str(failed.value.outcome) == "failed at image_processor"
    return f"{failed.value.outcome.error}: {failed.value.outcome.message}"


def test_release_without_processors_fails_at_a_named_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure(monkeypatch).endswith("has no ViTImageProcessor")


def test_processor_that_raises_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = failure(monkeypatch, ViTImageProcessor=ViTImageProcessor, ViTImageProcessorFast=Broken)
    assert text.startswith("RuntimeError: the fast one, Broken of transformers ")
    assert text.endswith("operator torchvision::nms does not exist")


@pytest.mark.parametrize("processor", [ByAddress, OfAnimations])
def test_file_that_processor_does_not_read_as_a_picture_is_read_for_it(
    processor: type[Processor], monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, ViTImageProcessor=processor)
    found = processed(PATHS[:2], (3, 224, 192))
    assert found.values["classes"] == {"slow": processor.__name__}
    assert found.values["unread"] == {"slow": [path.name for path in PATHS[:2]]}
    assert [file["decoded"] for file in found.values["files"]["slow"]] == [
        picture_file(path).decoded for path in PATHS[:2]
    ]
    assert found.arrays["slow"].shape == (2, 3, 224, 192)


def judged(paths: list[Path], size: int) -> list[Finding]:
    made = processed(paths, (3, size, size))
    own = np.concatenate([preprocess(path, size, way="transformers").numpy() for path in paths])
    findings = processor_steps(own, made.arrays, made.values)
    return [read_tolerances().bounded("image_processor", each, None, "", "") for each in findings]


@installed
@pytest.mark.parametrize("size", [224, 384, 32])
def test_installed_processors_make_what_the_suite_makes(size: int) -> None:
    found = judged(PATHS, size)
    assert {finding.against for finding in found} == {"slow", "fast"}
    assert [finding.line() for finding in found if not finding.ok] == []


@installed
def test_photograph_on_its_side_is_turned_by_slow_processor(tmp_path: Path) -> None:
    """The fast one of transformers 5.6 to 5.20 does not: it reads files by torchvision, without their orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: a quarter turn
    Image.open(PATHS[0]).convert("RGB").save(tmp_path / "turned.jpg", exif=exif)
    found = judged([tmp_path / "turned.jpg"], 224)
    assert [finding.line() for finding in found if not finding.ok and finding.against == "slow"] == []
