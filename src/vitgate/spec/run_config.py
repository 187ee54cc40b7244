"""What one run is asked to do: the options, checked once, as a value that the controller hands to its workers.

Which part of a split run checks what is decided by a test's id alone, so that no machine asks another. All tests of one
case and engine go together, since they share what was built and measured; so do the claims about no cell, whose
observations are the same calls. Narrowing a run changes no test's shard.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from vitgate.files.errors import UsageError
from vitgate.spec.cases import Case, case_named, default_cases, OwnCase, read_cases
from vitgate.spec.cells import CellId, GroupId, RowName
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import Engine, engine_named, EVERY_ENGINE, NO_ENGINE
from vitgate.spec.options import RunRequest, WEIGHTS_WORDS
from vitgate.spec.processors import HOST, LOWEST, Processor
from vitgate.spec.variants import FORMS, VariantName

OTHERS = "others"  # the group of all claims about no cell
_OWN = "own-"  # how the ids of a user's own files begin; see `vitgate.inputs.field_files`
_MOST = 9999
# What a group costs, in seconds on two cores of 2026; only the proportions matter.
_EACH, _FULL_SIZE, _OTHERS = 5, 45, 10
_SUCCESSORS = 4  # times as much as an engine: eight files, two of them compiled
_DEIT_BASE = 86_567_656 * 224**2  # parameters × pixels of the model that takes `_FULL_SIZE`


@dataclass(frozen=True, kw_only=True)
class RunConfig(RunRequest):
    """What the user asked, checked, and what it comes to: the cases and engines, in a folder that all workers share.

    The claims are such as there are, the shard is written in one way, paths are absolute, and a run that is held to a
    processor measures no time.
    """

    cases: tuple[str, ...]
    engines: tuple[Engine, ...]
    session: str
    processor: Processor = HOST
    ships_to: Processor = LOWEST

    @property
    def explicit_engines(self) -> bool:
        """Whether the user named the engines, so that a missing one is an error."""
        return bool(self.engine)

    @property
    def artifacts(self) -> str:
        """The folder of the cache of built files, inside the session's unless it is kept."""
        return self.artifact_cache or str(Path(self.session) / "artifacts")

    def selects(self, cell: CellId) -> bool:
        """Whether the cell is part of this run."""
        return cell.case in self.cases and cell.engine in self.engines and self.has_variant(cell.variant)

    def has_variant(self, variant: VariantName) -> bool:
        """Whether the variant is part of this run, as far as options decide it."""
        return variant not in self.left_out()

    def offers(self, cell: CellId) -> bool:
        """Whether the cell is worth collecting: `--engine` deselects, while successors are there where asked for."""
        asked = cell.engine != NO_ENGINE or NO_ENGINE in self.engines
        return cell.case in self.cases and asked and self.has_variant(cell.variant)

    def checks(self, claim: str, subject: str) -> bool:
        """Whether the claim about that subject is part of this run, as far as `claims` and `shard` decide it."""
        name = str(RowName(claim, subject))
        if claim in self.left_out():
            return False
        return (not self.claim or claim in self.claim or name in self.claim) and self.in_shard(name)

    def left_out(self) -> frozenset[str]:
        """Return the ids of the claims and variants that the options leave out."""
        claims = (
            claim.id
            for claim in read_claims().values()
            if (claim.option and not self._has(claim.option))
            or (claim.unless and self._has(claim.unless))
            or (not claim.is_about_cells and claim.engines and not {*claim.engines} & {*self.engines})
        )
        return frozenset(
            (*claims, *(form.name for form in FORMS.values() if form.option and not self._has(form.option)))
        )

    def _has(self, option: str) -> bool:
        return bool(getattr(self, option.removeprefix("--").replace("-", "_")))

    def in_shard(self, name: str) -> bool:
        """Whether this part of the run checks the test of that id, or the row of that name."""
        return self._shard is None or self._shard.has(name)

    def has_group(self, group: str) -> bool:
        """Whether this part of the run checks that group of tests: `case-engine` or OTHERS."""
        return self._shard is None or self._shard.has_group(group)

    @property
    def _shard(self) -> Shard | None:
        return parse_shard(self.shard) if self.shard else None

    def own_cases(self) -> tuple[str, ...]:
        """Return the cases about whose cells this run checks anything: those whose inputs it needs."""
        about_cells = not self.claim or any(_is_about_cells(name) for name in self.claim)
        engines = {case: [self.has_group(str(GroupId(case, engine))) for engine in self.engines] for case in self.cases}
        return tuple(case for case, found in engines.items() if about_cells and any(found))

    def cases_of_files(self) -> list[Case]:
        """Return the cases that take pictures of files, so that they go through the folder of `images`."""
        return [case for case in map(case_named, self.cases) if case.reads_files is not None]

    def request_for(self, case: str) -> str:
        """Return the weights asked for this case.

        Cases with committed, trained weights use those, and a user's own case its own, unless a file was named and they
        are the only case.
        """
        row = read_cases()[case]
        if self.weights not in WEIGHTS_WORDS and self.cases == (case,):
            return self.weights
        return "own" if isinstance(row, OwnCase) else "trained" if row.trained is not None else self.weights

    def to_json(self) -> str:
        """Return it as text for the workers."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> RunConfig:
        """Rebuild what `to_json` gave."""
        return RunConfig.of(json.loads(text))


def _is_about_cells(name: str) -> bool:
    return read_claims()[RowName.parse(name).claim].is_about_cells


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1, of `of`; written `2/5`."""

    number: int
    of: int

    def __str__(self) -> str:
        """Return it as the user writes it."""
        return f"{self.number}/{self.of}"

    def has(self, name: str) -> bool:
        """Whether the test of that id, or the row of that name, belongs to this part."""
        return self.has_group(group_of(name))

    def has_group(self, group: str) -> bool:
        """Whether all tests of that group belong to this part."""
        return shard_of(group, self.of) == self.number


