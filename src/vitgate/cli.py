"""The command line: `vitgate compare`, `vitgate merge`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TYPE_CHECKING, TypeVar

import click

from vitgate import __version__
from vitgate.errors import UsageError, VitgateError

if TYPE_CHECKING:
    from vitgate.judge.acceptance import Acceptances
    from vitgate.report.verdict.emit import ReportOptions

EXIT_STATUSES = """\b
Exit status:
  0  may upgrade: every claim holds as before, or what breaks is accepted
  1  do not upgrade: something regressed, or an acceptance expired or covers nothing
  4  usage: an option, a record or an accept file is wrong
  6  the environment stood in the way: in a run that was recorded, or of writing a file
"""

_COMPARE = """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade.

OLD and NEW are records that `pytest tests/conformance --record FILE` wrote, of the same cases, engines, weights
and pictures. What a deviation declares for the new version is a regression all the same, until it is accepted.

\b
Examples:
  vitgate compare 2.12.1.json 2.15.0.json
  vitgate compare old.json new.json --accept xnnpack-gone --html verdict.html
  vitgate compare old.json new.json --accept-file accepted.toml --markdown summary.md

An entry of an accept file has four keys, all of them required:

\b
  [[accept]]
  id = "xnnpack-gone"
  reason = "we ship the frozen lite file"
  owner = "ml-platform"
  expires = 2027-01-31
"""

_MERGE = """Merge the records of the shards of one run into one, in any order.

The shards must be of one PyTorch build, with the same packages, weights and pictures.

\b
Example:
  vitgate merge shard-*.json -o 2.15.0.json

\b
Exit status:
  0  written
  4  usage: a record cannot be read, or the records are not of one run
  6  the file cannot be written
"""

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False)


def report_options(command: Command) -> Command:
    """Add the options of all commands that end in a verdict; `options_from` and `acceptances_from` read them."""
    options = (
        click.option("--accept", multiple=True, metavar="ID", help="Accept a deviation, or a row by its exact name."),
        click.option("--accept-file", type=_FILE, metavar="FILE", help="Accept what this TOML file lists."),
        click.option("--json", "json", metavar="FILE", help="Write the verdict as JSON; - is standard output."),
        click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML, for the test tab of a CI."),
        click.option("--markdown", type=_FILE, metavar="FILE", help="Write Markdown, for a comment or a job summary."),
        click.option("--html", type=_FILE, metavar="FILE", help="Write one self-contained HTML page."),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Colours on the terminal; auto respects NO_COLOR.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def options_from(values: dict[str, Any]) -> ReportOptions:
    """Return the report options among a command's parameters."""
    from vitgate.report.verdict.emit import ReportOptions

    return ReportOptions(**{name: values[name] for name in ("json", "junit", "markdown", "html", "color")})


def acceptances_from(values: dict[str, Any]) -> Acceptances:
    """Return the acceptances among a command's parameters; UsageError for an entry that is not whole."""
    from vitgate.judge.acceptance import read_acceptances

    file = values["accept_file"]
    return read_acceptances(values["accept"], Path(file) if file else None)


@click.group(epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="vitgate")
def cli() -> None:
    """May I upgrade PyTorch without breaking the Vision Transformer that I deploy?"""


@cli.command(help=_COMPARE, epilog=EXIT_STATUSES)
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@report_options
def compare(old: str, new: str, **values: Any) -> int:
    """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade."""
    from vitgate.judge.consistency import read_consistent
    from vitgate.judge.verdict import compare as compared
    from vitgate.report.verdict.emit import emit

    accepted = acceptances_from(values)
    verdict = compared(read_consistent(Path(old)), read_consistent(Path(new)), accepted=accepted)
    emit(verdict, options_from(values))
    return verdict.exit_status


@cli.command(help=_MERGE)
@click.argument("records", type=_FILE, nargs=-1, required=True)
@click.option("-o", "--output", type=_FILE, required=True, metavar="FILE", help="Where to write the merged record.")
def merge(records: tuple[str, ...], output: str) -> int:
    """Merge the records of the shards of one run into one, in any order."""
    from vitgate.judge.consistency import check_consistent, read_consistent
    from vitgate.judge.merge import merge as merged

    record = merged([read_consistent(Path(name)) for name in records])
    check_consistent(record, where="the merged record")
    record.write(Path(output), option="-o")
    where = f" of shards {record.shard}" if record.shard and not record.complete else ""
    state = "complete" if record.complete else f"not complete{where}, {len(record.missing)} claims named as missing"
    click.echo(f"{output}: {len(record.claims)} claims, {state}")
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: the one place where errors become one line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status: Any = cli.main(arguments, prog_name="vitgate", standalone_mode=False)
    except VitgateError as error:
        click.echo(f"ERROR: {_printable(str(error))}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return UsageError.exit_status
    except click.Abort:
        click.echo("ERROR: interrupted", err=True)
        return 130  # as a shell reports SIGINT
    return int(status or 0)


def _printable(text: str) -> str:
    """Drop control characters: names and messages in a record are anybody's."""
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
