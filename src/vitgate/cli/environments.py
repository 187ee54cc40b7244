"""`vitgate environments`: what the environments of `vitgate upgrade` cost, and how to be rid of them."""

from __future__ import annotations

import datetime
import re

import click
from rich.table import Table
from rich.text import Text

from vitgate.cli.options import color_option, json_option
from vitgate.files.outputs import check_target, for_people, STDOUT, write_json
from vitgate.files.paths import default_cache
from vitgate.report.console import Color, console_for
from vitgate.upgrade.environment_cache import disk_use, listing, prune, Row

_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SHARED = "Bytes shared with uv's cache become free only with `uv cache prune`."


def age(text: str) -> datetime.timedelta:
    """Understand a time such as `12h`, `30d` or `2w`."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not an age: give for example 12h, 30d or 2w")
    return datetime.timedelta(days=int(found[1]) * _DAYS[found[2]])


def size(text: str) -> int:
    """Parse a number of bytes such as `500MB`, `20GB` or `10GiB`."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?I?)B?", text.upper())
    if found is None or found[2] not in _BYTES:
        raise click.BadParameter(f"{text!r} is not a size: give for example 500MB or 20GB")
    return int(float(found[1]) * _BYTES[found[2]])


_ENVIRONMENTS = """Show or remove the environments that `vitgate upgrade` keeps, one for each PyTorch version.

They lie in vitgate's folder of the user's cache, where XDG_CACHE_HOME moves it, and share files with uv's.

\b
Examples:
  vitgate environments list
  vitgate environments prune --older-than 30d
"""

_LIST = """List the environments: state, last use, disk use.

\b
Examples:
  vitgate environments list
  vitgate environments list --json -
"""

_PRUNE = """Remove half-made environments, and those that the options name. One that is in use stays.

AGE is a number of hours, days or weeks: 12h, 30d, 2w. SIZE is a number of bytes: 500MB, 20GB, 10GiB.

\b
Examples:
  vitgate environments prune
  vitgate environments prune --older-than 30d
  vitgate environments prune --max-size 20GB --dry-run
"""

_EXIT_STATUSES = """\b
Exit status:
  0  done
  4  usage: an option is wrong
  6  an environment cannot be removed, or a file cannot be written
"""


@click.group(help=_ENVIRONMENTS, epilog=_EXIT_STATUSES)
def environments() -> None:
    """Show or remove the environments that `vitgate upgrade` keeps."""


@environments.command("list", help=_LIST, epilog=_EXIT_STATUSES)
@json_option("Write the list", is_flag=False, flag_value=STDOUT)  # `--json` alone is how it was first spelled
@color_option
def list_(json_file: str | None, color: Color) -> None:
    """List the environments: state, last use, disk use."""
    rows = listing(default_cache())
    write_json(json_file, {"environments": [row.to_json() for row in rows], "bytes": disk_use(rows)})
    people = for_people(json_file)
    if not rows:
        click.echo(f"no environments in {default_cache()}", file=people)
    else:
        console_for(people, color).print(_table(rows))
        note = f"{size_text(disk_use(rows))} in all, files that they share counted once. {_SHARED}"
        click.echo(note, file=people)


@environments.command("prune", help=_PRUNE, epilog=_EXIT_STATUSES)
@click.option("--older-than", type=age, metavar="AGE", help="Remove what was not used for so long, such as 30d.")
@click.option("--max-size", type=size, metavar="SIZE", help="Keep at most so much, the last used first, such as 20GB.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option("Write what is removed")
def prune_(older_than: datetime.timedelta | None, max_size: int | None, dry_run: bool, json_file: str | None) -> None:
    """Remove half-made environments, and those that the options name. One that is in use stays.

    Args:
        older_than: What was not used for so long goes.
        max_size: Bytes to keep at most, the last used first.
        dry_run: Only say what would be removed.
        json_file: Where to write what is removed; `-` for standard output.

    Raises:
        MachineError: An environment cannot be removed, or the file cannot be written.
    """
    check_target(json_file, "--json")
    done = prune(default_cache(), older_than=older_than, max_bytes=max_size, dry_run=dry_run)
    removed = {"removed": [row.to_json() for row in done.rows], "bytes": done.freed, "dry_run": dry_run}
    write_json(json_file, removed)
    people = for_people(json_file)
    verb, frees = ("would remove", "would free") if dry_run else ("removed", "freed")
    for row in done.rows:
        click.echo(f"{verb} {row.name or 'a half-made environment'} ({row.folder})", file=people)
    total = f"{verb} {len(done.rows)}, {frees} {size_text(done.freed)}. {_SHARED}"
    click.echo(total if done.rows else "nothing to do", file=people)


def size_text(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"


def _table(rows: list[Row]) -> Table:
    table = Table("asked for", "torch", "Python", "state", "last used", "own", "shared", "folder", box=None)
    for row in rows:
        used = row.last_use.astimezone().strftime("%Y-%m-%d %H:%M")
        sizes = (size_text(row.own_bytes), size_text(row.shared_bytes))
        cells = (row.name, row.torch, row.python, row.state, used, *sizes, row.key[:8])
        table.add_row(*(Text(cell) for cell in cells))  # as text: what a user wrote is no markup
    return table
