"""The form that every reader of a file from outside has, and the readers of JSON and TOML.

A `Reader` is made in a folder of its own, where its sound files are put; each case then replaces one of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import fuzz_mutations as spoil

from vitgate.files.schemas import fixtures_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Case = Callable[[Random], bytes]


@dataclass(frozen=True)
class Reader:
    """What `read` reads at `path`; `sound` are files that it takes, `case` draws a hostile one."""

    path: Path
    sound: list[bytes]
    case: Case
    read: Callable[[Path], object]


Make = Callable[[Path], Reader]


def json_reader(folder: Path, name: str, tree: Any, read: Callable[[Path], object]) -> Reader:
    """Return a reader of a JSON file of that name."""
    sound = json.dumps(tree).encode()
    return Reader(folder / name, [sound], lambda rng: spoil.json_file(rng, tree), read)


def toml_reader(folder: Path, source: str, rows: int, read: Callable[[Path], object]) -> Reader:
    """Return a reader of a committed TOML file, cut down to so many rows."""
    whole = tomllib.loads((fixtures_folder() / source).read_text(encoding="utf-8"))
    few = {key: value if key == "sentence" else value[:rows] for key, value in whole.items() if isinstance(value, list)}
    few = {**whole, **few}
    return tree_reader(folder, few, read)


def tree_reader(folder: Path, tree: Any, read: Callable[[Path], object]) -> Reader:
    """Return a reader of a TOML file."""
    sound = spoil.toml_text(tree).encode()
    return Reader(folder / "data.toml", [sound], lambda rng: spoil.toml_file(rng, tree), read)


def fixture_reader(source: str, rows: int, read: Callable[[Path], object]) -> Make:
    """Return what makes a reader of a committed TOML file."""
    return lambda folder: toml_reader(folder, source, rows, read)


def tree_of(text: str) -> dict[str, Any]:
    """Parse TOML of one line, which is broken to be legible here."""
    return tomllib.loads(text.replace("\n", ""))
