"""`vitgate sweep`: the suite on many PyTorch versions, side by side."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.options import (
    color_option,
    FILE,
    json_option,
    package_options,
    records_options,
    RecordsOptions,
    run_options,
    suite_options,
    SuiteOptions,
    to_stderr,
)
from vitgate.report.console import Color

_HELP = """Run the suite on each PyTorch VERSION, one after another, and show the versions side by side.

A VERSION is a version (2.12.1), a set of requirements ("torch==2.12.1 timm==1.0.20") or a requirements file, as in
`vitgate upgrade`; with --package it is a version of that package, beside what --with names. Each leaves its record in
the folder of the records. A sweep that was interrupted goes on where it stopped: a record there that answers the same
question is not made again.

With --dask the runs are spread over a cluster, one task for each version, case and engine. Its workers need vitgate and
a folder of their own for environments; start them with one thread each, since latency is measured: a machine must not
run two tasks at once.

\b
Examples:
  vitgate sweep 2.9.1 2.12.1 2.15.0
  vitgate sweep 2.12.1 2.15.0 --case digits --engine qnnpack --markdown compatibility.md
  vitgate sweep 2.9.1 2.12.1 2.15.0 --records nightly/ --prune --json sweep.json
  vitgate sweep 2.12.1 2.15.0 --shard 1/4
  vitgate sweep 1.31.0 1.32.0 --package onnxruntime --with "torch==2.15.0" --engine none --case digits
  vitgate sweep 2.9.1 2.12.1 2.15.0 --dask tcp://scheduler:8786

\b
Exit status:
  0  on each version every claim holds, or deviates exactly as declared
  1  on one of them a claim failed
  4  usage: an option or a version is wrong
  6  a version could not be checked (the others were), or a file cannot be written
"""


@click.command(help=_HELP)
@click.argument("versions", nargs=-1, metavar="VERSION...")
@click.option("--interpreter", "interpreters", multiple=True, metavar="PATH", help="One that has its PyTorch already.")
@package_options
@suite_options
@run_options("--shard")
@records_options
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of this dask scheduler, such as tcp://host:8786.")
@click.option("--markdown", type=FILE, metavar="FILE", help="Write the compatibility page of all versions.")
@json_option("Write the table")
@color_option
def sweep(
    versions: tuple[str, ...],
    interpreters: tuple[str, ...],
    package: str | None,
    fixed: str | None,
    suite: SuiteOptions,
    recording: RecordsOptions,
    dask: str | None,
    markdown: str | None,
    json_file: str | None,
    color: Color,
) -> int:
    """Run the suite on each PyTorch VERSION, and show the versions side by side.

    Args:
        versions: Versions, requirements or requirements files.
        interpreters: Interpreters that have their PyTorch already.
        package: The package whose releases `versions` are; torch by default.
        fixed: Requirements that stay where another package than torch moves.
        suite: What the suite is asked, and how environments are made.
        recording: Where records go, and whether environments stay.
        dask: Address of the scheduler on whose workers the runs go.
        markdown: File for the compatibility page.
        json_file: File for the table as JSON; `-` is standard output.
        color: Whether the table has colours.

    Returns:
        The exit status.
    """
    from vitgate.files.outputs import check_target
    from vitgate.upgrade import sweep as sweeps
    from vitgate.upgrade.dask_sweep import sweep_on
    from vitgate.upgrade.moving_package import moving
    from vitgate.upgrade.requirements import parse_interpreter

    check_target(json_file, "--json")
    check_target(markdown, "--markdown")
    moves, request = moving(package, fixed), suite.request()
    sides = [moves.side(text, where="VERSION") for text in versions]
    sides += [parse_interpreter(path, where="--interpreter") for path in interpreters]
    sides = [suite.whole(side, request) for side in sides]
    order = sweeps.Sweep(tuple(sides), request, recording.means(suite), Path(recording.records))
    found = sweep_on(dask, order, to_stderr) if dask else sweeps.sweep(order, to_stderr)
    sweeps.show(found, markdown=markdown, json_file=json_file, color=color)
    return sweeps.exit_status(found)
