"""Cases and cells: exact names, who is built from whom, and evidence that engines share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.spec import cases
from vitgate.spec.cases import (
    Case,
    case_named,
    default_cases,
    missing_library,
    missing_processor,
    OwnCase,
    read_cases,
)
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named, ENGINES, EVERY_ENGINE
from vitgate.spec.variants import VARIANTS

from ..conftest import Refuses

LITE = CellId("deit_base", "qnnpack", "lite")


def case_text(**fields: str) -> str:
    values = {
        "id": '"a"',
        "title": '"A"',
        "model": '"m"',
        "input": "[3, 8, 8]",
        "files": '"a"',
        "arithmetic": "{ attention = 1 }",
        "anchor": '"a.npz"',
        "preprocessing": '"digits"',
        **fields,
    }
    return "[[case]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


HF = {"library": '"transformers"', "model": '"ViTForImageClassification"'}


def test_traced_case_has_trace_stage_instead_of_script() -> None:
    stages = {name: CellId("vit_base_hf", "qnnpack", name).stages for name in VARIANTS}

    assert stages["scripted"] == ("trace", "save")
    assert stages["scripted_quantized"] == ("quantize_dynamic", "trace", "save")
    assert CellId("digits", "qnnpack", "scripted").stages == ("script", "save")
    assert [name for name, row in VARIANTS.items() if "trace" in row.stages] == []
    assert CellId("nobodys", "qnnpack", "scripted").stages == ("script", "save")


def test_a_library_that_is_missing_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    case = read_cases()["vit_base_hf"]
    monkeypatch.setattr(cases, "find_spec", lambda name: None)

    assert (missing_library(case), missing_library(case_named("digits"))) == ("transformers", "")
    assert (missing_processor(case), missing_processor(case_named("digits"))) == ("transformers", "")


@pytest.mark.parametrize(
    ("keys", "library"),
    [
        ({}, None),
        ({"preprocessing": "transformers"}, "transformers"),
        ({"preprocessing": "transformers", "transform": "a:b"}, None),
    ],
    ids=["tutorial", "transformers", "own function"],
)
def test_users_case_that_goes_the_way_of_transformers_is_held_against_it(
    keys: dict[str, str], library: str | None
) -> None:
    row = {"id": "mine", "title": "mine", "build": "mine:build", "input": [3, 32, 32], "files": "mine", **keys}
    case = OwnCase.model_validate({**row, "picture": [{"file": "a.png", "label": 0}]})

    assert case.image_processor == library


def test_cell_id_is_case_engine_and_variant() -> None:
    assert str(LITE) == "deit_base-qnnpack-lite"


def test_the_lineage_starts_at_the_original_and_ends_at_the_cell() -> None:
    assert [cell.variant for cell in LITE.lineage()] == ["original", "scripted_quantized", "optimized", "lite"]
    assert LITE.parent == LITE.at("optimized")
    assert LITE.at("original").parent is None


def test_engines_share_the_evidence_of_float_variants_only() -> None:
    cells = [CellId(case, engine, variant) for case in ("a", "b") for engine in ENGINES for variant in VARIANTS]

    names = {cell.evidence_name for cell in cells}

    floats = sum(not variant.quantized for variant in VARIANTS.values())
    assert len(names) == 2 * (floats + (len(VARIANTS) - floats) * len(ENGINES))
    assert LITE.at("scripted").evidence_name == CellId("deit_base", "x86", "scripted").evidence_name


def test_a_case_is_found_by_its_exact_name() -> None:
    assert case_named("digits").id == "digits"


@pytest.mark.parametrize("name", ["digit", "Digits", "digits ", "", "*"])
def test_unknown_case_is_refused_with_known_ones(name: str, refuses: Refuses) -> None:
    refuses(lambda: case_named(name), repr(name), "--case", ", ".join(read_cases()))


@pytest.mark.parametrize("name", ["qnn", "QNNPACK", "None", ""])
def test_unknown_engine_is_refused_with_known_ones(name: str, refuses: Refuses) -> None:
    refuses(lambda: engine_named(name), repr(name), "--engine", ", ".join(EVERY_ENGINE))


def test_cases_are_read_in_the_order_of_the_file(data_file: Callable[[str, str], Path]) -> None:
    path = data_file("cases.toml", case_text(id='"z"') + case_text(id='"b"'))

    assert list(read_cases(path)) == ["z", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (case_text(standing='"x"'), "case.0.standing"),
        (case_text(id='"a-b"'), "case.0.id"),
        (case_text(input="[3, 8]"), "case.0.input"),
        (case_text(preprocessing='"other"'), "case.0.preprocessing"),
        (case_text(checkpoint='{ url = "u", sha = "s" }'), "case.0.checkpoint"),
        (case_text(library='"hub"'), "case.0.library"),
        (case_text(library='"transformers"'), "builds ViTForImageClassification alone"),
        (case_text(**HF, arguments='{ attn_implementation = "somebody/kernels" }'), "names can lead to code"),
        (case_text(conversion='"compile"'), "case.0.conversion"),
        (case_text(reference='{ file = "../a.png", label = 1 }'), "case.0.reference.file"),
        (case_text() + case_text(), "'a'"),
    ],
    ids=[
        "unknown-key",
        "dash-in-id",
        "short-input",
        "unknown-preprocessing",
        "unknown-key-within",
        "unknown-library",
        "another-model-of-the-library",
        "a-name-among-its-numbers",
        "unknown-conversion",
        "reference-outside",
        "duplicate",
    ],
)
def test_invalid_file_gives_one_line_with_file_and_key(
    text: str, words: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("cases.toml", text)

    refuses(lambda: read_cases(path), path, words)


@pytest.mark.parametrize("case", read_cases(fixtures_folder() / "cases.toml").values(), ids=lambda case: case.id)
def test_committed_cases_have_every_field_but_own_pictures(case: Case) -> None:
    assert [name for name in ("anchor", "arithmetic", "parameters", "tables") if getattr(case, name) is None] == []
    files = (case.anchor, case.standin or case.trained)
    assert all(name and (case.folder / name).is_file() for name in files)


def test_the_default_cases_are_the_tutorials_model_and_the_small_one() -> None:
    assert default_cases() == ("deit_base", "digits")
