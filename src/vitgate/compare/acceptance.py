"""Regressions that somebody answers for: named one by one, with an end, and struck off once they are not needed.

An acceptance that has expired, or that covers nothing, turns the gate red: a list that only grows hides what is new.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import field_validator

from vitgate.files.errors import UsageError
from vitgate.files.schemas import read_text, read_toml, Strict, unique, validate

OPTION = "--accept"
_ID = re.compile(r"""\bid\s*=\s*(["'])(.*?)\1""")


class AcceptRow(Strict):
    """One entry of an accept file: what is accepted, why, by whom, until when."""

    id: str
    reason: str
    owner: str
    expires: dt.date

    @field_validator("id", "reason", "owner")
    @classmethod
    def _is_said(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("it is empty")
        return text


class AcceptFile(Strict):
    """The whole of an accept file."""

    accept: list[AcceptRow]


@dataclass(frozen=True)
class Acceptance:
    """One acceptance: the id of a deviation or the exact name of a row, and where it was given."""

    id: str
    where: str
    reason: str = ""
    owner: str = ""
    expires: dt.date | None = None


@dataclass(frozen=True)
class Acceptances:
    """All acceptances of one comparison; `today` decides which have expired."""

    entries: tuple[Acceptance, ...] = ()
    today: dt.date = field(default_factory=dt.date.today)

    def valid(self) -> tuple[Acceptance, ...]:
        """Return those that still hold; one is good for all of the day on which it expires."""
        return tuple(entry for entry in self.entries if entry.expires is None or entry.expires >= self.today)

    def covering(self, *names: str) -> Acceptance | None:
        """Return the first that still holds and is about one of these names."""
        return next((entry for entry in self.valid() if entry.id in names), None)

    def problems(self, used: set[str]) -> tuple[str, ...]:
        """Say which have expired and which cover nothing; `used` are the ids that covered something."""
        valid = self.valid()
        return tuple(_problem(entry, valid) for entry in self.entries if entry not in valid or entry.id not in used)


def _problem(entry: Acceptance, valid: tuple[Acceptance, ...]) -> str:
    if entry not in valid:
        return f"{entry.where}: the acceptance of {entry.id} expired on {entry.expires}: renew or delete it"
    return f"{entry.where}: the acceptance of {entry.id} covers nothing: delete it"


def read_acceptances(ids: Sequence[str] = (), file: Path | None = None, today: dt.date | None = None) -> Acceptances:
    """Return the acceptances of the command line and of a file.

    Args:
        ids: Of deviations, or exact names of rows (`--accept`).
        file: A TOML file of `[[accept]]` (`--accept-file`).
        today: On which the entries' ends are judged; by default the day of the call.

    Raises:
        UsageError: An entry is not whole, or stands twice in the file.
    """
    for name in ids:
        if not name.strip():
            raise UsageError("an empty name cannot be accepted", where=OPTION, do="name a deviation or a row")
    entries = [Acceptance(name, OPTION) for name in dict.fromkeys(ids)]
    if file is not None:
        entries += _read(file)
    return Acceptances(tuple(entries), today or dt.date.today())


def _read(path: Path) -> list[Acceptance]:
    rows = validate(AcceptFile, read_toml(path), where=path).accept
    unique([row.id for row in rows], where=path)
    lines = _lines(read_text(path))
    return [Acceptance(row.id, f"{path}:{lines.get(row.id, 1)}", row.reason, row.owner, row.expires) for row in rows]


def _lines(text: str) -> dict[str, int]:
    """Return the line on which each id stands first, counted from 1."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for _, name in _ID.findall(line.partition("#")[0]):
            found.setdefault(name, number)
    return found
