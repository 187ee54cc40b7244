"""Where tables are drawn: colours, frames and the terminal's width only where somebody looks at one."""

from __future__ import annotations

import os
from typing import Literal, TextIO

from rich.console import Console

Color = Literal["auto", "always", "never"]
PLAIN_WIDTH = 100  # of tables in a file or a CI's log; lines of text are as long as they are, for programs


def console_for(file: TextIO, color: Color, *, plain_width: int = PLAIN_WIDTH) -> Console:
    """Return a console whose colours, frames and width fit where it writes.

    Args:
        file: Where to; the terminal's width counts where it is one.
        color: `auto` for colours on a terminal, unless NO_COLOR is set.
        plain_width: Columns of a table where `file` is no terminal.
    """
    coloured = color == "always" or (color == "auto" and file.isatty() and not os.environ.get("NO_COLOR"))
    return Console(
        file=file,
        force_terminal=coloured,
        no_color=not coloured,
        color_system="standard" if coloured else None,
        width=None if file.isatty() else plain_width,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
