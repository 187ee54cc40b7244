"""The names of all rows that a run can have, those of files from elsewhere included."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from vitgate.files.errors import UsageError
from vitgate.inputs.field_files import committed, given, selected
from vitgate.spec.cells import RowName
from vitgate.spec.claims import Claim, IMAGES, read_calls, read_claims


def expected_claims(
    cases: Collection[str], engines: Collection[str], field: tuple[str, ...] = (), *, images: bool = False
) -> list[str]:
    """Return the names of all claims about cells, engines and files that a whole run of these checks.

    `field` are the folders of files that the user named; `images` says whether there was one of pictures.
    """
    names = [str(RowName("field", item.row.id)) for item in selected(committed(), cases, engines)]
    names += [str(RowName("artifacts", item.row.id)) for item in selected(given(field), cases, engines)]
    for claim in read_claims().values():
        if claim.id == IMAGES and not images:
            continue
        cells = [cell for cell in claim.cells() if cell.case in cases and cell.engine in engines]
        if claim.per == "cell":
            names += [str(RowName(claim.id, str(cell))) for cell in cells]
        elif claim.per == "engine":
            names += [str(RowName(claim.id, name)) for name in dict.fromkeys(str(cell.group) for cell in cells)]
    return names


def rows_of(claim: Claim, field: tuple[str, ...] = ()) -> list[str]:
    """Return the names of all rows that a claim can have, whatever a run is narrowed to."""
    if claim.per == "cell":
        subjects = [str(cell) for cell in claim.cells()]
    elif claim.per == "engine":
        subjects = [str(group) for group in claim.groups()]
    elif claim.per == "file":
        subjects = [item.row.id for item in (committed() if claim.id == "field" else given(field))]
    else:
        subjects = list(read_calls()) if claim.per == "call" else [f"test_{claim.id}"]
    return [str(RowName(claim.id, subject)) for subject in subjects]


def claims_named(names: Iterable[str], field: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the given ids and names of rows, each once; UsageError for one that does not exist names those that do."""
    claims = read_claims()
    for name in names:
        claim = claims.get(RowName.parse(name).claim)
        if claim is None or (name != claim.id and name not in rows_of(claim, field)):
            rows = rows_of(claim, field) if claim else []
            near = [*difflib.get_close_matches(name, rows), *rows, ""][0]
            do = f"choose from {', '.join(claims)}" + (f", or a row such as {near}" if near else "")
            raise UsageError(f"unknown claim {name!r}", where="--claim", do=do)
    return tuple(dict.fromkeys(names))
