"""The claims and the cells that they are made about."""

import pytest

from vitgate.cases import Cell, read_cases
from vitgate.engines import ENGINES
from vitgate.judge.claims import Claim, read_claims, read_sentences
from vitgate.variants import VARIANTS

SENTENCE = '[[sentence]]\nid = "s"\nsection = "All"\nsays = "It works."\n'


def claim_text(**fields: str) -> str:
    values = {"id": '"a"', "says": '"It holds."', **fields}
    return "[[claim]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def test_a_claim_without_selectors_is_about_every_cell_in_the_tables_order():
    cells = Claim(id="a", says="b").cells()

    assert len(cells) == len(set(cells)) == len(read_cases()) * len(ENGINES) * len(VARIANTS)
    assert cells[0] == Cell(next(iter(read_cases())), ENGINES[0], "original")


def test_selectors_narrow_a_claim():
    claim = Claim(id="a", says="b", cases=("digits",), engines=("onednn",), variants=("lite", "optimized"))

    assert [str(cell) for cell in claim.cells()] == ["digits-onednn-lite", "digits-onednn-optimized"]


def test_groups_are_the_pairs_of_case_and_engine():
    claim = Claim(id="a", says="b", cases=("digits",), engines=("onednn", "x86"))

    assert claim.groups() == [("digits", "onednn"), ("digits", "x86")]


def test_claims_and_sentences_are_read_by_id(data_file):
    path = data_file("claims.toml", SENTENCE + claim_text(sentences='["s"]'))

    assert list(read_claims(path)) == ["a"]
    assert list(read_sentences(path)) == ["s"]


@pytest.mark.parametrize(
    "text, words",
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
def test_a_mistake_in_the_file_is_one_line_with_file_and_key(text, words, data_file, refuses):
    path = data_file("claims.toml", text)

    refuses(lambda: read_claims(path), path, words)


def test_the_committed_claims_can_be_read():
    assert {"build", "label", "table"} <= read_claims().keys()
