"""What one run is asked to do: the options, checked once, as a value that the controller hands to its workers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitgate.cases import case_named, Cell, read_cases
from vitgate.engines import Engine, engine_named, ENGINES
from vitgate.errors import UsageError

WEIGHTS_WORDS = ("auto", "pretrained", "standin")


@dataclass(frozen=True)
class Plan:
    """The run's options. `explicit_engines`: the user named the engines, so that a missing one is an error.

    `session` is the folder that all workers share; `artifacts` the cache of built files, inside it unless kept.
    `field` names folders of files that were made elsewhere.
    """

    cases: tuple[str, ...]
    engines: tuple[Engine, ...]
    explicit_engines: bool
    weights: str
    assets: str | None
    session: str
    artifacts: str
    field: tuple[str, ...] = ()

    def selects(self, cell: Cell) -> bool:
        """Whether the cell is part of this run."""
        return cell.case in self.cases and cell.engine in self.engines

    def request_for(self, case: str) -> str:
        """Return the weights asked for this case.

        Cases with committed, trained weights use those, unless a file was named and they are the only case.
        """
        trained = read_cases()[case].trained is not None
        is_file = self.weights not in WEIGHTS_WORDS
        return "trained" if trained and not (is_file and self.cases == (case,)) else self.weights

    def to_json(self) -> str:
        """Return it as text for the workers."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """Rebuild what `to_json` gave."""
        data: dict[str, Any] = json.loads(text)
        return Plan(**{**data, **{name: tuple(data[name]) for name in ("cases", "engines", "field")}})


def make_plan(
    *,
    cases: list[str],
    engines: list[str],
    weights: str,
    assets: str | None,
    session: Path,
    artifact_cache: str | None,
    field: Iterable[str] = (),
) -> Plan:
    """Check the options; UsageError for the first that cannot be."""
    if assets is not None and not Path(assets).is_dir():
        do = "name an existing folder with --assets or VITGATE_ASSETS"
        raise UsageError("no such asset directory", where=assets, do=do)
    if weights not in WEIGHTS_WORDS and not Path(weights).is_file():
        words = ", ".join(WEIGHTS_WORDS)
        raise UsageError(f"--weights {weights!r} is neither one of {words} nor a file", do="name one of them")
    artifacts = Path(artifact_cache).absolute() if artifact_cache else session / "artifacts"
    return Plan(
        cases=tuple(case_named(name).id for name in dict.fromkeys(cases)) or tuple(read_cases()),
        engines=tuple(engine_named(name) for name in dict.fromkeys(engines)) or ENGINES,
        explicit_engines=bool(engines),
        weights=weights if weights in WEIGHTS_WORDS else str(Path(weights).absolute()),
        assets=str(Path(assets).absolute()) if assets else None,
        session=str(session),
        artifacts=str(artifacts),
        field=tuple(str(Path(folder).absolute()) for folder in dict.fromkeys(field)),
    )
