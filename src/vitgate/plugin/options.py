"""The suite's command-line options, and what they mean before anything is built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.field_files import given
from vitgate.inputs.run_options import make_run_config
from vitgate.report.field_export import check_target
from vitgate.spec.cases import ALL, LIBRARY_ADVICE, missing_library, name_own, read_cases
from vitgate.spec.options import RUN_OPTIONS
from vitgate.spec.run_config import RunConfig

PYTEST_HELP = """vitgate: conformance of the Vision Transformer deployment pipeline.
Exit status: 0 every claim holds or deviates as declared, 1 a claim failed, 4 usage (unknown case, unfit checkpoint, …),
6 environment (no network, no disk space, torchvision that does not match torch, …); 2 interrupted (Ctrl-C, SIGTERM);
3 and 5 are pytest's own."""

INTERRUPTED = "interrupted, and no record was written: start again; what --artifact-cache keeps is not built again"


_TAKES: dict[str, dict[str, Any]] = {
    "text": {},
    "texts": {"action": "append"},
    "number": {"type": float},
    "flag": {"action": "store_true"},
}


def add_options(parser: pytest.Parser) -> None:
    """Declare the options of `vitgate.spec.run_config` to pytest."""
    group = parser.getgroup("vitgate", PYTEST_HELP)
    for option in RUN_OPTIONS:
        default: list[str] | str | None = (
            [] if option.kind == "texts" else os.environ.get(option.envvar) or option.default
        )
        words = f" (default: {option.default_words})" if option.default_words else ""
        named = {} if option.kind == "flag" else {"metavar": option.metavar, "default": default}
        group.addoption(option.flag, help=option.help + words, **_TAKES[option.kind], **named)


def place_of(config: pytest.Config, option: str) -> Path:
    """Return the path that an option names, from the folder in which the command was given."""
    return config.invocation_params.dir / str(config.getoption(option))


def plan_from(config: pytest.Config, session: Path) -> RunConfig:
    """Check the options and return the plan; UsageError as `make_run_config`."""
    option = config.getoption
    name_own(option("--case-file"))
    if option("--export"):
        check_target(place_of(config, "--export"))
    elif option("--export-packed"):
        raise UsageError("--export-packed without --export", do="say where to with --export DIR")
    plan = make_run_config(
        cases=option("--case"),
        engines=option("--engine"),
        weights=option("--weights"),
        assets=option("--assets"),
        session=session,
        artifact_cache=option("--artifact-cache"),
        field=option("--field"),
        claims=option("--claim"),
        shard=option("--shard"),
        successors=option("--successors"),
        images=option("--images"),
        images_accuracy=option("--images-accuracy"),
        no_latency=option("--no-latency"),
        processor=option("--processor"),
        processors=option("--processors"),
        allow_code=option("--allow-code"),
    )
    _check_libraries(plan, option("--case"))
    given(plan.field)  # a folder that cannot be read is an error of usage, not of the collection
    return plan


def _check_libraries(plan: RunConfig, named: list[str]) -> None:
    """MachineError where a case that the user named is built by a library that is missing; of `all` it is left out."""
    for case in plan.cases:
        if (missing := missing_library(read_cases()[case])) and ALL not in named:
            raise MachineError(f"{missing} is not installed, which builds {case}", where="--case", do=LIBRARY_ADVICE)
