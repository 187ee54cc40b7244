"""The two ways in which a run can be impossible, so that each ends in one clear line and a documented exit status.

A claim that does not hold is an outcome (see `vitgate.spec.outcome`), never one of these.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

_LONGEST = 2000  # characters of each part of a message; what is wrong may quote a file of anybody's
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
"""Errors of the system that say that nothing can be written there."""


class VitgateError(Exception):
    """Base class: `str(error)` is one line that says what is wrong, where, and what to do."""

    exit_status: int
    case = ""  # the one case that it is about, where the run can go on with others

    def __init__(self, what: str, *, where: object = "", do: str) -> None:
        """Join the three parts into one line; line breaks are folded, and what is not printable is written out."""
        at = f" ({_plain(where)})" if str(where) else ""
        super().__init__(f"{_plain(what)}{at}: {_plain(do)}")

    @classmethod
    def from_line(cls, line: str) -> VitgateError:
        """Rebuild an error that another process reported in one line."""
        error = cls.__new__(cls)
        Exception.__init__(error, line)
        return error


def _plain(part: object) -> str:
    """Return it in one line of bounded length, without anything that a terminal would obey."""
    text = " ".join(str(part)[: 2 * _LONGEST].split())
    safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}…"


class UsageError(VitgateError):
    """The user asked for something that cannot be: an unknown case, a bad TOML key, a checkpoint of another model."""

    exit_status = 4  # pytest's own ExitCode.USAGE_ERROR


class MachineError(VitgateError):
    """The machine cannot do what was asked: no network, no disk space, a torchvision that does not match torch."""

    exit_status = 6  # pytest itself uses 0 to 5


def status_of(main: Callable[[], int | None]) -> int:
    """Call the function of a script and return its exit status; an error of ours is one line on standard error."""
    try:
        return main() or 0
    except VitgateError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_status
