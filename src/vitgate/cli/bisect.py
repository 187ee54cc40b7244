"""`vitgate bisect`: the first release on which a claim comes out otherwise."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.completion import COMPLETERS
from vitgate.cli.options import (
    json_option,
    package_options,
    records_options,
    RecordsOptions,
    suite_options,
    SuiteOptions,
    to_stderr,
)

_HELP = """Find the first release of PyTorch, or of another package, on which a claim comes out otherwise than on GOOD.

GOOD is the older release, BAD the newer. Only the tests of the claim are run, on as few releases as halving takes; of a
claim without a row the `digits` case is checked, unless --case names another. The releases between are those that the
package index has for this Python, or those that --releases lists; one that cannot be installed is passed over. With
--package another package moves, and what --with names stays; nightlies are found where --uv-arg names their index and
allows pre-releases.

\b
Examples:
  vitgate bisect 2.9.1 2.15.0 --claim "build[digits-qnnpack-optimized]"
  vitgate bisect 2.9.1 2.15.0 --claim label --engine qnnpack --prune
  vitgate bisect 2.9.1 2.15.0 --claim build --releases 2.10.0,2.11.0,2.12.1,2.13.0,2.14.1
  vitgate bisect 1.31.0 1.32.0 --package onnxruntime --with "torch==2.15.0" --successors --claim coverage

\b
Exit status:
  0  the release is found, and named in the last line
  4  usage: an option is wrong, or the claim comes out the same on both
  6  the environment stood in the way
"""


@click.command(help=_HELP)
@click.argument("good", metavar="GOOD")
@click.argument("bad", metavar="BAD")
@click.option(
    "--claim", "wanted", required=True, metavar="ID", shell_complete=COMPLETERS["--claim"],
    help="A claim (build) or a row (build[digits-qnnpack-optimized]).  [required]",
)  # fmt: skip
@click.option("--releases", metavar="LIST", help="Look at these only: versions with commas between.")
@package_options
@suite_options
@records_options
@json_option("Write the release, and the outcomes of all that were run,")
def bisect(
    good: str,
    bad: str,
    wanted: str,
    releases: str | None,
    package: str | None,
    fixed: str | None,
    suite: SuiteOptions,
    recording: RecordsOptions,
    json_file: str | None,
) -> int:
    """Find the first release on which a claim comes out otherwise than on GOOD.

    Args:
        good: The older release.
        bad: The newer one.
        wanted: Id of the claim, or name of its row.
        releases: Versions with commas between, which alone are looked at.
        package: The package whose releases these are; torch by default.
        fixed: Requirements that stay where another package than torch moves.
        suite: What the suite is asked, and how environments are made.
        recording: Where records go, and whether environments stay.
        json_file: File for the answer as JSON; `-` is standard output.

    Returns:
        The exit status.
    """
    from vitgate.files.outputs import check_target, for_people, write_json
    from vitgate.upgrade.bisect import bisect as found
    from vitgate.upgrade.bisect import Bisection, narrowed, parse_releases
    from vitgate.upgrade.moving_package import moving

    check_target(json_file, "--json")
    request = narrowed(suite.request(wanted), wanted)
    only = tuple(parse_releases(releases)) if releases is not None else None
    asked = Bisection(
        good, bad, wanted, request, recording.means(suite), Path(recording.records), only, moving(package, fixed)
    )
    answer = found(asked, to_stderr)
    write_json(json_file, answer.to_json())
    click.echo(str(answer), file=for_people(json_file))
    return 0
