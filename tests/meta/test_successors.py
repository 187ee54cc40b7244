"""Successors are judged as the tutorial's variants are: faults in one turn its claims red. Needs nothing but torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vitgate.inputs.run_options import make_run_config
from vitgate.observe.artifacts import builder_of
from vitgate.observe.observer import LocalObserver
from vitgate.pipeline import graph, successor_stages
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.pipeline.graph import Builder
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.options import RunRequest
from vitgate.spec.outcome import ClaimFailed, Evidence
from vitgate.spec.variants import SUCCESSORS, VariantName

from .baseline import samples
from .conformance_tests import claim_tests, judge

Patch = pytest.MonkeyPatch
CLAIMS = ("build", "label", "repeatable", "logits_original", "layers", "accuracy", "size", "latency")


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[VariantName], dict[str, ClaimRow]]:
    """Return a function that builds a successor of the small model and judges it; its latency is made up."""
    plan = make_run_config(RunRequest(case=("digits",), engine=(NO_ENGINE,)), tmp_path)
    observer = LocalObserver(plan)

    def make(variant: VariantName) -> dict[str, ClaimRow]:
        cell = CellId("digits", NO_ENGINE, variant)
        observer.store.get(
            "latency", "digits-none", lambda: Evidence({"original": samples(1.0), variant: samples(1.0)})
        )
        return {
            test.claim.id: judge(test, str(cell), cell, observer)
            for test in claim_tests()
            if test.claim.id in CLAIMS and cell in test.claim.cells()
        }

    return make


def red(rows: dict[str, ClaimRow]) -> set[str]:
    return {name for name, row in rows.items() if row.status != "passed"}


def test_sound_successor_passes_every_claim(judged: Any) -> None:
    rows = judged("exported")

    assert {name: row.message for name, row in rows.items() if row.status != "passed"} == {}
    assert set(rows) == set(CLAIMS)


def test_changed_weight_in_program_is_found_by_logits(judged: Any, monkeypatch: Patch) -> None:
    real = successor_stages.export

    def other(model: Any, x: torch.Tensor) -> Any:
        changed = copy.deepcopy(model)
        with torch.no_grad():
            changed.blocks[1].mlp.fc1.bias += 0.01
        return real(changed, x)

    monkeypatch.setattr(successor_stages, "export", other)

    rows = judged("exported")
    assert red(rows) == {"logits_original", "accuracy", "layers"}
    assert "blocks.1.mlp.fc1" in rows["layers"].message


def test_unquantized_int8_file_is_found_by_too_exact_logits(judged: Any, monkeypatch: Patch) -> None:
    monkeypatch.setattr(successor_stages, "quantize_torchao", copy.deepcopy)

    assert red(judged("exported_int8")) == {"logits_original", "accuracy"}


def rounded(model: nn.Module, bits: int) -> nn.Module:
    """Return a copy whose weights have lost the last `bits` bits of bfloat16: they were rounded once more."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in changed.parameters():
            scale = 2.0 ** torch.floor(torch.log2(parameter.abs().clamp(min=1e-30))) * 2.0 ** (bits - 7)
            parameter.copy_((parameter / scale).round() * scale)
    return changed


class InBfloat16(nn.Module):
    """A Linear whose sums are kept in bfloat16, two products at a time."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=x.dtype)
        for part, weight in zip(x.split(2, -1), self.weight.split(2, -1), strict=True):
            total = total + nn.functional.linear(part, weight)
        return total + self.bias


def test_weights_rounded_twice_are_found_by_logits(judged: Any, monkeypatch: Patch) -> None:
    real = successor_stages.cast_to_bfloat16
    monkeypatch.setattr(successor_stages, "cast_to_bfloat16", lambda model: real(rounded(model, 2)))

    assert red(judged("exported_bf16")) == {"logits_original", "accuracy"}


@pytest.mark.long
def test_sums_in_bfloat16_are_found_by_logits(judged: Any, monkeypatch: Patch) -> None:
    real = successor_stages.cast_to_bfloat16

    def summed(model: nn.Module) -> nn.Module:
        changed = copy.deepcopy(model)
        for name, module in list(changed.named_modules()):
            if type(module) is nn.Linear:
                changed.get_submodule(name.rpartition(".")[0]).register_module(
                    name.rpartition(".")[2], InBfloat16(module)
                )
        return real(changed)

    monkeypatch.setattr(successor_stages, "cast_to_bfloat16", summed)

    found = red(judged("exported_bf16")) - {"size"}  # many operators in the place of one are much code

    assert found == {"logits_original", "accuracy"}


def test_float_file_in_the_place_of_bfloat16_is_found(judged: Any, monkeypatch: Patch) -> None:
    monkeypatch.setattr(successor_stages, "cast_to_bfloat16", copy.deepcopy)

    assert {"logits_original", "accuracy"} <= red(judged("exported_bf16"))


STAGES = [(name, stage) for name, form in SUCCESSORS.items() for stage in form.stages]


@pytest.mark.parametrize(("variant", "stage"), STAGES, ids=str)
def test_every_failing_stage_is_named_in_outcome(variant: VariantName, stage: str, tmp_path: Path) -> None:
    def gone(*_: Any) -> Any:
        raise RuntimeError(f"{stage} is gone")

    each: dict[Any, Any] = {name: gone if name == stage else lambda *_: None for _, name in STAGES}
    builder = Builder(
        ArtifactCache(tmp_path),
        artifact=lambda cell: Evidence({"path": "parent.onnx"}),
        model=lambda case: nn.Identity(),
        weights=lambda case: "",
        steps=each,
        savers=each,
    )

    with pytest.raises(ClaimFailed) as failed:
        builder.build(CellId("digits", NO_ENGINE, variant))

    assert (str(failed.value.outcome), failed.value.outcome.message) == (f"failed at {stage}", f"{stage} is gone")


def test_failed_export_fails_every_claim(judged: Any, monkeypatch: Patch) -> None:
    def gone(model: Any, x: torch.Tensor) -> Any:
        raise RuntimeError("torch.export is gone")

    monkeypatch.setattr(successor_stages, "export", gone)
    rows = judged("exported")

    assert (rows["build"].outcome_text, rows["build"].error) == ("failed at export", "RuntimeError")
    assert red(rows) == set(CLAIMS)


def test_successor_of_failed_file_is_blocked(judged: Any, monkeypatch: Patch) -> None:
    def gone(model: Any, x: torch.Tensor) -> Any:
        raise RuntimeError("no exporter")

    monkeypatch.setattr(successor_stages, "export_onnx", gone)

    assert judged("onnx_int8")["build"].outcome_text == "blocked by onnx"


def test_artifact_key_covers_all_inputs_of_file(monkeypatch: Patch, tmp_path: Path) -> None:
    plan = make_run_config(RunRequest(case=("digits",), engine=(NO_ENGINE,)), tmp_path)
    cell, builder = CellId("digits", NO_ENGINE, "onnx"), builder_of(LocalObserver(plan))
    keys = {builder.key(cell)}
    for name, value in (("package_versions", {"onnx": "0"}), ("cpu_model", "another")):
        with monkeypatch.context() as patch:
            patch.setattr(graph, name, lambda value=value: value)
            keys.add(builder.key(cell))

    assert len(keys) == 3
