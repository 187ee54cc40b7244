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
from vitgate.spec.options import RUN_OPTIONS, RunRequest
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
    """Declare the options of `vitgate.spec.options` to pytest."""
    group = parser.getgroup("vitgate", PYTEST_HELP)
    for option in RUN_OPTIONS:
        default: Any = [] if option.kind == "texts" else os.environ.get(option.envvar) or option.default
        words = f" (default: {option.default_words})" if option.default_words else ""
        named = {} if option.kind == "flag" else {"metavar": option.metavar, "default": default}
        group.addoption(option.flag, help=option.help + words, **_TAKES[option.kind], **named)


def place_of(config: pytest.Config, name: str) -> Path:
    """Return the path of what is written, from the folder in which the command was given."""
    return config.invocation_params.dir / name


def request_from(config: pytest.Config) -> RunRequest:
    """Return what the user asked."""
    return RunRequest.of({option.name: config.getoption(option.flag) for option in RUN_OPTIONS})


def plan_from(config: pytest.Config, session: Path) -> RunConfig:
    """Check the options and return the plan; UsageError as `make_run_config`."""
    request = request_from(config)
    name_own(request.case_file)
    if request.export:
        check_target(place_of(config, request.export))
    elif request.export_packed:
        raise UsageError("--export-packed without --export", do="say where to with --export DIR")
    plan = make_run_config(request, session)
    _check_libraries(plan)
    given(plan.field)  # a folder that cannot be read is an error of usage, not of the collection
    return plan


def _check_libraries(plan: RunConfig) -> None:
    """MachineError where a case that the user named is built by a library that is missing; of `all` it is left out."""
    for case in plan.cases:
        if (missing := missing_library(read_cases()[case])) and ALL not in plan.case:
            raise MachineError(f"{missing} is not installed, which builds {case}", where="--case", do=LIBRARY_ADVICE)