def parse_shard(text: str) -> Shard:
    """Parse `K/N`; UsageError for anything else, and for a K beyond N."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,3})/0*([1-9][0-9]{0,3})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise UsageError(
            f"invalid shard {text!r}", where="--shard", do=f"expected K/N, from 1/N to N/N, N at most {_MOST}"
        )
    return Shard(int(found[1]), int(found[2]))


def group_of(name: str) -> str:
    """Return the group of a test's id or a row's name: `case-engine`, a file of the user's, or all the others."""
    subject = RowName.of_test(name).subject
    return subject if subject.startswith(_OWN) else str(case_and_engine(name) or OTHERS)


def case_and_engine(name: str) -> GroupId | None:
    """Return the case and engine that a test or a row is about; a file's id names its maker before them."""
    parts = RowName.of_test(name).subject.split("-")
    pairs = (GroupId(case, engine_named(engine)) for case, engine in pairwise(parts) if engine in EVERY_ENGINE)
    return next((group for group in pairs if group.case in read_cases()), None)


def groups() -> dict[str, int]:
    """Return all groups that are known beforehand, and what each costs."""
    return dict(_groups())


def _groups() -> Iterator[tuple[str, int]]:
    for row in read_cases().values():
        size = (row.parameters or 0) * row.input[-1] * row.input[-2]
        for engine in EVERY_ENGINE:
            cost = _EACH + round(_FULL_SIZE * size / _DEIT_BASE)
            yield str(GroupId(row.id, engine)), cost * (_SUCCESSORS if engine == NO_ENGINE else 1)
    yield OTHERS, _OTHERS


def _by_default(group: str) -> bool:
    if group == OTHERS:
        return True
    found = GroupId.parse(group)
    return found.case in default_cases() and found.engine != NO_ENGINE


def shard_of(group: str, of: int) -> int:
    """Return the number of the part that a group belongs to; files of the user's are spread by their names."""
    return _assigned(of).get(group) or zlib.crc32(group.encode()) % of + 1


@cache
def _assigned(of: int) -> dict[str, int]:
    """Give the dearest group first, each to the part that has least to do so far; those of a default run before all."""
    load = dict.fromkeys(range(1, of + 1), 0)
    found = {}
    for group, cost in sorted(groups().items(), key=lambda each: (not _by_default(each[0]), -each[1])):
        found[group] = lightest = min(load, key=lambda number: (load[number], number))
        load[lightest] += cost
    return found
