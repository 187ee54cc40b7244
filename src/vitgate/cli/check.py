"""`vitgate check`: the conformance suite on the PyTorch that is installed, with or without a clone of the repository.

The suite's own options are declared once, in `vitgate.spec.options`; here they are read from there, for the help and
for completion, and handed on to pytest, as is everything else that pytest understands.

The plugin is named on pytest's command line (`-p vitgate.plugin`) and is no entry point `pytest11`: that would be
loaded by every run of every project in the environment, where options such as --case could clash with those of other
plugins, and where each run would make a session's folder.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import click
import pytest

from vitgate.cli.options import as_request, color_option, json_option, run_options
from vitgate.files.errors import UsageError
from vitgate.files.outputs import check_target, for_people, STDOUT, write_text
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import Record
from vitgate.spec.options import RunRequest
from vitgate.upgrade.runs import conformance_folder, suite_settings

_HELP = """Check every claim on the PyTorch of this environment, and say whether it can carry the pipeline.

This is the conformance suite, run by pytest from the installed package: no clone of the repository is needed. The
record of the run is written into the folder in which the command is given.

Besides the options below, pytest's own work as well (PYTEST_OPTIONS): -n N sets the number of workers (default: auto,
one for each core), -k and -m choose tests, -x stops at the first failure, --junitxml FILE writes a report for a CI, -v
shows how far the int8 model is from the original after each block, -q shows no more than red rows, the record's place
and the answer.

\b
Examples:
  vitgate check
  vitgate check --case digits --engine fbgemm
  vitgate check --claim build --weights standin -n 2
  vitgate check --case digits -q --json -
  vitgate check --record 2.15.0.json --junitxml vitgate.xml
"""

_EXIT_STATUSES = """\b
Exit status:
  0  every claim holds, or deviates exactly as declared
  1  a claim failed
  2  interrupted, by Ctrl-C or SIGTERM: no record is written
  4  usage: an unknown case, a checkpoint of another model, a mistake in a data file (other cases are judged)
  6  the environment stood in the way: no network, no disk space, a torchvision that does not match torch
  3 and 5 are pytest's own: an internal error, and no test was chosen
"""

_COLORS = {"auto": "auto", "always": "yes", "never": "no"}  # the word of all commands, and pytest's own


class _Recorded:
    """A pytest plugin that keeps the record of the run, if it wrote one, and says in one line what pytest refuses."""

    record: Record | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(self) -> Generator[None, object, object]:
        """Raise vitgate's UsageError for an option that pytest does not know, or whose value it cannot take."""
        try:
            return (yield)
        except pytest.UsageError as error:
            said = re.search(r"error: (.+)", str(error))
            do = "see `vitgate check --help` and `pytest --help`"
            raise UsageError(said[1] if said else str(error), where="vitgate check", do=do) from None

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Ask the controller, whose session has ended."""
        controller = config.pluginmanager.getplugin("vitgate-controller")
        self.record = controller.record if controller is not None else None


@click.command(
    help=_HELP,
    epilog=_EXIT_STATUSES,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},  # -h might stand within -khuge
)
@as_request
@run_options()
@json_option("Write the record")
@color_option
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def check(
    context: click.Context, /, pytest_options: tuple[str, ...], json_file: str | None, color: str, asked: RunRequest
) -> int:
    """Check every claim on the PyTorch of this environment.

    Args:
        context: click's, for the help.
        pytest_options: What pytest itself is told.
        json_file: File for the record; `-` is standard output.
        color: auto, always or never.
        asked: The suite's own options.

    Returns:
        pytest's exit status.
    """
    if "-h" in pytest_options:
        click.echo(context.get_help())
        return 0
    check_target(json_file, "--json")
    _check_snapshots(pytest_options)
    recorded = _Recorded()
    quiet = ["--tb=no", "-rN"] if {"-q", "-qq", "--quiet"} & set(pytest_options) else []
    options = [f"--color={_COLORS[color]}", *quiet, *asked.arguments(), *pytest_options]
    _forget_pytest_settings()
    with _shown_to_people(json_file):
        status = int(pytest.main([*_pytest_arguments(), *options], plugins=[recorded]))
    if recorded.record is not None:
        write_text(json_file, recorded.record.text, "--json")
    return status


def _pytest_arguments() -> list[str]:
    """Return what makes pytest run this suite, whatever settings the project in the current folder has for its own."""
    tests = conformance_folder()
    root = tests.parents[1]
    settings = ("-c", str(suite_settings()), f"--rootdir={root}", f"--confcutdir={root}")
    return [*settings, "-p", "vitgate.plugin", "-n", "auto", str(tests)]


def _forget_pytest_settings() -> None:
    """Remove what the user's environment says of pytest runs of other projects, here and for the workers."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        os.environ.pop(name, None)


def _check_snapshots(arguments: tuple[str, ...]) -> None:
    """UsageError where accepted tables of an installed package would be overwritten."""
    inside = fixtures_folder().is_relative_to(Path(__file__).parents[1])
    if "--snapshot-update" in arguments and inside:
        what = "--snapshot-update would change the installed package"
        raise UsageError(what, where=fixtures_folder(), do="copy that folder, and name the copy in VITGATE_FIXTURES")


@contextlib.contextmanager
def _shown_to_people(json_file: str | None) -> Iterator[None]:
    """Keep pytest's text off the standard output that is to hold JSON alone."""
    with contextlib.redirect_stdout(for_people(json_file)) if json_file == STDOUT else contextlib.nullcontext():
        yield
