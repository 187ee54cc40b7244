"""The claims of `fixtures/claims.toml`: which sentence each comes from, and which cells it is made about."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder, known, read_model, Strict, unique
from vitgate.inputs.field_files import committed, given, selected
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.engines import Engine, ENGINES, NO_ENGINE
from vitgate.spec.rows import RowName
from vitgate.spec.tutorial_calls import read_calls
from vitgate.spec.variants import VariantName, variants_of

IMAGES = "images"
"""The claim about a folder of the user's pictures: made where one was named."""


class Sentence(Strict):
    """Something that the tutorial promises, in our words, with the section that says it."""

    id: str
    section: str
    says: str


class Claim(Strict):
    """One checkable statement. `sentences` are the tutorial's; `link` is the user's problem where there is none.

    `needs` is what a case must say so that the claim is made about it; see `vitgate.spec.cases.Case`.
    `cases`, `engines` and `variants` say about which cells it is made; leaving one out means all. One of `successors`
    is made about each of them too, under the engine `none`. `per` is what one test of it is about: a cell, a case under
    one engine, one of the tutorial's calls, a file from the field, a session.
    `tools` is what has to be installed beside PyTorch to check it; where that lacks, its rows are `unsupported`.
    """

    id: str
    says: str
    sentences: tuple[str, ...] = ()
    link: str = ""
    per: str = "cell"
    tools: str = ""
    needs: Literal["", "anchor", "parameters", "arithmetic", "heldout", "tables", "reads_files"] = ""
    cases: tuple[str, ...] | None = None
    engines: tuple[Engine, ...] | None = None
    variants: tuple[VariantName, ...] | None = None
    successors: bool = False

    def cells(self) -> list[CellId]:
        """Return the cells that the claim is made about, in the tables' order."""
        return [
            CellId(case, engine, variant)
            for case in self.cases or tuple(read_cases())
            if not self.needs or getattr(read_cases()[case], self.needs) is not None
            for engine, variants in self._forms()
            for variant in variants
        ]

    def _forms(self) -> Iterator[tuple[Engine, tuple[VariantName, ...]]]:
        for engine in self.engines or ENGINES:
            yield engine, self.variants or variants_of(engine)
        if self.successors:
            yield NO_ENGINE, variants_of(NO_ENGINE)

    def groups(self) -> list[GroupId]:
        """Return the cases and engines that the claim is made about."""
        return list(dict.fromkeys(cell.group for cell in self.cells()))


class ClaimFile(Strict):
    """The whole of `claims.toml`."""

    sentence: list[Sentence]
    claim: list[Claim]


@cache
def read_claims(path: Path | None = None) -> dict[str, Claim]:
    """Return the claims by id; UsageError for a duplicate, an unknown case or an unknown sentence."""
    path = path or fixtures_folder() / "claims.toml"
    rows = read_model(ClaimFile, path)
    unique([row.id for row in rows.claim], where=path)
    unique([row.id for row in rows.sentence], where=path)
    for row in rows.claim:
        known(row.sentences, [sentence.id for sentence in rows.sentence], f"claim {row.id}: sentence", where=path)
        known(row.cases, read_cases(), f"claim {row.id}: case", where=path)
    return {row.id: row for row in rows.claim}


def expected_claims(
    cases: Collection[str], engines: Collection[str], field: tuple[str, ...] = (), *, images: bool = False
) -> list[str]:
    """Return the names of all claims about cells, engines and files that a whole run of these checks.

    `field` are the folders of files that the user named; `images` says whether there was one of pictures.
    """
    names = [str(RowName("field", item.row.id)) for item in selected(committed(), cases, engines)]
    names += [str(RowName("artifacts", item.row.id)) for item in selected(given(field), cases, engines)]
    for claim in read_claims().values():
        if claim.id == IMAGES and not images:
            continue
        cells = [cell for cell in claim.cells() if cell.case in cases and cell.engine in engines]
        if claim.per == "cell":
            names += [str(RowName(claim.id, str(cell))) for cell in cells]
        elif claim.per == "engine":
            names += [str(RowName(claim.id, name)) for name in dict.fromkeys(str(cell.group) for cell in cells)]
    return names


def unchecked(claims: Iterable[str]) -> str:
    """Say that these claims were not checked, and which tools that takes; empty where there is none."""
    lacking: dict[str, list[str]] = {}
    for claim in dict.fromkeys(claims):
        if claim in read_claims() and read_claims()[claim].tools:
            lacking.setdefault(read_claims()[claim].tools, []).append(claim)
    return "".join(f" Not checked: {', '.join(names)}, which takes {tools}." for tools, names in lacking.items())


def rows_of(claim: Claim, field: tuple[str, ...] = ()) -> list[str]:
    """Return the names of all rows that a claim can have, whatever a run is narrowed to."""
    if claim.per == "cell":
        subjects = [str(cell) for cell in claim.cells()]
    elif claim.per == "engine":
        subjects = [str(group) for group in claim.groups()]
    elif claim.per == "file":
        subjects = [item.row.id for item in (committed() if claim.id == "field" else given(field))]
    else:
        subjects = list(read_calls()) if claim.per == "call" else [f"test_{claim.id}"]
    return [str(RowName(claim.id, subject)) for subject in subjects]


def claims_named(names: Iterable[str], field: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the given ids and names of rows, each once; UsageError for one that does not exist names those that do."""
    claims = read_claims()
    for name in names:
        claim = claims.get(RowName.parse(name).claim)
        if claim is None or (name != claim.id and name not in rows_of(claim, field)):
            rows = rows_of(claim, field) if claim else []
            near = [*difflib.get_close_matches(name, rows), *rows, ""][0]
            do = f"choose from {', '.join(claims)}" + (f", or a row such as {near}" if near else "")
            raise UsageError(f"unknown claim {name!r}", where="--claim", do=do)
    return tuple(dict.fromkeys(names))


def read_sentences(path: Path | None = None) -> dict[str, Sentence]:
    """Return the tutorial's sentences by id."""
    path = path or fixtures_folder() / "claims.toml"
    return {row.id: row for row in read_model(ClaimFile, path).sentence}
