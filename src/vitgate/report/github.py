"""What GitHub shows at the lines of a pull request: each red claim at the line that states it, or declares otherwise.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from vitgate.compare.causes import Cause
from vitgate.compare.verdict import Verdict
from vitgate.files.schemas import fixtures_folder, line_of
from vitgate.files.text import clean, short
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.cells import RowName

_SHOWN = 5  # names in one message
_RED = ("failed", "environment error")
_WHERE = re.compile(r"(?P<file>.+):(?P<line>\d+): (?P<says>.+)")  # how an acceptance's problem begins


def wanted() -> bool:
    """Whether this is a step of a workflow, whose output GitHub reads."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def of_record(record: Record) -> list[str]:
    """Return a line for each red claim of a run, and one for the missing ones of each claim."""
    lines = [_of_row(row) for row in record.claims if row.status in _RED]
    lost: dict[str, list[str]] = {}
    for name in record.missing:
        lost.setdefault(RowName.parse(name).claim, []).append(name)
    return lines + [_error(*_claim(claim), claim, f"not checked: {_names(names)}") for claim, names in lost.items()]


def of_verdict(verdict: Verdict) -> list[str]:
    """Return a line for each cause that blocks an upgrade, and for each acceptance that is wrong."""
    causes = [_of_cause(cause) for cause in verdict.causes if cause.red]
    return causes + [_of_problem(problem) for problem in verdict.problems]


def _of_row(row: ClaimRow) -> str:
    place = _deviation(row.deviation) if row.deviation else _claim(row.claim)
    return _error(*place, row.name, row.message or row.outcome_text)


def _of_cause(cause: Cause) -> str:
    place = _deviation(cause.id) if cause.kind == "deviation" else _claim(RowName.parse(cause.rows[0]).claim)
    parts = (cause.says, f"Instead: {cause.advice}" if cause.advice else "", cause.link, f"Rows: {_names(cause.rows)}")
    return _error(*place, cause.id, " ".join(part for part in parts if part))


def _of_problem(problem: str) -> str:
    found = _WHERE.fullmatch(problem)
    if found is None:
        return _error(None, 0, "acceptance", problem)
    return _error(Path(found["file"]), int(found["line"]), "acceptance", found["says"])


def _claim(name: str) -> tuple[Path, int]:
    path = fixtures_folder() / "claims.toml"
    return path, line_of(path, "claim", name)


def _deviation(name: str) -> tuple[Path, int]:
    path = fixtures_folder() / "deviations.toml"
    return path, line_of(path, "deviation", name)


def _names(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(map(clean, names[:_SHOWN]))}{more}"


def _error(file: Path | None, line: int, title: str, message: str) -> str:
    """Return one command; a file outside of the checkout, such as an installed package's, is left out."""
    properties = {**_place(file, line), "title": f"vitgate: {short(title)}"}
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::error {shown}::{_data(short(message, 2000))}"


def _place(file: Path | None, line: int) -> dict[str, str]:
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    if file is None or not file.resolve().is_relative_to(workspace):
        return {}
    return {"file": file.resolve().relative_to(workspace).as_posix(), "line": str(line)}


def _data(text: str) -> str:
    """Escape what ends a command, in the order that GitHub undoes."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
