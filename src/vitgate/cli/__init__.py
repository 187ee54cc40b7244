"""The command line: one file a command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from vitgate import __version__
from vitgate.cli.exit_statuses import EXIT_STATUSES
from vitgate.files.errors import UsageError, VitgateError
from vitgate.files.text import clean

_HELP = """May I upgrade PyTorch without breaking the Vision Transformer that I deploy?

\b
Examples:
  vitgate check                                # can the PyTorch of this environment carry it?
  vitgate upgrade 2.12.1 2.15.0                # may I go from this one to that one?
  vitgate compare 2.12.1.json 2.15.0.json      # the same, of records that are there
  vitgate sweep 2.9.1 2.12.1 2.15.0            # many versions side by side
  vitgate bisect 2.9.1 2.15.0 --claim build    # the first release that changed a claim
"""

COMMANDS = {
    "bisect": "Find the first release of PyTorch on which a claim comes out otherwise.",
    "check": "Check every claim on the PyTorch of this environment.",
    "compare": "Compare the records of two PyTorch versions, claim by claim.",
    "completion": "Print a script that makes a shell complete vitgate's commands.",
    "environments": "Show or remove the environments that are kept, one for each PyTorch version.",
    "golden": "Write the tensors that a user's pictures become, to tell when that changes.",
    "merge": "Merge the records of the shards of one run into one.",
    "pins": "Print the version of torch that a project pins, for a gate in CI.",
    "report": "Make one HTML page of a run's record, or of several.",
    "sweep": "Run the suite on each PyTorch version, and show them side by side.",
    "upgrade": "Say whether upgrading PyTorch breaks the deployment, on this machine.",
}
"""The commands, each in the module of its name, and what `vitgate --help` says of them without importing them."""


class _Commands(click.Group):
    """A group whose commands are imported once they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that name."""
        del ctx
        if name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"vitgate.cli.{name}"), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does; importing all of them would take half a second."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    help=_HELP,
    epilog=EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="vitgate")
def cli() -> None:
    """May I upgrade PyTorch without breaking the Vision Transformer that I deploy?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: the one place where errors become one line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(_run(arguments))
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM came: like KeyboardInterrupt no error, so that nothing takes it for one on the way up."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status: Any = cli.main(arguments, prog_name="vitgate", standalone_mode=False)
    except VitgateError as error:
        click.echo(f"ERROR: {clean(error)}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return UsageError.exit_status
    except click.Abort:
        click.echo("ERROR: interrupted", err=True)
        return 130  # as a shell reports SIGINT
    except _Terminated:
        click.echo("ERROR: terminated", err=True)
        return 143  # as a shell reports SIGTERM
    return int(status or 0)
