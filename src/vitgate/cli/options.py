"""Options that several commands have, each declared once, and handed to a command as a frozen dataclass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TYPE_CHECKING, TypeVar

import click

from vitgate.cli.completion import COMPLETERS
from vitgate.files.errors import UsageError

if TYPE_CHECKING:
    from vitgate.compare.acceptance import Acceptances
    from vitgate.report.console import Color
    from vitgate.report.verdict.emit import ReportOptions
    from vitgate.upgrade.record_cache import Means
    from vitgate.upgrade.runs import Request

FILE = click.Path(dir_okay=False)

Command = TypeVar("Command", bound=Callable[..., Any])

_JSON = "{} as JSON into this file; - is standard output, and then what is for people goes to standard error."


def json_option(what: str, **attributes: Any) -> Callable[[Command], Command]:
    """Return the option `--json FILE`; `what` says in a few words what is written."""
    file = click.Path(dir_okay=False, allow_dash=True)
    return click.option("--json", "json_file", type=file, metavar="FILE", help=_JSON.format(what), **attributes)


class _Color(click.Choice[str]):
    """pytest's words are understood too: in `vitgate check` both stand side by side."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return auto, always or never."""
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


def to_stderr(line: str) -> None:
    """Print a line about the progress of a command."""
    click.echo(line, err=True)


def _gather(name: str, kind: type[Any], *options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds `options` to a command.

    Args:
        name: The command's parameter that receives the values.
        kind: A frozen dataclass; its fields are called as the options' parameters.
        options: The options, in the order of the help.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(**values: object) -> object:
            own = {field.name: values.pop(field.name) for field in fields(kind)}
            return command(**values, **{name: kind(**own)})

        decorated: Any = call  # has the command's signature once the options are taken out
        for option in reversed(options):
            decorated = option(decorated)
        result: Command = decorated
        return result

    return decorate


@dataclass(frozen=True)
class VerdictOptions:
    """What is accepted, and where the verdict is written."""

    accept: tuple[str, ...]
    accept_file: str | None
    json_file: str | None
    junit: str | None
    markdown: str | None
    html: str | None
    color: Color

    def acceptances(self) -> Acceptances:
        """Return the acceptances; UsageError for an incomplete entry."""
        from vitgate.compare.acceptance import read_acceptances

        return read_acceptances(self.accept, Path(self.accept_file) if self.accept_file else None)

    def reports(self) -> ReportOptions:
        """Return which reports to write."""
        from vitgate.report.verdict.emit import ReportOptions

        files = {"json": self.json_file, "junit": self.junit, "markdown": self.markdown, "html": self.html}
        return ReportOptions(**files, color=self.color)


verdict_options = _gather(
    "verdict_to",
    VerdictOptions,
    click.option("--accept", multiple=True, metavar="ID", help="Accept a deviation, or a row by its exact name."),
    click.option("--accept-file", type=FILE, metavar="FILE", help="Accept what this TOML file lists."),
    json_option("Write the verdict"),
    click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML, for the test tab of a CI."),
    click.option("--markdown", type=FILE, metavar="FILE", help="Write Markdown, for a comment or a job summary."),
    click.option("--html", type=FILE, metavar="FILE", help="Write one self-contained HTML page."),
    color_option,
)


@dataclass(frozen=True)
class SuiteOptions:
    """The options that narrow a run exactly as they do in pytest."""

    cases: tuple[str, ...]
    case_files: tuple[str, ...]
    engines: tuple[str, ...]
    weights: str
    assets: str | None

    def request(
        self, *, claims: tuple[str, ...] = (), images: str | None = None, images_accuracy: float | None = None
    ) -> Request:
        """Return the options of each run; UsageError as pytest would raise it, before an environment is made."""
        from vitgate.inputs.run_options import make_run_config
        from vitgate.spec.cases import cases_named, name_own
        from vitgate.spec.engines import NO_ENGINE
        from vitgate.upgrade.runs import Request

        name_own(self.case_files)
        if NO_ENGINE in self.engines:
            what = "this command makes environments of its own, without successors"
            do = "run pytest tests/conformance --successors under each release, then vitgate compare on the records"
            raise UsageError(what, where="--engine none", do=do)
        make_run_config(
            cases=list(self.cases),
            engines=list(self.engines),
            weights=self.weights,
            assets=self.assets,
            session=Path(),
            artifact_cache=None,
            claims=claims,
            images=images,
            images_accuracy=images_accuracy,
        )
        return Request(cases=cases_named(self.cases), engines=self.engines, weights=self.weights, assets=self.assets)


suite_options = _gather(
    "suite",
    SuiteOptions,
        click.option(
            "--case", "cases", multiple=True, metavar="ID", shell_complete=COMPLETERS["--case"],
            help="This case only, or all; repeatable.  [default: deit_base, digits, and those of --case-file]",
        ),
        click.option("--case-file", "case_files", multiple=True, metavar="FILE", help="Cases of your own; repeatable."),
        click.option(
            "--engine", "engines", multiple=True, metavar="NAME", shell_complete=COMPLETERS["--engine"],
            help="This engine only: fbgemm, x86, onednn, qnnpack; repeatable.  [default: all that a build supports]",
        ),
        click.option(
            "--weights", default="auto", show_default=True, metavar="auto|pretrained|hub|standin|FILE",
            help="The published checkpoint, or the generated stand-in; auto: the first where it can be had.",
        ),
        click.option(
            "--assets", envvar="VITGATE_ASSETS", metavar="DIR",
            help="Folder with the reference picture, image.png.  [default: VITGATE_ASSETS]",
        ),
)  # fmt: skip


@dataclass(frozen=True)
class EnvironmentOptions:
    """How environments are made."""

    python: str | None
    uv_args: tuple[str, ...]
    torch_backend: str | None

    def all_uv_args(self) -> tuple[str, ...]:
        """Return the arguments for uv, `--torch-backend` included."""
        backend = (f"--torch-backend={self.torch_backend}",) if self.torch_backend else ()
        return (*self.uv_args, *backend)


environment_options = _gather(
    "environment",
    EnvironmentOptions,
    click.option("--python", metavar="VERSION", help="Python of the environments.  [default: the one running]"),
    click.option("--uv-arg", "uv_args", multiple=True, metavar="ARG", help="Pass this argument to uv; repeatable."),
    click.option("--torch-backend", metavar="NAME", help="uv's option of this name, such as cpu."),
)


@dataclass(frozen=True)
class RecordsOptions:
    """Where the records of each version are kept."""

    records: str
    prune: bool

    def means(self, environment: EnvironmentOptions) -> Means:
        """Return how environments are made, and whether they are removed after use."""
        from vitgate.files.paths import default_cache
        from vitgate.upgrade.record_cache import Means

        return Means(default_cache(), environment.all_uv_args(), environment.python, prune=self.prune)


records_options = _gather(
    "recording",
    RecordsOptions,
    click.option("--records", default="vitgate-records", show_default=True, metavar="DIR", help="Keep records here."),
    click.option("--prune", is_flag=True, help="Remove each environment after its run, to save disk space."),
)
