"""What one run is asked to do: the options, checked once, as a value that the controller hands to its workers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from vitgate.spec.cases import Case, case_named, OwnCase, read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import Engine, NO_ENGINE
from vitgate.spec.options import WEIGHTS_WORDS
from vitgate.spec.rows import RowName
from vitgate.spec.shards import parse_shard, Shard


@dataclass(frozen=True)
class RunConfig:
    """The run's options. `explicit_engines`: the user named the engines, so that a missing one is an error.

    `session` is the folder that all workers share; `artifacts` the cache of built files, inside it unless kept.
    `field` names folders of files that were made elsewhere. `claims` are ids and rows' names to which the run is
    narrowed; `shard` is the part of the run that this one checks, `2/5`. `images` is a folder of labelled pictures, and
    `images_accuracy` what the user says of the accuracy over them.
    """

    cases: tuple[str, ...]
    engines: tuple[Engine, ...]
    explicit_engines: bool
    weights: str
    assets: str | None
    session: str
    artifacts: str
    field: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    shard: str = ""
    images: str = ""
    images_accuracy: float | None = None

    def selects(self, cell: CellId) -> bool:
        """Whether the cell is part of this run."""
        return cell.case in self.cases and cell.engine in self.engines

    def offers(self, cell: CellId) -> bool:
        """Whether the cell is worth collecting: `--engine` deselects, while successors are there where asked for."""
        return cell.case in self.cases and (cell.engine != NO_ENGINE or NO_ENGINE in self.engines)

    def checks(self, claim: str, subject: str) -> bool:
        """Whether the claim about that subject is part of this run, as far as `claims` and `shard` decide it."""
        name = str(RowName(claim, subject))
        return (not self.claims or claim in self.claims or name in self.claims) and self.in_shard(name)

    def in_shard(self, name: str) -> bool:
        """Whether this part of the run checks the test of that id, or the row of that name."""
        return not self.shard or self._shard.has(name)

    def has_group(self, group: str) -> bool:
        """Whether this part of the run checks that group of tests, `case-engine` or `vitgate.spec.shards.OTHERS`."""
        return not self.shard or self._shard.has_group(group)

    @property
    def _shard(self) -> Shard:
        return parse_shard(self.shard)

    def own_cases(self) -> tuple[str, ...]:
        """Return the cases about whose cells this run checks anything: those whose inputs it needs."""
        about_cells = not self.claims or any(_is_about_cells(name) for name in self.claims)
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
        data: dict[str, Any] = json.loads(text)
        return RunConfig(**{**data, **{name: tuple(data[name]) for name in ("cases", "engines", "field", "claims")}})


def _is_about_cells(name: str) -> bool:
    return read_claims()[RowName.parse(name).claim].per in ("cell", "engine", "file")
