"""`vitgate golden`: the tensors that a user's pictures become, kept to tell when that changes."""

from __future__ import annotations

import click

from vitgate.cli.options import as_request, run_options
from vitgate.spec.options import RunRequest

_HELP = """Write the golden inputs of cases of yours: the tensors that their pictures become in this environment.

Each goes into the file that its case names, `inputs = "golden.npz"`, beside the file of cases. From then on `vitgate
check` holds the pictures against it, and says at which step a new torchvision, Pillow or transform of yours differs.
Without --case all cases of --case-file are written that name such a file.

\b
Examples:
  vitgate golden --case-file vitgate.toml
  vitgate golden --case-file vitgate.toml --case shapes --force

\b
Exit status:
  0  written
  4  usage: no case of yours, or one without `inputs`; a picture or a transform that cannot be used; a file that is
     there already, without --force
  6  the file cannot be written
"""


@click.command(help=_HELP)
@as_request
@run_options("--case", "--case-file")
@click.option("--force", is_flag=True, help="Write over golden inputs that are there: it accepts what has changed.")
def golden(asked: RunRequest, force: bool) -> int:
    """Write the golden inputs of a user's cases.

    Args:
        asked: The cases, and the files that describe them.
        force: Whether to write over what is there.

    Returns:
        The exit status, 0.

    Raises:
        UsageError: A case that cannot have golden inputs, or has them already.
        MachineError: A file cannot be written.
    """
    from vitgate.inputs.golden_inputs import golden_path, with_golden, write_golden
    from vitgate.spec.cases import name_own

    name_own(asked.case_file)
    for case in with_golden(asked.case):
        made = write_golden(case, force=force)
        versions = ", ".join(f"{name} {version}" for name, version in made.about.versions.items())
        click.echo(f"{case.id}: {len(made.x)} pictures, {list(made.x.shape[1:])}, in {golden_path(case)} ({versions})")
    return 0
