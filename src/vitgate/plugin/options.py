"""The suite's command-line options, and what they mean before anything is built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.field_files import given
from vitgate.inputs.run_options import make_run_config
from vitgate.report.field_export import check_target
from vitgate.spec.cases import ALL, LIBRARY_ADVICE, missing_library, name_own, OWN, read_cases
from vitgate.spec.engines import ENGINES
from vitgate.spec.run_config import RunConfig

_HELP = """vitgate: conformance of the Vision Transformer deployment pipeline.
Exit status: 0 every claim holds or deviates as declared, 1 a claim failed, 4 usage (unknown case, unfit checkpoint, …),
6 environment (no network, no disk space, torchvision that does not match torch, …); 2 interrupted (Ctrl-C, SIGTERM);
3 and 5 are pytest's own."""

INTERRUPTED = "interrupted, and no record was written: start again; what --artifact-cache keeps is not built again"


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("vitgate", _HELP)
    add = group.addoption
    case = "check this case only, or all; repeatable (default: deit_base, digits, and what --case-file adds)"
    add("--case", action="append", default=[], metavar="ID", help=case)
    own = f"a TOML file with cases of your own, besides those that {OWN} names; repeatable"
    add("--case-file", action="append", default=[], metavar="FILE", help=own)
    add(
        "--engine",
        action="append",
        default=[],
        metavar="NAME",
        help=f"check this engine only: {', '.join(ENGINES)}; may be repeated (default: all that the build supports)",
    )
    successors = "check the successors of TorchScript too (as the engine none): torch.export, AOTInductor, ExecuTorch, "
    successors += "ONNX Runtime, as far as their packages are installed"
    add("--successors", action="store_true", help=successors)
    claim = "run only the tests of this claim (build) or row (build[digits-qnnpack-optimized]); repeatable"
    add("--claim", action="append", default=[], metavar="ID", help=claim)
    shard = "check part K of N of the conformance tests; `vitgate merge` puts the parts' records together"
    add("--shard", default=None, metavar="K/N", help=shard)
    add(
        "--weights",
        default="auto",
        metavar="auto|pretrained|hub|standin|FILE",
        help="auto: the published checkpoint if it is cached or can be downloaded, otherwise the generated stand-in; "
        "pretrained: the checkpoint or exit status 6; hub: as the authors' own repository loads it, which runs "
        "its code; FILE: a .pth or .safetensors of your own (default: auto)",
    )
    add(
        "--assets",
        default=os.environ.get("VITGATE_ASSETS") or None,
        metavar="DIR",
        help="folder that holds the reference picture image.png (default: the environment variable VITGATE_ASSETS)",
    )
    kept = "keep built artifacts here between runs (default: a temporary folder)"
    add("--artifact-cache", default=None, metavar="DIR", help=kept)
    elsewhere = "check the TorchScript and lite files in this folder too; repeatable"
    add("--field", action="append", default=[], metavar="DIR", help=elsewhere)
    images = "labelled pictures of yours, DIR/<class>/<picture>: accuracy, agreement and calibration of every variant"
    add("--images", default=None, metavar="DIR", help=images)
    floor = "fail where the accuracy over --images is lower than this, from 0 to 1, by more than chance"
    add("--images-accuracy", type=float, default=None, metavar="SHARE", help=floor)
    seen = "write what this run built, with inputs and logits, into this folder, for another PyTorch's --field"
    add("--export", default=None, metavar="DIR", help=seen)
    add("--export-packed", action="store_true", help="put the exported files into one archive")
    record = "vitgate-record.json"
    add("--record", default=record, metavar="FILE", help=f"write the run's record here (default: {record})")
    page = "write the run's report here, one HTML page that needs nothing else"
    add("--report", default=None, metavar="FILE", help=page)


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
    )
    _check_libraries(plan, option("--case"))
    given(plan.field)  # a folder that cannot be read is an error of usage, not of the collection
    return plan


def _check_libraries(plan: RunConfig, named: list[str]) -> None:
    """MachineError where a case that the user named is built by a library that is missing; of `all` it is left out."""
    for case in plan.cases:
        if (missing := missing_library(read_cases()[case])) and ALL not in named:
            raise MachineError(f"{missing} is not installed, which builds {case}", where="--case", do=LIBRARY_ADVICE)
