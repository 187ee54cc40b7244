"""From the options of a run to its configuration, checked against the cases, claims and files that there are.

`expected_claims` names all rows that a run can have, those of files from elsewhere included.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from vitgate.files.errors import UsageError
from vitgate.inputs.field_files import committed, given, selected
from vitgate.spec.cases import ALL, cases_named, default_cases
from vitgate.spec.cells import RowName
from vitgate.spec.claims import Claim, read_calls, read_claims
from vitgate.spec.engines import Engine, engine_named, ENGINES, NO_ENGINE
from vitgate.spec.options import RunRequest, WEIGHTS_WORDS
from vitgate.spec.processors import check_valgrind, HOST, known_processor, processor_named, VALGRIND
from vitgate.spec.run_config import case_and_engine, parse_shard, RunConfig
from vitgate.spec.variants import FORMS


def expected_claims(
    cases: Collection[str], engines: Collection[str], field: tuple[str, ...] = (), left_out: Collection[str] = ()
) -> list[str]:
    """Return the names of all claims about cells, engines, cases and files that a whole run of these checks.

    Args:
        cases: Ids of the run's cases.
        engines: Names of its engines.
        field: The folders of files that the user named.
        left_out: Ids of the claims and variants that the run's options leave out.

    Returns:
        Names of rows, such as `build[digits-qnnpack-lite]`.

    Raises:
        UsageError: One of the folders cannot be read.
    """
    names = [str(RowName("field", item.row.id)) for item in selected(committed(), cases, engines)]
    names += [str(RowName("artifacts", item.row.id)) for item in selected(given(field), cases, engines)]
    for claim in read_claims().values():
        if claim.id in left_out:
            continue
        cells = [cell for cell in claim.cells() if cell.case in cases and cell.engine in engines]
        cells = [cell for cell in cells if cell.variant not in left_out]
        if claim.per == "cell":
            names += [str(RowName(claim.id, str(cell))) for cell in cells]
        elif claim.per == "engine":
            names += [str(RowName(claim.id, name)) for name in dict.fromkeys(str(cell.group) for cell in cells)]
        elif claim.per == "case":
            names += [str(RowName(claim.id, case)) for case in claim.case_ids() if case in cases]
    return names


def rows_of(claim: Claim, field: tuple[str, ...] = ()) -> list[str]:
    """Return the names of all rows that a claim can have, whatever a run is narrowed to."""
    if claim.per == "cell":
        subjects = [str(cell) for cell in claim.cells()]
    elif claim.per == "engine":
        subjects = [str(group) for group in claim.groups()]
    elif claim.per == "case":
        subjects = claim.case_ids()
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


def make_run_config(request: RunRequest, session: Path) -> RunConfig:
    """Check what the user asked.

    Claims that are rows about cells narrow the run to their cases and engines, where the user names none. `successors`
    and `types` add the engine `none`, under which they stand.

    Args:
        request: The options as the user gave them; `--case-file` is read already.
        session: The folder of the run.

    Raises:
        UsageError: For the first option that cannot be.
    """
    _check_paths(request)
    whole = request.absolute()
    names = claims_named(request.claim, whole.field)
    alone = _alone(names)
    checked = replace(
        whole,
        claim=names,
        shard=str(parse_shard(request.shard)) if request.shard is not None else None,
        no_latency=request.no_latency or request.processor != HOST,  # what a processor takes, no other one can say
        processor=processor_named(request.processor),
        processors=_processors(request.processors),
        ships_to=known_processor(request.ships_to, "--ships-to"),
    )
    plan = RunConfig(
        **vars(checked),
        cases=cases_named(request.case or alone[0]) or default_cases(),
        engines=_engines(request.engine or alone[1], successors=request.successors or request.types),
        session=str(session),
    )
    _check_images(plan)
    _check_claims(plan)
    return plan


def _check_claims(plan: RunConfig) -> None:
    """UsageError for a claim that the user named, or a row of it, and that the options leave out."""
    for name in plan.claim:
        row = RowName.parse(name)
        claim, variant = read_claims()[row.claim], row.subject.rpartition("-")[2]
        if {claim.id, variant} & plan.left_out():
            option = claim.option or next((form.option for name, form in FORMS.items() if name == variant), "")
            raise UsageError(f"the options leave {name} out", where="--claim", do=_way_in(claim, option))
        if claim.per in ("cell", "engine", "case") and not _has_rows(plan, name):
            engines, cases = (dict.fromkeys(getattr(cell, key) for cell in claim.cells()) for key in ("engine", "case"))
            do = f"choose from its engines ({', '.join(engines)}) and cases ({', '.join(cases)})"
            raise UsageError(f"--case and --engine leave {name} out", where="--claim", do=do)


def _has_rows(plan: RunConfig, name: str) -> bool:
    rows = expected_claims(plan.cases, plan.engines, left_out=plan.left_out())
    return any(name in (row, RowName.parse(row).claim) for row in rows)


def _way_in(claim: Claim, option: str) -> str:
    """Say what brings a claim in that was left out: an option, one less, or an engine that it is about."""
    if option:
        return f"give {option} too"
    if claim.unless:
        return f"leave {claim.unless} and --processor out"
    return f"name one of its engines too: --engine {' or '.join(claim.engines or ())}"


def _processors(word: str | None) -> str | None:
    if word == VALGRIND:
        check_valgrind()
    elif word not in (None, "", ALL):
        raise UsageError(f"unknown word {word!r}", where="--processors", do=f"give {ALL} or {VALGRIND}")
    return word


def _check_images(plan: RunConfig) -> None:
    """UsageError for a folder that no case can go through, or that is none, and for what is nothing without one."""
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


def _alone(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the cases and engines that the names are about; none where one of them is about more."""
    groups = [case_and_engine(name) for name in names]
    alone = [group for group in groups if group is not None]
    if len(alone) < len(groups):
        return [], []
    return [group.case for group in alone], [group.engine for group in alone]


def _check_paths(request: RunRequest) -> None:
    weights, assets = request.weights, request.assets
    if assets is not None and not Path(assets).is_dir():
        do = "name an existing folder with --assets or VITGATE_ASSETS"
        raise UsageError("no such asset directory", where=assets, do=do)
    if weights not in WEIGHTS_WORDS and not Path(weights).is_file():
        words = ", ".join(WEIGHTS_WORDS)
        raise UsageError(f"--weights {weights!r} is neither one of {words} nor a file", do="name one of them")
