"""Options that several commands have: each is declared once, and a group of them reaches its command as one value."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TYPE_CHECKING, TypeVar

import click

from vitgate.cli.completion import COMPLETERS
from vitgate.spec.options import RUN_OPTIONS, RunOption, RunRequest

if TYPE_CHECKING:
    from vitgate.compare.acceptance import Acceptances
    from vitgate.report.console import Color
    from vitgate.report.verdict.emit import ReportOptions
    from vitgate.upgrade.record_cache import Means
    from vitgate.upgrade.requirements import Side
    from vitgate.upgrade.runs import Request

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False)


_JSON = "{} as JSON into this file; - is standard output, and then what is for people goes to standard error."


def json_option(what: str, **attributes: Any) -> Callable[[Command], Command]:
    """Return the option `--json FILE`; `what` says in a few words what is written."""
    file = click.Path(dir_okay=False, allow_dash=True)
    return click.option("--json", "json_file", type=file, metavar="FILE", help=_JSON.format(what), **attributes)


class _Color(click.Choice[str]):
    """pytest's words are understood too: in `vitgate check` both stand side by side."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return auto, always or never.

        Args:
            value: What the user wrote; pytest's `yes` and `no` are words for two of them.
            param: click's, of the option.
            ctx: click's, of the command.
        """
        return str(super().convert({"yes": "always", "no": "never"}.get(value, value), param, ctx))


def color_option(command: Command) -> Command:
    """Add the option of commands that draw."""
    return click.option(
        "--color",
        type=_Color(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colours on the terminal; auto respects NO_COLOR.",
    )(command)


_TAKES: dict[str, dict[str, Any]] = {
    "text": {},
    "texts": {"multiple": True},
    "number": {"type": float},
    "flag": {"is_flag": True},
}


def _run_option(option: RunOption) -> Callable[[Command], Command]:
    words = f"  [default: {option.default_words}]" if option.default_words else ""
    return click.option(
        option.flag,
        metavar=option.metavar or None,
        envvar=option.envvar or None,
        help=option.help[0].upper() + option.help[1:] + "." + words,
        shell_complete=COMPLETERS.get(option.flag),
        **_TAKES[option.kind],
    )


def run_options(*flags: str) -> Callable[[Command], Command]:
    """Add these options of a run, or all; `as_request`, above them, makes one value of theirs."""

    def add(command: Command) -> Command:
        for option in reversed([option for option in RUN_OPTIONS if not flags or option.flag in flags]):
            command = _run_option(option)(command)
        return command

    return add


def as_request(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the values of all options of a run to the command as one, the `RunRequest` called `asked`."""

    @functools.wraps(command)
    def called(*arguments: Any, **values: Any) -> Any:
        own = {option.name: values.pop(option.name) for option in RUN_OPTIONS if option.name in values}
        return command(*arguments, **values, asked=RunRequest.of(own))

    return called


