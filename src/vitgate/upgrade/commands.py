"""`vitgate environments`: what the environments of `vitgate upgrade` cost, and how to be rid of them."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import click
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitgate.upgrade.shelf import disk_use, listing, prune, Row

_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SHARED = "Bytes shared with uv's cache become free only with `uv cache prune`."


def age(text: str) -> datetime.timedelta:
    """Understand a time such as `12h`, `30d` or `2w`."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age: give for example 12h, 30d or 2w")
    return datetime.timedelta(days=int(found[1]) * _DAYS[found[2]])


def size(text: str) -> int:
    """Understand a number of bytes such as `500MB`, `20GB` or `10GiB`."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?I?)B?", text.upper())
    if found is None or found[2] not in _BYTES:
        raise click.BadParameter(f"{text!r} is no size: give for example 500MB or 20GB")
    return int(float(found[1]) * _BYTES[found[2]])


def default_cache() -> Path:
    """Return vitgate's folder in the user's cache."""
    return user_cache_path("vitgate")


@click.group()
def environments() -> None:
    """The environments that `vitgate upgrade` keeps, one per PyTorch version."""


@environments.command("list")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def list_(as_json: bool) -> None:
    """List the environments: state, last use, disk use."""
    rows = listing(default_cache())
    if as_json:
        whole = {"environments": [row.to_json() for row in rows], "bytes": disk_use(rows)}
        click.echo(json.dumps(whole, indent=1))
    elif not rows:
        click.echo(f"no environments in {default_cache()}")
    else:
        Console().print(_table(rows))
        click.echo(f"{size_text(disk_use(rows))} in all, files that they share counted once. {_SHARED}")


@environments.command("prune")
@click.option("--older-than", type=age, metavar="AGE", help="remove what was not used for so long, such as 30d")
@click.option("--max-size", type=size, metavar="SIZE", help="keep at most so much, the last used first, such as 20GB")
@click.option("--dry-run", is_flag=True, help="only say what would be removed")
def prune_(older_than: datetime.timedelta | None, max_size: int | None, dry_run: bool) -> None:
    """Remove half-made environments, and those that the options name. One that is in use stays."""
    done = prune(default_cache(), older_than=older_than, max_bytes=max_size, dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    for row in done.rows:
        click.echo(f"{verb} {row.name or 'a half-made environment'} ({row.folder})")
    frees = "would free" if dry_run else "freed"
    click.echo(f"{verb} {len(done.rows)}, {frees} {size_text(done.freed)}. {_SHARED}" if done.rows else "nothing to do")


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
