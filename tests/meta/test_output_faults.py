"""Faults in what a model returns that is no single tensor of logits: an embedding, several decisions, a dictionary."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitgate.observe.runtimes import Loaded
from vitgate.spec.options import OWN
from vitgate.spec.variants import VariantName

from .baseline import Baseline, clean_run, Rows
from .processes import ROOT
from .scene import red, Scene

pytestmark = pytest.mark.long

GALLERY = ROOT / "examples" / "gallery"
NUMBERS = ("label", "logits_original", "logits_parent")
STOPPED = (*NUMBERS, "repeatable", "native", "processors", "memory")
VARIANT: VariantName = "lite_frozen"


@pytest.fixture(scope="module", params=["embedding", "multilabel", "dictionary"])
def clean(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """Return the clean run of that model of the gallery under fbgemm."""
    folder = tmp_path_factory.mktemp(f"clean-{request.param}")
    shutil.copytree(GALLERY, folder / "gallery")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN, str(folder / "gallery" / "vitgate.toml"))
        yield clean_run("fbgemm", folder, request.param)


@pytest.fixture
def scene(clean: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return where a fault is injected."""
    return Scene(clean, tmp_path, monkeypatch)


def zeroed(x: torch.Tensor) -> torch.Tensor:
    """Give an embedding whose sixth coordinate is zero."""
    return x.index_fill(1, torch.tensor([5]), 0.0)


def flipped(x: torch.Tensor) -> torch.Tensor:
    """Give decisions of which the last is the other one."""
    return torch.cat([x[:, :-1], -x[:, -1:]], dim=1)


def on_logits(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Loaded], Any]:
    """Change the tensor that is judged."""
    return lambda run: lambda x: change(run(x))


def on_returned(change: Callable[[dict[str, Any]], Any]) -> Callable[[Loaded], Any]:
    """Change what the variant returns, before the tensor is taken from it."""
    return lambda run: replace(run, module=lambda x: change(run.module(x)))


def red_ones(rows: Rows) -> set[str]:
    """Return the names of the red claims; `Scene.rows` has `images` of every case, also of one that has no labels."""
    return {name for name in red(rows) if rows[name].claim != "images"}


def test_clean_run_is_green(clean: Baseline) -> None:
    assert {name: clean.rows[name].message for name in red_ones(clean.rows)} == {}


@pytest.mark.parametrize(
    ("clean", "wrap", "claims", "says"),
    [
        ("embedding", on_logits(zeroed), NUMBERS, "cosine_change"),
        ("multilabel", on_logits(flipped), NUMBERS, "circle_1: label 3 -"),
        (
            "dictionary",
            on_returned(lambda found: {**found, "logits": found["first"], "first": found["logits"]}),
            NUMBERS,
            "logits of shape (3, 48), original (3, 3)",
        ),
        (
            "dictionary",
            on_returned(lambda found: {"tokens": found["tokens"], "scores": found["logits"]}),
            STOPPED,
            "the model returned a dict of tokens [1, 17, 48], scores [1, 3], which has no dict:logits",
        ),
    ],
    ids=["coordinate-zeroed", "decision-flipped", "values-exchanged", "key-renamed"],
    indirect=["clean"],
)
def test_fault_turns_its_claims_red_and_nothing_else(
    scene: Scene, wrap: Callable[[Loaded], Any], claims: tuple[str, ...], says: str
) -> None:
    scene.running(VARIANT, wrap)
    rows = scene.rows()

    assert red_ones(rows) == {f"{claim}[{scene.cell(VARIANT)}]" for claim in claims}
    assert any(says in rows[name].message for name in red_ones(rows))


@pytest.mark.parametrize("clean", ["dictionary"], indirect=True)
def test_order_of_keys_alone_changes_nothing(scene: Scene) -> None:
    scene.running(VARIANT, on_returned(lambda found: dict(reversed(found.items()))))

    assert red_ones(scene.rows()) == set()
