r"""Run a command in a terminal of its own, and draw what it really printed as SVG: the picture in README.

    python scripts/terminal_picture.py -o docs/images/terminal.svg -- \
        pytest -n auto tests/conformance --case digits --engine fbgemm

Nothing is written by hand and no line is changed. What is left out are pytest's own lines about the machine (platform,
folders, plugins, workers) and its dots, by `_NOISE`; all else stands there whole, wrapped at `--columns`. Run it in a
clone at a neutral place: a picture that names the home folder or the current one is refused.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from vitgate.files.errors import status_of, UsageError

_ROWS = 60
_NOISE = re.compile(
    r"(platform|rootdir:|configfile:|plugins:|cachedir:|created:|collected|\d+ workers) ?.*"  # pytest's header
    r"|[.sxXFER]+( *\[ *\d+%\])?|"  # its dots; an empty line
)
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def main() -> int:
    """Run the command, draw the picture, and end with the command's exit status."""
    parser = argparse.ArgumentParser(description="draw what a command prints in a terminal as SVG")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write the SVG")
    parser.add_argument(
        "--columns", type=int, default=132, help="the terminal's width (default: 132, which holds the table)"
    )
    parser.add_argument("command", nargs="+", help="the command and its arguments, after --")
    options = parser.parse_args()
    status, seen = run(options.command, options.columns)
    lines = shown_lines(seen)
    check_neutral("\n".join(lines))
    options.output.write_text(picture(shlex.join(options.command), lines, options.columns), encoding="utf-8")
    return status


def run(command: Sequence[str], columns: int) -> tuple[int, str]:
    """Return the exit status of the command and all that it printed, its colours with it.

    Raises:
        UsageError: The command cannot be started.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    try:
        process = subprocess.Popen(  # noqa: S603  # the user's
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
    except OSError as error:
        os.close(ours)
        raise UsageError(f"cannot run this: {error}", where=command[0], do="name another command") from None
    finally:
        os.close(theirs)
    seen = bytearray()
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    return process.wait(), seen.decode("utf-8", errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way to say that nobody is at the other end any more
        return b""


def shown_lines(seen: str) -> list[str]:
    """Return the lines of the picture, with their colours: what is left on the screen, but for `_NOISE`."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in seen.split("\n")]  # what a line was overwritten with
    return [line for line in lines if not _NOISE.fullmatch(Text.from_ansi(line).plain.strip())]


def check_neutral(text: str) -> None:
    """Refuse a text that names a folder of whoever runs this."""
    for folder in (Path.cwd(), Path.home()):
        if str(folder) in text and str(folder) != "/":
            raise UsageError(f"the output names {folder}", do="run the command where it does not")


def picture(command: str, lines: Sequence[str], columns: int) -> str:
    """Return the SVG of a terminal in which the command printed these lines. It refers to no other file."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(f"$ {command}", style="bold"))
    for line in lines:
        console.print(Text.from_ansi(line))
    return console.export_svg(title=command, code_format=_template(), unique_id="terminal")


def _template() -> str:
    """Return rich's own, with the system's fonts instead of one from the network, and a name for screen readers."""
    without = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)
    named = without.replace("<svg ", '<svg role="img" aria-label="Terminal: {chrome_title}" ', 1)
    return re.sub(r"font-family: [^;]+;", f"font-family: {_FONTS};", named).replace("{chrome_title}", "vitgate")


if __name__ == "__main__":
    sys.exit(status_of(main))
