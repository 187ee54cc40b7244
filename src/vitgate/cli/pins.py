"""`vitgate pins`: the version of torch that a project pins, for a gate in CI."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.options import FILE, json_option

_HELP = """Print the version of torch that a project pins, for `vitgate upgrade`.

FILES are searched in this order, the first one that pins torch counts, and those that do not exist are left out. They
may be requirement files, pyproject.toml, lock files (uv, poetry, pdm, pipenv, pylock), a Pipfile or a conda
environment.yml. Torch that is named for another platform only has no pin. Nothing is printed if no file names torch.

\b
Examples:
  vitgate pins uv.lock requirements.txt pyproject.toml
  vitgate pins --at HEAD~1 requirements.txt
  vitgate pins environment.yml --json -

\b
Exit status:
  0  printed, or no file names torch
  4  usage: torch is named without a pin, one file pins two versions, or no file is there
"""


@click.command(help=_HELP)
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--at", metavar="COMMIT", help="Read the files as they are in this commit of git.")
@json_option("Write the pin")
def pins(files: tuple[str, ...], at: str | None, json_file: str | None) -> int:
    """Print the version of torch that a project pins, for `vitgate upgrade`.

    Args:
        files: The project's, in the order in which they are believed.
        at: A commit of git in which they are read; None for the working tree.
        json_file: Where to write the pin; `-` for standard output.

    Returns:
        The exit status, 0.

    Raises:
        UsageError: As of `vitgate.upgrade.pins.find_pin`.
        MachineError: The file cannot be written.
    """
    from vitgate.files.outputs import check_target, write_json
    from vitgate.upgrade.pins import find_pin, reader

    check_target(json_file, "--json")
    version = find_pin(files, reader(Path(), at))
    write_json(json_file, {"torch": version or None})
    if version and json_file != "-":
        click.echo(version)
    if not version:
        click.echo("no file names torch", err=True)
    return 0
