"""Reading data files: whatever is wrong in one is a single line that names file and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.files.schemas import fixtures_folder, known, read_model, read_toml, Strict, unique, validate

from ..conftest import Refuses


class Row(Strict):
    name: str
    size: float = 1.0
    tags: tuple[str, ...] = ()


class File(Strict):
    row: list[Row]


def test_valid_file_is_read(data_file: Callable[[str, str], Path]) -> None:
    path = data_file("a.toml", '[[row]]\nname = "x"\nsize = 2\ntags = ["a", "b"]\n')

    assert read_model(File, path) == File(row=[Row(name="x", size=2.0, tags=("a", "b"))])


def test_rows_are_frozen() -> None:
    row = Row(name="x")

    with pytest.raises(ValueError, match="frozen"):
        row.name = "y"  # type: ignore[misc]  # refused at run time too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[row]]\nname = "x"\nnmae = "y"\n', ["row.0.nmae"]),
        ("[[row]]\nsize = 1\n", ["row.0.name"]),
        ('[[row]]\nname = "x"\nsize = "big"\n', ["row.0.size"]),
        ('[[row]]\nname = "x"\nsize = nan\n', ["row.0.size"]),
        ('[[row]]\nname = "x"\nsize = -inf\n', ["row.0.size"]),
        ("[[row]]\nname = 3\nsiez = 1\n", ["row.0.name", "(and 1 more)"]),
        ('[[wor]]\nname = "x"\n', ["row", "(and 1 more)"]),
        ("row = 3\n", ["row"]),
        ("[[row]\n", ["cannot read this file"]),
    ],
    ids=[
        "unknown-key",
        "missing-key",
        "other-type",
        "nan",
        "infinite",
        "two-mistakes",
        "other-table",
        "no-list",
        "no-toml",
    ],
)
def test_invalid_value_gives_one_line_with_file_and_key(
    text: str, words: list[str], data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("a.toml", text)

    refuses(lambda: read_model(File, path), path, *words)


def test_missing_file_is_named(tmp_path: Path, refuses: Refuses) -> None:
    refuses(lambda: read_toml(tmp_path / "no.toml"), tmp_path / "no.toml", "cannot read this file")


def test_non_utf8_file_is_named(tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b'name = "\xff"\n')

    refuses(lambda: read_toml(path), path, "cannot read this file")


def test_validate_names_given_source(refuses: Refuses) -> None:
    refuses(lambda: validate(Row, ["x"], where="somewhere"), "somewhere")


def test_duplicate_names_are_refused(refuses: Refuses) -> None:
    unique(["a", "b"], where="a.toml")

    refuses(lambda: unique(["b", "c", "b"], where="a.toml"), "a.toml", "duplicate name 'b'")


def test_unknown_name_is_refused_with_known_ones(refuses: Refuses) -> None:
    known(None, ["a"], "row x: case", where="a.toml")
    known(["a"], ["a", "b"], "row x: case", where="a.toml")

    refuses(lambda: known(["a", "c"], ["a", "b"], "row x: case", where="a.toml"), "a.toml", "row x: case 'c'", "a, b")


def test_committed_fixtures_are_found() -> None:
    assert (fixtures_folder() / "cases.toml").is_file()


@pytest.mark.parametrize(("error", "status"), [(UsageError, 4), (MachineError, 6)])
def test_error_has_what_where_and_what_to_do(error: type[VitgateError], status: int) -> None:
    made = error("it is\nwrong", where="a.toml", do="mend\n it")

    assert str(made) == "it is wrong (a.toml): mend it"
    assert made.exit_status == status


def test_error_without_location_omits_it() -> None:
    assert str(UsageError("wrong", do="mend it")) == "wrong: mend it"
