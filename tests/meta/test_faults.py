"""Every check has a fault that turns it, and nothing else, red: rule 10 of the judge."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.engines import Engine, NO_ENGINE
from vitgate.spec.variants import STAGES, SUCCESSORS

from .baseline import Baseline
from .conformance_tests import CONFORMANCE
from .faults import catalogue, Fault
from .scene import red, Scene, stopped

pytestmark = pytest.mark.long

CLAIMS_OF_SUCCESSORS = {claim.id for claim in read_claims().values() if claim.engines == (NO_ENGINE,)}
"""Whose faults are in test_successor_files.py."""

CLAIMS_OF_OWN_CASES = {claim.id for claim in read_claims().values() if claim.per == "case"}
"""Whose faults are found in test_own_faults.py and test_image_processor_faults.py."""

Clean = Callable[[Engine], Baseline]


@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack"])
def test_clean_run_is_green(baseline: Clean, engine: Engine) -> None:
    rows = baseline(engine).rows
    assert {name: rows[name].message for name in red(rows)} == {}
    assert {row.claim for row in rows.values()} == set(read_claims()) - CLAIMS_OF_SUCCESSORS - CLAIMS_OF_OWN_CASES


@pytest.mark.parametrize("fault", catalogue(), ids=lambda fault: fault.id)
def test_fault_is_found(fault: Fault, baseline: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_found(fault, Scene(baseline(fault.engine), tmp_path, monkeypatch))


def assert_found(fault: Fault, scene: Scene) -> None:
    """Inject the fault: what it says turns red, and nothing else does."""
    __tracebackhide__ = True
    fault.inject(scene)
    rows = scene.rows()
    wanted = wanted_of(fault, scene.clean)
    assert {name: rows[name].findings for name in wanted - red(rows)} == {}, f"{fault.what} Not found."
    others = {name: rows[name].message for name in red(rows) - wanted if rows[name].claim not in fault.may}
    assert others == {}, f"{fault.what} Something else turned red."
    said = {name: f"{rows[name].outcome_text} {rows[name].error} {rows[name].message}" for name in wanted}
    assert not said or any(fault.says in text for text in said.values()), said
    assert not said or not fault.stage or any(rows[name].outcome_text == f"failed at {fault.stage}" for name in said), (
        said
    )


def wanted_of(fault: Fault, clean: Baseline) -> set[str]:
    """Return the names of the claims that must turn red; a cell that is never built here has none."""
    claims = read_claims()
    names = {
        f"{claim}[{_subject(claims[claim], subject, clean)}]"
        for claim, subjects in fault.reds.items()
        for subject in subjects
        if clean.case in (claims[claim].cases or (clean.case,))
    }
    names &= clean.rows.keys()
    return names if fault.everywhere else names - stopped(clean.rows)


def _subject(claim: Claim, subject: str, clean: Baseline) -> str:
    if claim.per == "cell":
        return f"{clean.case}-{clean.engine}-{subject}"
    return subject.format(case=clean.case, engine=clean.engine)


def test_children_of_a_failed_build_are_blocked_by_it(
    baseline: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(baseline("fbgemm"), tmp_path, monkeypatch)
    fault = next(fault for fault in catalogue() if fault.id == "quantization_raises")
    fault.inject(scene)
    builds = {row.variant: row.outcome_text for row in scene.rows().values() if row.claim == "build"}
    blocked = "blocked by scripted_quantized"
    assert builds == {
        "scripted": "passed",
        "scripted_quantized": "failed at quantize_dynamic",
        "optimized": blocked,
        "lite": blocked,
        "lite_frozen": blocked,
    }


@pytest.mark.parametrize("claim", sorted(set(read_claims()) - CLAIMS_OF_SUCCESSORS))
def test_every_claim_has_a_fault(claim: str) -> None:
    assert [fault.id for fault in catalogue() if claim in fault.reds]


OF_SUCCESSORS = {stage for form in SUCCESSORS.values() for stage in form.stages}  # see test_successors.py


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in OF_SUCCESSORS])
def test_every_stage_has_a_fault(stage: str) -> None:
    assert [fault.id for fault in catalogue() if fault.stage == stage]


def test_faults_are_named_once_and_described() -> None:
    ids = [fault.id for fault in catalogue()]
    assert len(ids) == len(set(ids))
    assert [fault.id for fault in catalogue() if not fault.what] == []


def test_page_lists_all_faults() -> None:
    path = CONFORMANCE.parents[1] / "scripts" / "list_faults.py"
    page = runpy.run_path(str(path))["page"]()
    assert (CONFORMANCE.parents[1] / "docs" / "faults.md").read_text(encoding="utf-8") == page, f"run {path.name}"
