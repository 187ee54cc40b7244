"""The claims and the cells that they are made about."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed
from vitgate.inputs.run_options import claims_named, expected_claims, rows_of
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import Claim, read_calls, read_claims, read_sentences, unchecked
from vitgate.spec.engines import ENGINES
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import SUCCESSORS, VARIANTS

from ..conftest import Refuses

SENTENCE = '[[sentence]]\nid = "s"\nsection = "All"\nsays = "It works."\n'


def claim_text(**fields: str) -> str:
    values = {"id": '"a"', "says": '"It holds."', **fields}
    return "[[claim]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def test_a_claim_without_selectors_is_about_every_cell_in_the_tables_order() -> None:
    cells = Claim(id="a", says="b").cells()

    assert len(cells) == len(set(cells)) == len(read_cases()) * len(ENGINES) * len(VARIANTS)
    assert cells[0] == CellId(next(iter(read_cases())), ENGINES[0], "original")


def test_selectors_narrow_a_claim() -> None:
    claim = Claim(id="a", says="b", cases=("digits",), engines=("onednn",), variants=("lite", "optimized"))

    assert [str(cell) for cell in claim.cells()] == ["digits-onednn-lite", "digits-onednn-optimized"]


def test_groups_are_the_pairs_of_case_and_engine() -> None:
    claim = Claim(id="a", says="b", cases=("digits",), engines=("onednn", "x86"))

    assert claim.groups() == [GroupId("digits", "onednn"), GroupId("digits", "x86")]


def test_claims_and_sentences_are_read_by_id(data_file: Callable[[str, str], Path]) -> None:
    path = data_file("claims.toml", SENTENCE + claim_text(sentences='["s"]'))

    assert list(read_claims(path)) == ["a"]
    assert list(read_sentences(path)) == ["s"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SENTENCE + claim_text(varaints='["lite"]'), "claim.0.varaints"),
        (SENTENCE + claim_text(variants='["lit"]'), "claim.0.variants.0"),
        (SENTENCE + claim_text(engines='["qnn"]'), "claim.0.engines.0"),
        (SENTENCE + claim_text(cases='["digit"]'), "'digit'"),
        (SENTENCE + claim_text(sentences='["t"]'), "'t'"),
        (SENTENCE + claim_text() + claim_text(), "'a'"),
        (SENTENCE + SENTENCE + claim_text(), "'s'"),
        (claim_text(), "sentence"),
    ],
    ids=[
        "unknown-key",
        "unknown-variant",
        "unknown-engine",
        "unknown-case",
        "unknown-sentence",
        "two-claims",
        "two-sentences",
        "no-sentences",
    ],
)
def test_invalid_file_gives_one_line_with_file_and_key(
    text: str, words: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("claims.toml", text)

    refuses(lambda: read_claims(path), path, words)


def test_committed_claims_are_valid() -> None:
    assert {"build", "label", "table"} <= read_claims().keys()
    assert {name for claim in read_claims().values() for name in claim.sentences} <= read_sentences().keys() != set()


@pytest.fixture
def own_files(tmp_path: Path) -> Any:
    """Return a user's folder with a file of no known engine in it."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.pt").write_bytes(b"")
    return (str(folder),)


_TUTORIAL = ["-".join(form) for form in itertools.product(ENGINES, VARIANTS)]
_FROM_A_FILE = ["-".join(form) for form in itertools.product(ENGINES, ("optimized", "lite", "lite_frozen"))]
_SUCCESSORS = [f"none-{name}" for name in SUCCESSORS]


@pytest.mark.parametrize(
    ("claim", "rows"),
    [
        ("label", [f"label[{case}-{form}]" for case in read_cases() for form in (*_TUTORIAL, *_SUCCESSORS)]),
        ("logits_parent", [f"logits_parent[{case}-{form}]" for case in read_cases() for form in _FROM_A_FILE]),
        ("table", [f"table[{case}-{engine}]" for case in read_cases() for engine in ENGINES]),
        ("field", [f"field[{item.row.id}]" for item in committed()]),
        ("artifacts", ["artifacts[own-own.pt]"]),
        ("calls", [f"calls[{name}]" for name in read_calls()]),
        ("preprocessing", ["preprocessing[test_preprocessing]"]),
    ],
)
def test_claim_has_one_row_per_subject(claim: str, rows: list[str], own_files: Any) -> None:
    assert rows_of(read_claims()[claim], own_files) == rows != []


def test_run_expects_rows_of_its_case_engine_and_files(own_files: Any) -> None:
    expected = expected_claims(["digits"], ["qnnpack"], own_files)

    assert len(expected) == len(set(expected))
    assert {"label[digits-qnnpack-lite]", "table[digits-qnnpack]", "artifacts[own-own.pt]"} <= set(expected)
    about = {name.partition("[")[2].removesuffix("]") for name in expected} - {"own-own.pt"}
    assert {subject for subject in about if "digits-qnnpack" not in subject} == set()
    every = [name for claim in read_claims().values() for name in rows_of(claim, own_files)]
    of_files = {f"field[{item.row.id}]" for item in committed()}
    mine = [name for name in every if "digits-qnnpack" in name and name not in of_files]
    assert [name for name in expected if name not in of_files and "own-own.pt" not in name] == mine


