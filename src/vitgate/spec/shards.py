"""Which part of a run that is split up checks what: decided by a test's id alone, so that no machine asks another.

All tests of one case and engine go together, since they share what was built and measured; so do the claims about no
cell, whose observations are the same calls. Narrowing a run changes no test's shard.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from vitgate.files.errors import UsageError
from vitgate.spec.cases import default_cases, read_cases
from vitgate.spec.cells import GroupId
from vitgate.spec.engines import engine_named, EVERY_ENGINE, NO_ENGINE
from vitgate.spec.rows import RowName

OTHERS = "others"  # the group of all claims about no cell
_OWN = "own-"  # how the ids of a user's own files begin; see `vitgate.inputs.field_files`
_MOST = 9999
# What a group costs, in seconds on two cores of 2026; only the proportions matter.
_EACH, _FULL_SIZE, _OTHERS = 5, 45, 10
_SUCCESSORS = 4  # times as much as an engine: eight files, two of them compiled
_DEIT_BASE = 86_567_656 * 224**2  # parameters × pixels of the model that takes `_FULL_SIZE`


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
    """Understand `K/N`; UsageError for anything else, and for a K beyond N."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,3})/0*([1-9][0-9]{0,3})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise UsageError(f"{text!r} is no shard", where="--shard", do=f"give K/N, from 1/N to N/N, N at most {_MOST}")
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
