"""The calls that the tutorial makes: `fixtures/api.toml`. `vitgate.observe.tutorial_calls` makes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vitgate.files.schemas import fixtures_folder, read_model, Strict, unique

How = Literal["call", "bind", "read", "set"]


class CallRow(Strict):
    """One call of the tutorial; see the head of `fixtures/api.toml`."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    callable: str
    how: How
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    lines: str
    sentence: str


class CallFile(Strict):
    """The whole of `api.toml`."""

    call: list[CallRow]


@cache
def read_calls(path: Path | None = None) -> dict[str, CallRow]:
    """Return the calls by id, in the file's order."""
    path = path or fixtures_folder() / "api.toml"
    rows = read_model(CallFile, path).call
    unique([row.id for row in rows], where=path)
    return {row.id: row for row in rows}