def test_file_of_known_engine_is_expected_for_that_engine_alone(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "a.pt"\nengine = "x86"\n', encoding="utf-8")

    def own(case: Any, engine: Any) -> Any:
        names = expected_claims([case], [engine], (str(tmp_path),))
        return [name[-5:-1] for name in names if name.startswith("artifacts[")]

    assert own("digits", "x86") == own("deit_base", "x86") == ["a.pt", "b.pt"]
    assert own("digits", "qnnpack") == ["b.pt"]
    committed_files = {f"field[{item.row.id}]" for item in committed() if item.row.engine == "x86"}
    assert committed_files <= set(expected_claims(["digits"], ["x86"], (str(tmp_path),))) != set()


def test_picture_claims_are_expected_if_folder_is_given() -> None:
    every = expected_claims(["deit_base", "digits"], ["x86"])
    without = expected_claims(["deit_base", "digits"], ["x86"], left_out={"images"})

    assert [name for name in every if name not in without] == [f"images[deit_base-x86-{name}]" for name in VARIANTS]
    assert set(without) < set(every)


@pytest.mark.parametrize("lacking", [(["deit_base"], ["cuda"]), (["none"], ["x86"]), ([], [])])
def test_run_without_cases_or_engines_expects_no_claims(lacking: tuple[list[str], list[str]]) -> None:
    assert expected_claims(*lacking) == []


def test_ids_and_rows_can_be_named_each_once(own_files: Any) -> None:
    names = ("label", "table[digits-x86]", "label", "artifacts[own-own.pt]")

    assert claims_named(names, own_files) == ("label", "table[digits-x86]", "artifacts[own-own.pt]")
    assert claims_named(()) == ()


def test_unknown_file_is_refused_with_closest_match(own_files: Any, refuses: Refuses) -> None:
    refuses(lambda: claims_named(["artifacts[own-on.pt]"], own_files), "or a row such as artifacts[own-own.pt]")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("labels", ""),
        ("label[digits-x86-lit]", ", or a row such as label[digits-x86-lite]"),
        ("label[]", ", or a row such as label[deit_base-fbgemm-original]"),
        ("table[digits-x86-lite]", ", or a row such as table[digits-x86]"),
        ("artifacts[own-own.pt]", ""),  # no folder of files was named
        ("label[digits-x86-lite][digits-x86-lite]", ", or a row such as label[digits-x86-lite]"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        claims_named(["build", name])

    assert str(caught.value) == f"unknown claim {name!r} (--claim): choose from {', '.join(read_claims())}{near}"


def test_run_of_another_engine_expects_only_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "own.pt").write_bytes(b"")
    (tmp_path / "field.toml").write_text('[[file]]\nfile = "own.pt"\nengine = "qnnpack"\n')
    folders = (str(tmp_path),)

    mine, others = (expected_claims(["digits"], [engine], folders) for engine in ("qnnpack", "x86"))

    assert "artifacts[own-own.pt]" in mine
    assert "artifacts[own-own.pt]" not in others
    assert {name for name in mine if name.startswith("field[")} == {
        f"field[{item.row.id}]" for item in committed() if item.row.engine == "qnnpack"
    }


def test_a_file_of_another_case_is_not_expected() -> None:
    folders = (str(fixtures_folder() / "field" / "2.12.1"),)

    assert [name for name in expected_claims(["deit_base"], ENGINES, folders) if name.startswith("artifacts[")] == []
    assert [name for name in expected_claims(["digits"], ENGINES, folders) if name.startswith("artifacts[")] != []


def test_unchecked_claims_are_grouped_by_required_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [Claim(id=name, says="s", tools=tools) for name, tools in (("a", "x"), ("b", "y"), ("c", "x"))]
    monkeypatch.setattr("vitgate.spec.claims.read_claims", lambda: {claim.id: claim for claim in claims})

    assert list(unchecked(["a", "b", "c", "a", "of another vitgate"])) == [
        "Not checked: a, c, which takes x.",
        "Not checked: b, which takes y.",
    ]
    assert list(unchecked([])) == []


@pytest.mark.parametrize(
    ("engines", "are_left_out"), [(("none",), True), (("qnnpack",), False), (("none", "x86"), False)]
)
def test_claims_about_the_tutorials_calls_are_left_out_where_successors_alone_are_checked(
    plan: Callable[..., RunConfig], engines: tuple[str, ...], are_left_out: bool
) -> None:
    left_out = plan(engines=engines).left_out()

    assert [name in left_out for name in ("calls", "warnings", "native_program")] == [are_left_out] * 3
    assert "preprocessing" not in left_out