def _grouped(group: type, name: str, *options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Add options whose values reach the command as one value, an instance of the dataclass `group` called `name`."""

    def add(command: Any) -> Any:
        @functools.wraps(command)
        def called(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in dataclasses.fields(group)}
            return command(*arguments, **values, **{name: group(**own)})

        for option in reversed(options):
            called = option(called)
        return called

    return add


@dataclasses.dataclass(frozen=True)
class VerdictOptions:
    """What is accepted, and which reports of a verdict are written."""

    accept: tuple[str, ...]
    accept_file: str | None
    json_file: str | None
    junit: str | None
    markdown: str | None
    html: str | None
    color: Color

    def acceptances(self) -> Acceptances:
        """Return what is accepted; UsageError for an entry that is not whole."""
        from vitgate.compare.acceptance import read_acceptances

        return read_acceptances(self.accept, Path(self.accept_file) if self.accept_file else None)

    def reports(self) -> ReportOptions:
        """Return which reports to write."""
        from vitgate.report.verdict.emit import ReportOptions

        return ReportOptions(self.json_file, self.junit, self.markdown, self.html, self.color)


verdict_options = _grouped(
    VerdictOptions,
    "options",
    click.option("--accept", multiple=True, metavar="ID", help="Accept a deviation, or a row by its exact name."),
    click.option("--accept-file", type=FILE, metavar="FILE", help="Accept what this TOML file lists."),
    json_option("Write the verdict"),
    click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML, for the test tab of a CI."),
    click.option("--markdown", type=FILE, metavar="FILE", help="Write Markdown, for a comment or a job summary."),
    click.option("--html", type=FILE, metavar="FILE", help="Write one self-contained HTML page."),
    color_option,
)
"""Adds the options of all commands that end in a verdict, as `options`."""


@dataclasses.dataclass(frozen=True)
class SuiteOptions:
    """What the runs of a command that makes environments are asked, and how those are made."""

    asked: RunRequest
    python: str | None
    uv_arg: tuple[str, ...]
    torch_backend: str | None

    def request(self, *claims: str) -> Request:
        """Return what each run is asked, of these claims alone; UsageError as pytest would raise it, before any run."""
        from vitgate.inputs.run_options import make_run_config
        from vitgate.spec.cases import cases_named, name_own
        from vitgate.upgrade.runs import Request

        asked = dataclasses.replace(self.asked, claim=claims)
        name_own(asked.case_file)  # for the runs too
        shard = make_run_config(asked, Path()).shard
        whole = dataclasses.replace(asked.absolute(), case=cases_named(asked.case), case_file=(), shard=shard)
        return Request(**vars(whole))

    def means(self, *, prune: bool = False) -> Means:
        """Return by what means environments are made."""
        from vitgate.files.paths import default_cache
        from vitgate.upgrade.record_cache import Means

        return Means(default_cache(), self.uv_arguments(), self.python, prune=prune)

    def whole(self, side: Side, request: Request) -> Side:
        """Return the side with the libraries that build the request's cases, and the packages of its successors."""
        from vitgate.upgrade.requirements import for_cases
        from vitgate.upgrade.successor_packages import for_successors

        return for_successors(for_cases(side, request.case), request, self.means(), to_stderr)

    def uv_arguments(self) -> tuple[str, ...]:
        """Return what uv is to be told."""
        return (*self.uv_arg, *((f"--torch-backend={self.torch_backend}",) if self.torch_backend else ()))


suite_options = _grouped(
    SuiteOptions,
    "suite",
    as_request,
    run_options("--case", "--case-file", "--engine", "--weights", "--assets", "--processor", "--processors"),
    run_options("--ships-to", "--memory", "--successors", "--types", "--allow-code"),
    click.option("--python", metavar="VERSION", help="Python of the environments.  [default: the one running]"),
    click.option("--uv-arg", multiple=True, metavar="ARG", help="Hand this on to uv; repeatable."),
    click.option("--torch-backend", metavar="NAME", help="uv's option of this name, such as cpu."),
)
"""Adds the options that narrow a run as they do in pytest, and those by which environments are made, as `suite`."""


@dataclasses.dataclass(frozen=True)
class RecordsOptions:
    """Where a command keeps a record of each version, and whether the environments stay."""

    records: str
    prune: bool

    def means(self, suite: SuiteOptions) -> Means:
        """Return by what means environments are made."""
        return suite.means(prune=self.prune)


records_options = _grouped(
    RecordsOptions,
    "recording",
    click.option("--records", default="vitgate-records", show_default=True, metavar="DIR", help="Keep records here."),
    click.option("--prune", is_flag=True, help="Remove each environment after its run, to save disk space."),
)
"""Adds the options of commands that keep a record of each version, as `recording`."""


def package_options(command: Command) -> Command:
    """Add the options that name the package whose releases a command goes through, and what stays."""
    fixed = click.option("--with", "fixed", metavar="REQUIREMENTS", help="What stays.  [default: the torch installed]")
    moves = click.option("--package", metavar="NAME", help="Go through the releases of this one.  [default: torch]")
    return moves(fixed(command))


def to_stderr(line: str) -> None:
    """Print a line of progress."""
    click.echo(line, err=True)
