"""Options that several commands have, each of them in one form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

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
