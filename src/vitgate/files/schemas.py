"""Reading files of data, ours and anybody's: strict models, and one clear line for whatever is wrong in them.

What a file may cost is bounded before it is parsed: a few MB of brackets would otherwise take GB of memory.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from vitgate.files.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


MOST_TOML = 1 << 19  # bytes; the largest file of `fixtures/` has 72 kB
MOST_JSON = 1 << 23  # bytes; the largest record of `fixtures/` has 0.7 MB
_LONGEST_LINE = 5000  # characters of a line of TOML: its parser takes the square of the dots in one
_MOST_PROBLEMS = 1000  # that are looked at: each takes a kB


class Strict(BaseModel):
    """A frozen row of a data file: an unknown key, a value that is not of its type, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _inside(name: str) -> str:
    """Return a path that stays in the folder of the file which names it."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or not name.isprintable() or "\\" in name:
        raise ValueError("must be a path within this folder")
    return name


InnerPath = Annotated[str, AfterValidator(_inside)]
"""The name of a file beside the data file that names it, or below."""

Model = TypeVar("Model", bound=BaseModel)


def fixtures_folder() -> Path:
    """Return the folder of the data files: VITGATE_FIXTURES, or beside `src` in a checkout, or inside the package."""
    if named := os.environ.get("VITGATE_FIXTURES"):
        return Path(named).absolute()
    inside = Path(__file__).parents[1] / "fixtures"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "fixtures"


def read_text(path: Path, most: int = MOST_JSON) -> str:
    """Return the text of a file of at most `most` bytes; ValueError for a larger one, or one that is not text."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most >> 10} kB")
    return data.decode("utf-8")


def read_toml(path: Path) -> dict[str, Any]:
    """Parse one TOML file; UsageError where it is missing, unreadable, not TOML or larger than such files are."""
    try:
        text = read_text(path, MOST_TOML).replace("\r\n", "\n")
        if max(map(len, text.split("\n"))) > _LONGEST_LINE:
            raise ValueError(f"it has a line of more than {_LONGEST_LINE} characters")
        return tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read this file: {error}", where=path, do="mend the file") from None


def parse_toml(text: str, where: object) -> dict[str, Any]:
    """Parse the text of a TOML file of any project; UsageError where it is not TOML."""
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is not TOML: {error}", where=where, do="mend the file") from None


def read_json(path: Path, what: str, do: str) -> Any:
    """Parse one JSON file.

    Args:
        path: A file of at most `MOST_JSON` bytes.
        what: What the file should be, for the error: `record`.
        do: What the user can do, for the error.

    Raises:
        UsageError: The file is unreadable, no sound Unicode JSON, or has a key twice in one object.
    """
    try:
        text = read_text(path)
        data = json.loads(text, object_pairs_hook=_once)
        if "\\ud" in text.lower():  # half a character, perhaps, which cannot be written again
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"not a readable {what}: {error}", where=path, do=do) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON; a key that stands twice would hide its first value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def validate(model: type[Model], data: object, *, where: object) -> Model:
    """Check data against a model.

    Args:
        model: The class of the rows.
        data: Plain values, as TOML and JSON have them.
        where: The file, for the error.

    Raises:
        UsageError: The data do not fit; it names the first wrong key, and how many more there are.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(_first_problem(error), where=where, do="mend that entry") from None


def _first_problem(error: ValidationError) -> str:
    if error.error_count() > _MOST_PROBLEMS:
        return f"it is wrong in {error.error_count()} places"
    problems = error.errors(include_url=False, include_input=False)
    key = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}: {problems[0]['msg']}{more}"


def read_model(model: type[Model], path: Path) -> Model:
    """Parse and check one TOML file."""
    return validate(model, read_toml(path), where=path)


def line_of(path: Path, table: str, name: str) -> int:
    """Return the line on which the id of an entry stands, counted from 1; 1 where it is not found.

    Args:
        path: A TOML file of at most `MOST_TOML` bytes.
        table: The name of its `[[table]]`.
        name: The entry's id.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too large, or not UTF-8.
    """
    wanted = re.compile(rf"""\s*id\s*=\s*(["']){re.escape(name)}\1\s*(#.*)?""")
    inside = False
    for number, line in enumerate(read_text(path, MOST_TOML).splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = line.partition("#")[0].strip() == f"[[{table}]]"
        elif inside and wanted.fullmatch(line):
            return number
    return 1


def known(names: Iterable[str] | None, among: Iterable[str], what: str, *, where: object) -> None:
    """Check that names exist.

    Args:
        names: What a file names; None for nothing.
        among: The names that there are.
        what: Where in the file they stand, for the error.
        where: The file, for the error.

    Raises:
        UsageError: A name is not among them; it lists those that are.
    """
    choice = list(among)
    for name in names or ():
        if name not in choice:
            raise UsageError(f"{what} {name!r} does not exist", where=where, do=f"use one of {', '.join(choice)}")


def unique(names: list[str], *, where: object) -> None:
    """UsageError where a name stands twice: duplicates would hide one another."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UsageError(f"duplicate name {twice[0]!r}", where=where, do="give every entry a name of its own")
