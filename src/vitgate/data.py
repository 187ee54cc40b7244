"""Reading the data files of `fixtures/`: strict models, and one clear line for whatever is wrong in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vitgate.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Strict(BaseModel):
    """A frozen row of a data file: an unknown key, a value that is not of its type, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def fixtures_folder() -> Path:
    """Return the folder of the data files: VITGATE_FIXTURES, or beside `src` in a checkout, or inside the package."""
    if named := os.environ.get("VITGATE_FIXTURES"):
        return Path(named).absolute()
    inside = Path(__file__).parent / "fixtures"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "fixtures"


def read_toml(path: Path) -> dict[str, Any]:
    """Parse one TOML file; UsageError where it is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read this file: {error}", where=path, do="mend the file") from None


def validate(model: type[Model], data: object, *, where: object) -> Model:
    """Check `data` against `model`; UsageError names the first wrong key and how many more there are."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(_first_problem(error), where=where, do="mend that entry") from None


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    key = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}: {problems[0]['msg']}{more}"


def read_model(model: type[Model], path: Path) -> Model:
    """Parse and check one TOML file."""
    return validate(model, read_toml(path), where=path)


def known(names: Iterable[str] | None, among: Iterable[str], what: str, *, where: object) -> None:
    """UsageError for a name that does not exist; `what` says where in the file it stands."""
    choice = list(among)
    for name in names or ():
        if name not in choice:
            raise UsageError(f"{what} {name!r} does not exist", where=where, do=f"use one of {', '.join(choice)}")


def unique(names: list[str], *, where: object) -> None:
    """UsageError where a name stands twice: duplicates would hide one another."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"duplicate name {twice[0]!r}", where=where, do="give every entry a name of its own")
