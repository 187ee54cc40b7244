"""The claims of `fixtures/claims.toml`, the cells that they are made about, and the calls of `fixtures/api.toml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vitgate.files.schemas import fixtures_folder, known, read_model, Strict, unique
from vitgate.spec.cases import Case, OwnCase, read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.engines import Engine, ENGINES, NO_ENGINE
from vitgate.spec.options import RUN_OPTIONS
from vitgate.spec.variants import SUCCESSORS, VariantName, variants_of

IMAGES = "images"
"""The claim about a folder of the user's pictures."""

How = Literal["call", "bind", "read", "set"]


class Sentence(Strict):
    """Something that the tutorial promises, in our words, with the section that says it."""

    id: str
    section: str
    says: str


class Claim(Strict):
    """One checkable statement. `sentences` are the tutorial's; `link` is the user's problem where there is none.

    `needs` is what a case must say so that the claim is made about it; see `vitgate.spec.cases.Case`.
    `cases`, `engines` and `variants` say about which cells it is made; leaving one out means all. One of `successors`
    is made about them too, under the engine `none`: about those among `variants`, or all. `per` is what one test of it
    is about: a cell, a case under one engine, a case, one of the tutorial's calls, a file from the field, a session. Of
    calls and sessions, a claim that names `engines` is made where one of these is checked.
    `tools` is what has to be installed beside PyTorch to check it; where that lacks, its rows are `unsupported`.
    `scope` is which of its tests run together on one worker: those of a `cell`'s case and engine, with the float and
    compiled variants apart; all of a case and `engine`; all that reads the `weights` and graphs of a case's files; none
    of the `programs` that run a file without Python; all files of a case that run on other `processors`; all `files` of
    an engine.
    `judged_as` are the claims whose tolerances are this one's too.
    `runs` is when: `first` of all, or `alone`, last in its scope and while no other test runs.
    `is_aside`: it is about no step of the pipeline, so that a failure at a stage that is declared of it stops none.
    `option` is the option of a run that it takes, `unless` the one that leaves it out.
    A claim's test is the function `test_<id>`, so that its scope is known from a test's id.
    """

    id: str
    says: str
    sentences: tuple[str, ...] = ()
    link: str = ""
    per: str = "cell"
    tools: str = ""
    needs: Literal[
        "",
        "anchor",
        "parameters",
        "arithmetic",
        "heldout",
        "tables",
        "reads_files",
        "inputs",
        "batch",
        "image_processor",
    ] = ""
    cases: tuple[str, ...] | None = None
    engines: tuple[Engine, ...] | None = None
    variants: tuple[VariantName, ...] | None = None
    successors: bool = False
    judged_as: tuple[str, ...] = ()
    scope: Literal["cell", "engine", "weights", "programs", "processors", "files"] = "cell"
    runs: Literal["", "first", "alone"] = ""
    is_aside: bool = False
    option: str = ""
    unless: str = ""

    @property
    def is_about_cells(self) -> bool:
        """Whether it is about a case in some form, and not about the session or one of the tutorial's calls."""
        return self.per in ("cell", "engine", "case", "file")

    def cells(self) -> list[CellId]:
        """Return the cells that the claim is made about, in the tables' order."""
        return [
            CellId(case, engine, variant)
            for case in self.cases or tuple(read_cases())
            if not self.needs or self._is_met(read_cases()[case])
            for engine, variants in self._forms()
            for variant in variants
        ]

    def _is_met(self, case: Case) -> bool:
        """Whether the case says what the claim needs; what a user's model computes is found out."""
        return getattr(case, self.needs, None) is not None or (self.needs == "arithmetic" and isinstance(case, OwnCase))

    def _forms(self) -> Iterator[tuple[Engine, tuple[VariantName, ...]]]:
        named = self.variants or ()
        for engine in self.engines or ENGINES:
            own = variants_of(engine)
            yield engine, tuple(name for name in named if name in own) if named else own
        if self.successors:
            yield NO_ENGINE, tuple(name for name in named if name in SUCCESSORS) or variants_of(NO_ENGINE)

    def case_ids(self) -> list[str]:
        """Return the cases that the claim is made about."""
        return list(dict.fromkeys(cell.case for cell in self.cells()))

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
        known({row.option, row.unless} - {""}, [option.flag for option in RUN_OPTIONS], "option", where=path)
    return {row.id: row for row in rows.claim}


def claims_of_time() -> frozenset[str]:
    """Return the ids of the claims that measure time, which one machine cannot tell of another."""
    return frozenset(claim.id for claim in read_claims().values() if claim.unless == "--no-latency")


def unchecked(claims: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each set of tools without which these claims were not checked."""
    lacking: dict[str, list[str]] = {}
    for claim in dict.fromkeys(claims):
        if claim in read_claims() and read_claims()[claim].tools:
            lacking.setdefault(read_claims()[claim].tools, []).append(claim)
    yield from (f"Not checked: {', '.join(names)}, which takes {tools}." for tools, names in lacking.items())


def read_sentences(path: Path | None = None) -> dict[str, Sentence]:
    """Return the tutorial's sentences by id."""
    path = path or fixtures_folder() / "claims.toml"
    return {row.id: row for row in read_model(ClaimFile, path).sentence}


class CallRow(Strict):
    """One call of the tutorial; see the head of `fixtures/api.toml`."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    callable: str
    how: How
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    lines: str
    sentence: str


class CallFile(Strict):
    """The whole of `api.toml`."""

    call: list[CallRow]


@cache
def read_calls(path: Path | None = None) -> dict[str, CallRow]:
    """Return the calls by id, in the file's order."""
    path = path or fixtures_folder() / "api.toml"
    rows = read_model(CallFile, path).call
    unique([row.id for row in rows], where=path)
    return {row.id: row for row in rows}
