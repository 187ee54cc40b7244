"""`vitgate upgrade`: two PyTorch versions on this machine, and whether to go from one to the other."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.exit_statuses import EXIT_STATUSES
from vitgate.cli.options import (
    run_options,
    suite_options,
    SuiteOptions,
    to_stderr,
    verdict_options,
    VerdictOptions,
)

_HELP = """Say whether upgrading PyTorch from OLD to NEW breaks the deployment, on this machine.

A side is a version (2.12.1), a set of requirements ("torch==2.12.1 timm==1.0.20"), a requirements file, or, with
--old-python and --new-python, an interpreter that has its PyTorch already. With --successors a side may name torchao,
executorch, onnx and onnxruntime too. vitgate makes an environment for each side
with uv, or takes the one that it made before; runs the conformance suite in both; lets each side run the files that
the other made; compares latencies in pairs of fresh processes; and judges claim by claim.

\b
Examples:
  vitgate upgrade 2.12.1 2.15.0
  vitgate upgrade 2.12.1 2.15.0 --engine qnnpack --weights standin
  vitgate upgrade requirements-old.txt requirements-new.txt --accept-file accepted.toml --markdown summary.md
  vitgate upgrade 2.15.0 torch --uv-arg=--prerelease=allow
  vitgate upgrade --old-python old/bin/python 2.15.0 --field models/
  vitgate upgrade "torch==2.15.0 onnxruntime==1.31.1" "torch==2.15.0 onnxruntime==1.32.0" --successors
"""


@click.command(help=_HELP, epilog=EXIT_STATUSES)
@click.argument("versions", nargs=-1, metavar="OLD NEW")
@click.option("--old-python", metavar="PATH", help="Interpreter, or environment, of the old side, instead of OLD.")
@click.option("--new-python", metavar="PATH", help="Interpreter, or environment, of the new side, instead of NEW.")
@suite_options
@run_options("--field", "--images", "--images-accuracy")
@click.option("--latency/--no-latency", default=True, help="Compare latencies in pairs of processes.  [default: yes]")
@click.option("--keep", metavar="DIR", help="Keep the sides' records and logs in this folder.")
@verdict_options
def upgrade(
    versions: tuple[str, ...],
    old_python: str | None,
    new_python: str | None,
    suite: SuiteOptions,
    latency: bool,
    keep: str | None,
    options: VerdictOptions,
) -> int:
    """Say whether upgrading PyTorch from OLD to NEW breaks the deployment.

    Args:
        versions: OLD and NEW, without those that are interpreters.
        old_python: Interpreter, or environment, in the place of OLD.
        new_python: The same for NEW.
        suite: What the suite is asked on both sides, and how environments are made.
        latency: Whether latencies are compared in pairs of processes.
        keep: Folder for the sides' records and logs.
        options: What is accepted, and where the verdict goes.

    Returns:
        The exit status.
    """
    from vitgate.files.paths import default_cache
    from vitgate.inputs.field_files import given
    from vitgate.report.verdict.emit import check_targets, emit
    from vitgate.upgrade.gate import gate, Order
    from vitgate.upgrade.requirements import sides_from

    accepted, reports = options.acceptances(), options.reports()
    given(suite.asked.absolute().field)
    check_targets(reports)
    request = suite.request()
    old, new = (suite.whole(side, request) for side in sides_from(versions, old_python, new_python))
    uv_args, folder = suite.uv_arguments(), Path(keep) if keep else None
    order = Order(
        old, new, request, default_cache(), uv_args=uv_args, python=suite.python, latency=latency, keep=folder
    )
    verdict = gate(order, accepted, to_stderr)
    emit(verdict, reports)
    return verdict.exit_status
