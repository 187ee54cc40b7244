"""What one run is asked to do: the options, checked once, as a value that the controller hands to its workers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitgate.files.errors import UsageError
from vitgate.judge.claims import claims_named, IMAGES, read_claims
from vitgate.spec.cases import Case, case_named, cases_named, default_cases, OwnCase, read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.engines import Engine, engine_named, ENGINES, NO_ENGINE
from vitgate.spec.rows import RowName
from vitgate.spec.shards import case_and_engine, parse_shard, Shard

WEIGHTS_WORDS = ("auto", "pretrained", "hub", "standin")


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


def make_run_config(
    *,
    cases: list[str],
    engines: list[str],
    weights: str,
    assets: str | None,
    session: Path,
    artifact_cache: str | None,
    field: Iterable[str] = (),
    claims: Sequence[str] = (),
    shard: str | None = None,
    successors: bool = False,
    images: str | None = None,
    images_accuracy: float | None = None,
) -> RunConfig:
    """Check the options; UsageError for the first that cannot be.

    Claims that are rows about cells narrow the run to their cases and engines, where the user names none. `successors`
    adds the engine `none`, under which they stand.
    """
    if assets is not None and not Path(assets).is_dir():
        do = "name an existing folder with --assets or VITGATE_ASSETS"
        raise UsageError("no such asset directory", where=assets, do=do)
    if weights not in WEIGHTS_WORDS and not Path(weights).is_file():
        words = ", ".join(WEIGHTS_WORDS)
        raise UsageError(f"--weights {weights!r} is neither one of {words} nor a file", do="name one of them")
    folders = tuple(str(Path(folder).absolute()) for folder in dict.fromkeys(field))
    names = claims_named(claims, folders)
    _check_left(names, cases, engines)
    alone = _alone(names)
    artifacts = Path(artifact_cache).absolute() if artifact_cache else session / "artifacts"
    plan = RunConfig(
        cases=cases_named(cases or alone[0]) or default_cases(),
        engines=_engines(engines or alone[1], successors=successors),
        explicit_engines=bool(engines),
        weights=weights if weights in WEIGHTS_WORDS else str(Path(weights).absolute()),
        assets=str(Path(assets).absolute()) if assets else None,
        session=str(session),
        artifacts=str(artifacts),
        field=folders,
        claims=names,
        shard=str(parse_shard(shard)) if shard is not None else "",
        images=str(Path(images).absolute()) if images else "",
        images_accuracy=images_accuracy,
    )
    _check_images(plan)
    return plan


def _check_images(plan: RunConfig) -> None:
    """UsageError for a folder that no case can go through, or that is none, and for what is nothing without one."""
    asked = [name for name in plan.claims if RowName.parse(name).claim == IMAGES]
    if not plan.images and asked:
        do = "name their folder with --images DIR"
        raise UsageError(f"{asked[0]} is about pictures of yours", where="--claim", do=do)
    if not plan.images and plan.images_accuracy is not None:
        raise UsageError("--images-accuracy without --images", do="name the folder of pictures with --images DIR")
    if plan.images_accuracy is not None and not 0.0 <= plan.images_accuracy <= 1.0:
        raise UsageError(f"an accuracy of {plan.images_accuracy:g}", where="--images-accuracy", do="give 0 to 1")
    if plan.images:
        if not plan.cases_of_files():
            what = f"no case of this run takes pictures of files: {', '.join(plan.cases)}"
            raise UsageError(what, where="--images", do="name one that does with --case, or leave --images out")
        from vitgate.inputs.picture_folder import read_folder  # and with it what downloads, which few runs need

        read_folder(Path(plan.images))


def _engines(names: Iterable[str], *, successors: bool) -> tuple[Engine, ...]:
    named = tuple(engine_named(name) for name in names) or ENGINES
    return tuple(dict.fromkeys((*named, NO_ENGINE) if successors else named))


def _is_about_cells(name: str) -> bool:
    return read_claims()[RowName.parse(name).claim].per in ("cell", "engine", "file")


def _check_left(names: Iterable[str], cases: list[str], engines: list[str]) -> None:
    """UsageError for a row that `--case` or `--engine` leaves out: nothing would be run."""
    for name in names:
        group = case_and_engine(name)
        if group and ((cases and group.case not in cases) or (engines and group.engine not in engines)):
            do = "name its case and engine, or none"
            raise UsageError(f"--case and --engine leave {name} out", where="--claim", do=do)


def _alone(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the cases and engines that the names are about; none where one of them is about more."""
    groups = [case_and_engine(name) for name in names]
    alone = [group for group in groups if group is not None]
    if len(alone) < len(groups):
        return [], []
    return [group.case for group in alone], [group.engine for group in alone]
